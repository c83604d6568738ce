"""A model that is loaded already, as lm-eval's evaluator wants it, and what it was asked before.

Requests that a killed evaluation has answered are taken from the store. What is sampled is asked
again, because each answer depends on those before it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lm_eval.api.instance import Instance

    from aligntune.evaluation import Store
    from aligntune.evaluation.protocol import Progress

__all__ = ["LoadedLM"]

_AT_ONCE = 64  # answers that are written together,
_SECONDS = 5.0  # or after so long
_WHAT = {"generate_until": "generating"}


class LoadedLM(HFLM):  # type: ignore[misc]
    """lm-eval's own class for models of transformers, around a model and a tokenizer.

    The tokenizer is copied, because lm-eval gives it a padding token and side.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch_size: int,
        progress: Progress | None,
        store: Store | None,
    ) -> None:
        super().__init__(
            pretrained=model,
            tokenizer=copy.deepcopy(tokenizer),
            batch_size=batch_size,
            backend="causal",
        )
        self._progress = progress
        self._store = store

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        def ask(rest: list[Instance]) -> list[tuple[float, bool]]:
            answers: list[tuple[float, bool]] = HFLM.loglikelihood(self, rest, disable_tqdm=True)
            return answers

        return [(float(a[0]), bool(a[1])) for a in self._kept("loglikelihood", requests, ask)]

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = True
    ) -> list[float]:
        # lm-eval answers only when it has all; in parts, those that are done are kept.
        step = max(_AT_ONCE, self.batch_size)

        def ask(rest: list[Instance]) -> list[float]:
            answers: list[float] = []
            for start in range(0, len(rest), step):
                part = rest[start : start + step]
                answers += HFLM.loglikelihood_rolling(self, part, disable_tqdm=True)
            return answers

        return self._kept("loglikelihood_rolling", requests, ask)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        def ask(rest: list[Instance]) -> list[str]:
            answers: list[str] = HFLM.generate_until(self, rest, disable_tqdm=True)
            return answers

        return self._kept("generate_until", requests, ask)

    def _loglikelihood_tokens(self, *args: Any, **options: Any) -> Any:
        return super()._loglikelihood_tokens(*args, **{**options, "disable_tqdm": True})

    def _kept(
        self, kind: str, requests: list[Instance], ask: Callable[[list[Instance]], Sequence[Any]]
    ) -> list[Any]:
        """Answers in the order of the requests: those in the store, and `ask` for the rest."""
        answers: list[Any] = [None] * len(requests)
        left: list[int] = []
        for place, request in enumerate(requests):
            known = None if self._store is None else self._store.get(_key(kind, request.args))
            if known is None or _sampled(kind, request.args):
                left.append(place)
            else:
                answers[place] = known["answer"]
        keeper = _Keeper(kind, self._store, self._progress, len(requests), len(left))
        self.cache_hook = keeper
        try:
            asked = ask([requests[place] for place in left]) if left else []
        finally:
            keeper.write()
        for place, answer in zip(left, asked, strict=True):
            answers[place] = answer
        return answers


class _Keeper:
    """Told each answer as it comes: puts it into the store, and says how far the work is."""

    def __init__(
        self, kind: str, store: Store | None, progress: Progress | None, total: int, left: int
    ) -> None:
        self._what = _WHAT.get(kind, "scoring")
        self._store = store
        self._progress = progress
        self._total = total
        self._done = total - left
        self._new: dict[str, Any] = {}
        self._since = time.monotonic()

    def add_partial(self, kind: str, arguments: tuple[Any, ...], answer: Any) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._what, min(self._done, self._total), self._total)
        if self._store is None or _sampled(kind, arguments):
            return
        self._new[_key(kind, arguments)] = {"answer": answer}
        if len(self._new) >= _AT_ONCE or time.monotonic() - self._since > _SECONDS:
            self.write()

    def write(self) -> None:
        """Put what is new into the store."""
        if self._store is not None and self._new:
            self._store.put(self._new)
        self._new = {}
        self._since = time.monotonic()


def _sampled(kind: str, arguments: tuple[Any, ...]) -> bool:
    # A temperature alone makes lm-eval sample, too.
    return kind == "generate_until" and bool(normalize_gen_kwargs(arguments[1])["do_sample"])


def _key(kind: str, arguments: tuple[Any, ...]) -> str:
    text = json.dumps([kind, *arguments], sort_keys=True, ensure_ascii=False, default=str)
    return f"lm_eval/{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()}"
