"""Values that were computed before, of rewards that are slow and always give the same.

Kept are the values of deterministic rewards of the cost `"process"`, and of others that set
`cached`. Values of models are not: their last digits depend on the batch that they are computed
in, so a run that resumes with an empty cache would differ from one that was never stopped. A
`Failed` value is not kept either: what ran out of time may be in time the next time.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from aligntune.scoring.protocol import RewardFunction

__all__ = ["VALUES", "ValueCache", "key_of"]


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


def key_of(reward: RewardFunction, text: str, columns: Mapping[str, Any]) -> bytes | None:
    """What a value depends on: name, version and parameters of the reward, the text, the columns.

    `columns`: the reference and the columns that the reward reads. None where the reward is not to
    be cached, or something of this cannot be pickled.
    """
    if not reward.cached:
        return None
    kind = type(reward)
    whose = (kind.__module__, kind.__qualname__, reward.label, reward.version, reward.made_with)
    try:
        whole = pickle.dumps((whose, text, sorted(columns.items())), protocol=5)
    except Exception:  # noqa: BLE001 - pickling runs code of the values' own
        return None
    return hashlib.blake2b(whole, digest_size=16).digest()
