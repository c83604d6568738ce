"""Values that were computed before, of rewards that are slow and always give the same.

Kept are the values of deterministic rewards of the cost `"process"`, and of others that set
`cached`. Values of models are not: their last digits depend on the batch that they are computed
in, so a run that resumes with an empty cache would differ from one that was never stopped. A
`Failed` value is not kept either: what ran out of time may be in time the next time.
"""

from __future__ import annotations

import hashlib
import itertools
import pickle
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aligntune.scoring.protocol import RewardFunction

__all__ = ["VALUES", "ValueCache", "keys_of", "state_of"]

# A class that is defined anew, as in a notebook, is another one under the same name.
_classes: weakref.WeakKeyDictionary[type, int] = weakref.WeakKeyDictionary()
_next_class = itertools.count()


class ValueCache:
    """The values of the `most` calls that were used last; any thread may use it."""

    def __init__(self, most: int = 200_000) -> None:
        self.most = most
        self._values: OrderedDict[bytes, float | None] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = 0

    def __len__(self) -> int:
        return len(self._values)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, float | None]:
        """The values of those keys that are there."""
        with self._lock:
            found = {key: self._values[key] for key in keys if key in self._values}
            for key in found:
                self._values.move_to_end(key)
            self.hits += len(found)
            return found

    def put(self, key: bytes, value: float | None) -> None:
        """Keep a value; the one that was used longest ago goes if there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self.most:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self.hits = 0


VALUES = ValueCache()
"""The cache of this process."""


def keys_of(
    reward: RewardFunction, calls: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[bytes | None]:
    """For each call, what its value depends on: the reward and its parameters, text and columns.

    `calls`: of each completion the text, and the columns that the reward reads, the reference among
    them. None where the reward is not to be cached, or something of this cannot be pickled.
    """
    if not reward.cached:
        return [None] * len(calls)
    whose = state_of(reward)
    return [None if whose is None else _key(whose, text, columns) for text, columns in calls]


def state_of(reward: RewardFunction) -> bytes | None:
    """The class, name, version and parameters of a reward; None where they cannot be pickled."""
    kind = type(reward)
    if kind not in _classes:
        _classes[kind] = next(_next_class)
    state = reward.__getstate__()  # without locks and processes, as it travels to others
    own = {k: v for k, v in state.items() if k not in ("failures", "accepts")}
    return _pickled((_classes[kind], reward.label, reward.version, own))


def _key(whose: bytes, text: str, columns: Mapping[str, Any]) -> bytes | None:
    rest = _pickled((text, sorted(columns.items())))
    return None if rest is None else hashlib.blake2b(whose + rest, digest_size=16).digest()


def _pickled(value: object) -> bytes | None:
    try:
        return pickle.dumps(value, protocol=5)
    except Exception:  # noqa: BLE001 - pickling runs code of the values' own
        return None
