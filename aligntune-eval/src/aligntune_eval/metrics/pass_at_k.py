"""pass@k: the chance that one of k programs of a model passes its tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune.evaluation.columns import require
from aligntune.scoring import Failed, RewardBatch, build_reward
from aligntune.scoring.faults import raw_values
from aligntune_eval.asking.generation import check_prompts, generation_details
from aligntune_eval.metrics.per_row import answers_of, groups, repeated
from aligntune_eval.metrics.programs import Checks, checks_of, fenced, shape_of
from aligntune_eval.statistics import mean_metric, pass_at_k

if TYPE_CHECKING:
    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins

__all__ = ["PassAtK"]


class PassAtK(Evaluator):
    """The chance that one of k sampled programs passes all tests of its row, 0 to 1.

    The unbiased estimator 1 - C(n - c, k) / C(n, k) of Chen et al. 2021 (arXiv 2107.03374), with c
    of n = `num_samples` completions right, and its mean over rows: `pass@1`, `pass@10`. Higher is
    better. Programs run in the sandbox of aligntune-rewards, by its reward `code_execution`, which
    refuses to run where isolation is weak.

    Rows need a prompt and tests, in one of these shapes: `test` with `entry_point` (HumanEval: a
    completion continues its prompt), `test_list` with `test_setup_code` or `test_imports` (MBPP),
    `input_output` (APPS), or `tests`, `setup` and `entry_point` as `code_execution` takes them. A
    completion with a fenced block that continues something is put on the line after it, so that it
    may define the function again.

    `k`: a number or several, none above `num_samples`. `continues`: the column whose text
    completions continue, or false if they are whole programs; unset, in the shape of HumanEval the
    prompt, if it is no conversation, and else none. `name`: stands before the names of the
    metrics, unless it is `pass_at_k`. The other parameters are those of the reward: `timeout`,
    `memory_mb`, `tolerance`, `exact_types`, `block` and `allow_weak_isolation`.

    Raises:
        ValueError: for a k that is no whole number from 1, and for `score`, which pass@k fixes.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt",)

    def __init__(
        self,
        k: int | Sequence[int] = 1,
        continues: str | Literal[False] | None = None,
        name: str = "pass_at_k",
        **params: Any,
    ) -> None:
        ks: list[Any] = list(k) if isinstance(k, list | tuple) else [k]
        if not ks or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in ks):
            raise ValueError(f"k is {k!r}; it is a whole number from 1, or a list of them")
        if len(set(ks)) < len(ks):
            raise ValueError(f"k is {k!r}, which names a number twice")
        if "score" in params:
            raise ValueError("score is no parameter of pass@k: a program is right or wrong")
        if continues is not None and continues is not False and not isinstance(continues, str):
            raise ValueError(f"continues is {continues!r}; it is the name of a column, or false")
        self.ks = ks
        self.continues = continues
        self.name = name
        self.params = params
        self._reward: Any = None
        self._shape = ""

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        """Check k, the tests of every row, and that there is a sandbox.

        Raises:
            EvaluationError: if k is above `num_samples`, or the tests of a row cannot be read.
            ConfigError: if `code_execution` does not take the parameters.
            UnavailableError: if there is no sandbox, or only a weak one.
        """
        super().prepare(rows, settings, plugins)
        if max(self.ks) > settings.num_samples:
            raise EvaluationError(
                f"evaluator {self.name!r}: k is {max(self.ks)}, and num_samples is "
                f"{settings.num_samples}; set num_samples to {max(self.ks)} or more, with a "
                "temperature above 0, or k lower"
            )
        if self.continues:
            require(self.name, [self.continues], rows, settings)
        _, self._reward = build_reward("code_execution", self.params, plugins)
        self._shape = shape_of(self.name, rows)
        for index, checks in enumerate(self._checks(rows, settings)):
            _readable(self.name, index, checks)
        self._reward.load()

    def measures(self) -> dict[str, bool | None]:
        return {self._named(k): True for k in self.ks}

    def check(self, context: EvaluationContext) -> None:
        """See that the model can complete every prompt."""
        check_prompts(context)

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        if self._reward is None:
            self.prepare(context.rows, context.settings, context.plugins)
        rows = len(context.rows)
        times = context.settings.num_samples
        texts = [answer.text for answer in answers_of(context)]
        checks = repeated(self._checks(context.rows, context.settings), times)
        values = self._run(texts, checks)
        passed = [[value == 1.0 for value in each] for each in groups(values, rows)]
        context.note("passed", passed)
        failures = Counter(value.kind for value in values if isinstance(value, Failed))
        details = {
            "samples": times,
            "shape": self._shape,
            "failures": dict(sorted(failures.items())),
            **self._reward.record(),
            **generation_details(context),
        }
        return [self._metric(k, passed, details, context) for k in self.ks]

    def _metric(
        self, k: int, passed: list[list[bool]], details: dict[str, Any], context: EvaluationContext
    ) -> Metric:
        values = [pass_at_k(len(each), sum(each), k) for each in passed]
        context.score(self._named(k), values)
        return mean_metric(self._named(k), values, seed=context.settings.seed, details=details)

    def _run(self, texts: Sequence[str], checks: Sequence[Checks]) -> list[float | None]:
        """Whether each program passes its tests: 1 or 0."""
        programs = [self._program(*each) for each in zip(texts, checks, strict=True)]
        columns = {
            "tests": [each.tests for each in checks],
            "setup": [each.setup for each in checks],
            "entry_point": [each.entry_point for each in checks],
        }
        return raw_values("code_execution", self._reward, RewardBatch(programs, columns=columns))

    def _program(self, text: str, checks: Checks) -> str:
        from aligntune_rewards.code.blocks import code_of

        if not checks.before:
            return text
        code = code_of(text, self._reward.block)
        # Without a fence, `code` is the text itself, and continues where the prompt ends.
        return fenced(checks.before + (text if code in (None, text) else f"\n{code}"))

    def _checks(self, rows: Rows, settings: EvaluationSettings) -> list[Checks]:
        column = self.continues
        if column is None:
            column = settings.prompt_column if self._shape == "test" else False
        found = []
        for index, row in enumerate(rows):
            try:
                found.append(checks_of(row, self._shape, row.get(column) if column else None))
            except ValueError as error:
                raise EvaluationError(f"evaluator {self.name!r}, row {index}: {error}") from error
        return found

    def _named(self, k: int) -> str:
        return f"pass@{k}" if self.name == "pass_at_k" else f"{self.name}/pass@{k}"


def _readable(who: str, index: int, checks: Checks) -> None:
    """Read the tests of a row once before anything is generated.

    Raises:
        EvaluationError: if they have no known form, or test nothing.
    """
    from aligntune_rewards.verifiable.code_tests import read_tests

    try:
        found = read_tests(checks.tests, checks.entry_point)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"evaluator {who!r}: the tests of row {index}: {error}") from error
    if not found:
        raise EvaluationError(f"evaluator {who!r}: row {index} tests nothing")
