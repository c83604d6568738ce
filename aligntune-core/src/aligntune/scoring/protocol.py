"""What a reward is: a batch of completions in, one number (or None) per completion out.

A reward is an object with a name, facts about itself, and `compute` for one text or `compute_batch`
for many. Authors write whichever is natural; the other follows from it. Everything that turns other
forms into this one is in `aligntune.scoring.adapt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import os
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from aligntune.errors import DataError, RewardError
from aligntune.scoring.conversation import prompt_text
from aligntune.scoring.signature import Accepts

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping, Sequence

__all__ = ["ENGINE_COLUMNS", "Failed", "RewardBatch", "RewardFunction", "SampleError", "run_async"]

T = TypeVar("T")

# What a trainer always brings, so no data column is needed for it.
ENGINE_COLUMNS = frozenset({"prompt", "messages", "completion_ids", "step"})


@dataclass(frozen=True)
class RewardBatch:
    """Completions to score, and what is known about each; sequences have one item per completion.

    `texts`: the completions as text. `messages`: the completions as message lists, if they are.
    `prompts`: the prompts as the data have them, text or messages.
    `references`: what each completion is compared with. `columns`: the other columns of the data.
    `completion_ids`: token ids. `step`: the optimiser step of the training run.
    `extras`: other things the trainer hands over, which are not per completion.
    """

    texts: Sequence[str]
    prompts: Sequence[Any] | None = None
    references: Sequence[Any] | None = None
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    completion_ids: Sequence[Sequence[int]] | None = None
    messages: Sequence[Any] | None = None
    step: int | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = {
            "prompts": self.prompts,
            "references": self.references,
            "completion_ids": self.completion_ids,
            "messages": self.messages,
            **self.columns,
        }
        for name, values in given.items():
            if values is not None and len(values) != len(self.texts):
                raise DataError(
                    f"{name!r} holds {len(values)} values for {len(self.texts)} completions; it "
                    "must hold one for each"
                )

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def one(
        cls,
        text: str,
        /,
        prompt: Any = None,
        reference: Any = None,
        completion_ids: Sequence[int] | None = None,
        **columns: Any,
    ) -> Self:
        """A batch of one completion; what is None is not known."""
        return cls(
            [text],
            prompts=None if prompt is None else [prompt],
            references=None if reference is None else [reference],
            columns={name: [value] for name, value in columns.items()},
            completion_ids=None if completion_ids is None else [completion_ids],
        )

    def offered(self) -> dict[str, Sequence[Any]]:
        """Everything known about each completion beside its text, under the names rewards use."""
        known: dict[str, Sequence[Any]] = dict(self.columns)
        if self.prompts is not None:
            known["prompt"] = [prompt_text(prompt) for prompt in self.prompts]
        if self.references is not None:
            known["reference"] = self.references
        if self.completion_ids is not None:
            known["completion_ids"] = self.completion_ids
        if self.messages is not None:
            known["messages"] = self.messages
        if self.step is not None:
            known["step"] = [self.step] * len(self)
        return known

    def calls(self, accepts: Accepts, said_by: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """For each completion, its text and the keywords that a callable takes.

        Raises:
            DataError: if it requires something that this batch does not hold.
        """
        columns = accepts.pick(self.offered())
        if missing := sorted(accepts.required - set(columns)):
            raise DataError(
                f"{said_by} needs {', '.join(map(repr, missing))}; there is "
                f"{', '.join(sorted(self.offered())) or 'nothing but the text'}"
            )
        for index, text in enumerate(self.texts):
            yield text, {name: values[index] for name, values in columns.items()}


class Failed(float):
    """The lowest value of a range, given to a completion that could not be judged; `kind` says why.

    It is never cached: what ran out of time may be in time when it is scored again.
    """

    kind: str

    def __new__(cls, value: float, kind: str) -> Self:
        made = super().__new__(cls, value)
        made.kind = kind
        return made

    def __reduce__(self) -> tuple[type[Failed], tuple[float, str]]:
        return Failed, (float(self), self.kind)

    # It shows itself as the number it is.
    __repr__ = float.__repr__


# `fail` is called from several threads; counting is quick, so that one lock serves all rewards.
_COUNTING = threading.Lock()


class SampleError(RewardError):
    """A reward raised on one completion; `index` says which, `__cause__` holds what it raised."""

    def __init__(self, name: str, index: int, error: Exception) -> None:
        super().__init__(
            f"reward {name!r} raised {type(error).__name__} on sample {index}: {error}"
        )
        self.index = index


class RewardFunction:
    """Base of rewards; parameters come through the constructor.

    Override `compute(self, text, reference=None, **columns)`, declaring the columns it reads, also
    as `async def`, or `compute_batch`, or `acompute_batch`. Return None where the reward does not
    apply to a row; raise what Python raises when something is wrong: the engine names the reward
    and the sample. Override `load` if weights must be loaded first.

    `name`: what it is called in logs. `version`: changes when its values change.
    `requires`: what the data must bring: `"reference"`, or names of columns.
    `range`: lowest and highest value; what is the completion's own fault (it cannot be parsed, it
    runs out of time) earns the lowest. `deterministic`: the same input always gives the same value.
    `cost`: `"inline"` (microseconds), `"process"` or `"model"`. `timeout`: seconds that one
    completion may take, for `"process"`: the engine calls `compute` in worker processes of its own,
    bounded in number, and kills one that takes longer; the completion then earns the lowest value.
    `own_processes`: a `"process"` reward that starts and kills processes itself; the engine calls
    its `compute` from several threads at once.
    `failures`: how often completions earned the lowest value without being judged, and why.
    """

    name: str = ""
    version: str = "1"
    requires: frozenset[str] = frozenset()
    range: tuple[float, float] = (float("-inf"), float("inf"))
    deterministic: bool = True
    cost: Literal["inline", "process", "model"] = "inline"
    timeout: float | None = None
    own_processes: bool = False
    # Kinds of failure that are ordinary in an untrained model, and logged at level DEBUG.
    quiet: frozenset[str] = frozenset()
    _alone: Any = None  # the scorer of this reward, once TRL has called it

    methods: ClassVar[tuple[str, ...]] = ("compute", "compute_batch", "acompute_batch")

    @property
    def cached(self) -> bool:
        """Whether values are kept, for when the same is to be scored again."""
        return self.deterministic and self.cost == "process"

    @property
    def label(self) -> str:
        """The name, or that of the class where none is set."""
        return self.name or type(self).__qualname__.rpartition(".")[2]

    @property
    def __name__(self) -> str:
        """The name under which TRL logs it."""
        return self.label

    def __call__(self, /, *args: Any, **kwargs: Any) -> list[float]:
        """Score a batch as TRL's trainers hand it over: `prompts`, `completions` and columns.

        The same as `aligntune.rewards(self)`: always finite numbers, or an error.

        Raises:
            RewardError: if it raises, or gives no finite number for a completion.
        """
        from aligntune.scoring.combine import Scorer
        from aligntune.scoring.parts import Part

        if self._alone is None:
            vars(self)["_alone"] = Scorer([Part(self.label, self)])  # it may be frozen
        totals: list[float] = self._alone.handed_over(*args, **kwargs).totals
        return totals

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_alone"}

    @property
    def needs(self) -> frozenset[str]:
        """What the data must bring: `requires`, and what `compute` declares without a default."""
        declared = self.accepts.required if self._overrides("compute") else frozenset()
        return (self.requires | declared) - ENGINE_COLUMNS

    @cached_property
    def failures(self) -> Counter[str]:
        """How often `fail` was called, by the kind of failure."""
        return Counter()

    def fail(self, kind: str) -> float:
        """Count a failure that is the completion's own fault; returns the lowest value.

        `kind` says in a word or two what happened: `"timeout"`, `"unparseable"`.

        Raises:
            ValueError: if the reward declares no finite range.
        """
        low = self.range[0]
        if not math.isfinite(low):
            raise ValueError(
                f"reward {self.label!r} failed ({kind}) and has no lowest value: declare `range`"
            )
        with _COUNTING:
            self.failures[kind] += 1
        return Failed(low, kind)

    def count(self, value: object) -> None:
        """Count a failure that `fail` returned in another process."""
        if isinstance(value, Failed):
            with _COUNTING:
                self.failures[value.kind] += 1

    def load(self) -> None:
        """Load what scoring needs, such as weights; called before the policy is loaded.

        Raises:
            AlignTuneError: if it cannot be loaded; says which parameter to set.
        """

    def record(self) -> dict[str, Any]:
        """What the record of a run says of this reward beside its parameters, as plain values."""
        return {}

    # `*args, **kwargs` lets a subclass declare just the columns that it reads.
    def compute(self, text: str, /, *args: Any, **kwargs: Any) -> float | None:
        """Score one completion; None means that the reward does not apply to this row."""
        raise NotImplementedError(f"{type(self).__name__} scores whole batches; call compute_batch")

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        """Score a batch, one value per completion; by default `compute` on each.

        Raises:
            SampleError: if `compute` raises.
            DataError: if `compute` requires something that the batch does not hold.
        """
        if self._awaits or (self._overrides("acompute_batch") and not self._overrides("compute")):
            return run_async(self.acompute_batch(batch))
        values: list[float | None] = []
        for index, (text, columns) in enumerate(batch.calls(self.accepts, self.label)):
            try:
                values.append(self.compute(text, **columns))
            except Exception as error:
                raise SampleError(self.label, index, error) from error
        return values

    async def acompute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        """Score a batch without blocking; override it where a reward waits for something."""
        if not self._awaits:
            return self.compute_batch(batch)
        calls = enumerate(batch.calls(self.accepts, self.label))
        return await asyncio.gather(*(self._one(i, text, columns) for i, (text, columns) in calls))

    async def _one(self, index: int, text: str, columns: Mapping[str, Any]) -> float | None:
        try:
            value: float | None = await self.compute(text, **columns)  # type: ignore[misc]
        except Exception as error:
            raise SampleError(self.label, index, error) from error
        return value

    @property
    def _awaits(self) -> bool:
        """Whether `compute` is `async def`; the texts of a batch are then scored concurrently."""
        return inspect.iscoroutinefunction(self.compute)

    @cached_property
    def accepts(self) -> Accepts:
        """What `compute` takes beside the text, read once."""
        return Accepts.read(self.compute, self.label)

    @classmethod
    def _overrides(cls, method: str) -> bool:
        return getattr(cls, method) is not getattr(RewardFunction, method)

    @property
    def scores_single_texts(self) -> bool:
        """Whether `compute` is all there is, so that each text may be scored apart."""
        batches = self._overrides("compute_batch") or self._overrides("acompute_batch")
        return self._overrides("compute") and not batches and not self._awaits

    @property
    def is_async(self) -> bool:
        """Whether scoring waits for something else, such as a server."""
        return self._overrides("acompute_batch") or self._awaits

    @classmethod
    def scores(cls) -> bool:
        """Whether this class has a way to score."""
        return any(cls._overrides(method) for method in cls.methods)


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, on the event loop that all rewards of this process share.

    So what belongs to a loop, such as a client's connections or a semaphore, serves every batch.
    """
    if _running_loop() in _ours:  # a coroutine of such a loop waits for this one
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_run_apart, coroutine).result()
    future = asyncio.run_coroutine_threadsafe(coroutine, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


_loops: dict[int, asyncio.AbstractEventLoop] = {}
_ours: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_beginning = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """The loop of this process; a forked one has its own."""
    with _beginning:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            _ours.add(loop)
            name = "aligntune-async-rewards"
            threading.Thread(target=_serve, args=(loop,), name=name, daemon=True).start()
        return loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        # Raised within a task, these leave the loop; its caller waits for what it does next.
        with contextlib.suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()


def _run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner() as runner:
        _ours.add(runner.get_loop())
        return runner.run(coroutine)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
