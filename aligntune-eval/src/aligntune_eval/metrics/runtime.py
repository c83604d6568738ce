"""How long the model took, and how many tokens it read and wrote in a second."""

from __future__ import annotations

from typing import Any, ClassVar

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, Evaluator, Metric
from aligntune_eval.asking.work import Work, work_of

__all__ = ["Runtime"]


class Runtime(Evaluator):
    """Seconds in the model, and tokens per second, of what the other evaluators let it do.

    `runtime`: seconds of generating and scoring, tokens to text included, what evaluators compute
    with the answers not; lower is better. `generated_tokens_per_second`: tokens of all completions
    over the seconds of generating, reading the prompts included. `scored_tokens_per_second`: tokens
    read over the seconds of scoring. The last two are there where something was generated or
    scored; higher is better. What an earlier, interrupted evaluation made counts with the seconds
    that it took then, and `from_store` in the details says how much that is. No interval: rows run
    together, so their times are no independent observations.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    last: ClassVar[bool] = True

    def __init__(self, name: str = "runtime") -> None:
        self.name = name

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        generation, scoring = (work_of(context, kind) for kind in ("generation", "scoring"))
        if not generation.items + scoring.items:
            raise EvaluationError(
                f"evaluator {self.name!r} measures what others let the model do, and no other "
                "evaluator generated or scored anything; name one beside it"
            )
        seconds = generation.seconds + scoring.seconds
        made = [self._metric("", seconds, "s", context, generation, scoring)]
        if generation.written:
            speed = generation.written / generation.seconds
            made.append(self._metric("generated", speed, "tokens/s", context, generation))
        if scoring.read:
            speed = scoring.read / scoring.seconds
            made.append(self._metric("scored", speed, "tokens/s", context, scoring))
        return made

    def _metric(
        self, kind: str, value: float, unit: str, context: EvaluationContext, *work: Work
    ) -> Metric:
        prefix = "" if self.name == "runtime" else f"{self.name}/"
        details: dict[str, Any] = {
            "items": sum(each.items for each in work),
            "from_store": sum(each.stored for each in work),
            "tokens_read": sum(each.read for each in work),
            "tokens_written": sum(each.written for each in work),
            "seconds": sum(each.seconds for each in work),
            "batch_size": context.settings.batch_size,
            "device": str(context.model.device),
            "interval": "none",
        }
        return Metric(
            f"{prefix}{kind}_tokens_per_second" if kind else self.name,
            value,
            len(context.rows),
            unit=unit,
            details=details,
            higher_is_better=bool(kind),
        )
