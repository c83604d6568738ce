"""What an evaluator is given, and what it must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from aligntune.errors import EvaluationError
from aligntune.evaluation.columns import Rows, require

if TYPE_CHECKING:
    from aligntune.evaluation.metric import Metric
    from aligntune.plugins import Plugins

__all__ = ["CUSTOM", "EvaluationContext", "EvaluationSettings", "Evaluator", "Progress", "Store"]

CUSTOM = "custom_metric"
"""The evaluator that measures with a function; a function among evaluators stands for it."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many rows of it are done, and how many there are."""


class Store(Protocol):
    """What an evaluation that was cut off has left behind: values by keys that say what was asked.

    Whoever makes something expensive (completions, log-likelihoods) looks here first, and puts here
    what it made, batch by batch. A key names the work completely: model and settings are fixed for
    one store; the row, the sample and the kind of work are not.
    """

    def get(self, key: str) -> Any | None:
        """The JSON value that was put under `key`, or None."""

    def put(self, entries: Mapping[str, Any]) -> None:
        """Keep JSON values; they are on disk when this returns."""


def _silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How to evaluate: the same for every evaluator of one run.

    `batch_size`: rows per forward pass or generation. `max_new_tokens`: longest completion, in
    tokens. `temperature`: 0 takes the likeliest token; above, tokens are sampled with `top_p`,
    `top_k` (0 for all) and `seed`. `num_samples`: completions of each prompt; more than one asks
    for a temperature. `stop`: texts that end a completion, which does not contain them.
    `max_samples`: evaluate the first so many rows. `reference_column`: where the right
    answers stand; unset, the first of reference, answer, solution, ground_truth, response, target.
    `chat_template_kwargs`: further arguments of the chat template.

    Raises:
        EvaluationError: for a value out of range.
    """

    batch_size: int = 16
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    num_samples: int = 1
    stop: tuple[str, ...] = ()
    seed: int = 0
    max_samples: int | None = None
    reference_column: str | None = None
    prompt_column: str = "prompt"
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = [
            f"{name} must be at least 1, not {value}"
            for name in ("batch_size", "max_new_tokens", "num_samples", "max_samples")
            if (value := getattr(self, name)) is not None and value < 1
        ]
        if self.temperature < 0:
            wrong.append(f"temperature must be 0 or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            wrong.append(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.top_k < 0:
            wrong.append(f"top_k must be 0 (all tokens) or more, not {self.top_k}")
        if self.num_samples > 1 and self.temperature == 0:
            wrong.append(
                f"num_samples is {self.num_samples}, and temperature 0 gives the same completion "
                "each time; set a temperature above 0"
            )
        if "" in self.stop:
            wrong.append("stop holds an empty text, which would end every completion at once")
        if wrong:
            raise EvaluationError("; ".join(wrong))


@dataclass
class EvaluationContext:
    """One model on one set of rows.

    `model`, `tokenizer`: a transformers causal language model, in evaluation mode, and its
    tokenizer. `rows`: dicts with a prompt (text or chat messages), `completion`, `text`,
    `messages`, and any further columns. `memo`: what evaluators share, such as the completions, so
    that two of them generate once. `samples`: one dict per row, in row order, for whatever is worth
    reading beside the metrics. `store`: what an earlier, interrupted evaluation left, or None.
    """

    model: Any
    tokenizer: Any
    rows: Rows
    settings: EvaluationSettings
    plugins: Plugins
    memo: dict[Any, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    progress: Progress = _silent
    store: Store | None = None

    def __post_init__(self) -> None:
        if not self.samples:
            self.samples = [{"row": index} for index in range(len(self.rows))]

    def note(self, key: str, values: Sequence[Any]) -> None:
        """Put `values[i]` into the sample of row i, for each row."""
        for sample, value in zip(self.samples, values, strict=True):
            sample[key] = value

    def score(self, name: str, values: Sequence[float | None]) -> None:
        """Put `values[i]` into the sample of row i as its score under `name`, for each row."""
        for sample, value in zip(self.samples, values, strict=True):
            sample.setdefault("scores", {})[name] = value


class Evaluator(ABC):
    """Measures a model on rows; parameters come through the constructor.

    `name`: what the results are called; two evaluators of one run must differ in it. `needs`: what
    every row must bring (see `aligntune.evaluation.columns.require`). `last`: whether it measures
    what the others did, and so comes after them.
    """

    name: str = ""
    needs: ClassVar[tuple[str, ...]] = ()
    last: ClassVar[bool] = False

    def prepare(
        self,
        rows: Rows,
        settings: EvaluationSettings,
        plugins: Plugins,
    ) -> None:
        """Refuse what cannot work, before any model is loaded. Overriding methods call this one.

        Raises:
            EvaluationError: if the rows lack a column that is needed.
        """
        require(self.name, self.needs, rows, settings)

    def measures(self) -> Mapping[str, bool | None]:
        """Names of the metrics of `evaluate`, and whether more of each is better (None: neither).

        Runs choose their best checkpoint by them, and know a wrong name before they train. Empty
        where names or directions show only once something is measured.
        """
        return {}

    def check(self, context: EvaluationContext) -> None:  # noqa: B027 (most refuse nothing)
        """Refuse what cannot work with this model; called for all evaluators before any measures.

        Raises:
            EvaluationError: names what does not fit, such as another vocabulary.
        """

    @abstractmethod
    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        """Measure the model; any exception is wrapped once, by whoever runs the evaluators."""
