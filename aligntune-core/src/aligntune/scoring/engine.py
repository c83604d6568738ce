"""Scores a batch with one reward or with several: at the same time where they wait, and killable.

Inline rewards and those with a model are called one after the other, on the caller's thread (where
the right GPU is current). Rewards of the cost `"process"`, and asynchronous ones, go on meanwhile
on threads of their own, which only wait: the work is done in worker processes, whose number is
bounded and which are killed when they take too long.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, TypeVar

from aligntune.processes import WorkerCrashError, Workers, WorkerTimeoutError, cores
from aligntune.scoring.cache import VALUES, keys_of
from aligntune.scoring.protocol import Failed, RewardBatch, RewardFunction, SampleError
from aligntune.scoring.reward_process import packed, unpacked

__all__ = ["TIMEOUT", "close_processes", "computed", "side_by_side"]

TIMEOUT = 10.0
"""Seconds that a completion may take where a `"process"` reward says nothing else."""

_PROGRAM = Path(__file__).with_name("reward_process.py")
_WAITING = 4  # threads per core that wait for processes; see `Workers.most`

T = TypeVar("T")
Value = float | None
Call = tuple[str, dict[str, Any]]

_workers: weakref.WeakKeyDictionary[RewardFunction, Workers] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def side_by_side(jobs: Mapping[str, tuple[RewardFunction, Callable[[], T]]]) -> dict[str, T]:
    """Do one job per reward, those that only wait at the same time; results in the order given.

    Raises:
        Exception: what a job raised.
    """
    waiting = {name: job for name, (reward, job) in jobs.items() if _only_waits(reward)}
    if len(jobs) == 1 or not waiting:
        return {name: job() for name, (_, job) in jobs.items()}
    pool = ThreadPoolExecutor(len(waiting), thread_name_prefix="aligntune-rewards")
    try:
        begun = {name: pool.submit(job) for name, job in waiting.items()}
        here = {name: job() for name, (_, job) in jobs.items() if name not in begun}
        return {name: begun[name].result() if name in begun else here[name] for name in jobs}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def computed(reward: RewardFunction, batch: RewardBatch) -> Sequence[Value]:
    """The values of a batch: by `compute_batch`, or side by side for a `"process"` reward.

    Raises:
        SampleError: if `compute` raises. DataError: if the batch lacks what the reward requires.
    """
    if reward.cost != "process" or not reward.scores_single_texts:
        return reward.compute_batch(batch)
    calls = list(batch.calls(reward.accepts, reward.label))
    keys = keys_of(reward, calls)
    known = VALUES.find(key for key in keys if key is not None)
    # Each different completion once; one without a key is different from all others.
    first: dict[bytes | int, int] = {}
    for index, key in enumerate(keys):
        first.setdefault(index if key is None else key, index)
    wanted = [index for key, index in first.items() if key not in known]
    new = dict(zip(wanted, _each(reward, calls, wanted), strict=True))
    for index, value in new.items():
        key = keys[index]
        if key is not None and not isinstance(value, Failed):
            VALUES.put(key, value)
    return [
        new[index] if key is None else known[key] if key in known else new[first[key]]
        for index, key in enumerate(keys)
    ]


def close_processes(reward: RewardFunction) -> None:
    """End the worker processes that the engine started for a reward."""
    workers = _workers.pop(reward, None)
    if workers is not None:
        workers.close()


def _only_waits(reward: RewardFunction) -> bool:
    return reward.cost == "process" or reward.is_async


def _each(reward: RewardFunction, calls: Sequence[Call], wanted: Sequence[int]) -> list[Value]:
    """The values of some calls, several at a time; the first that raises ends it."""
    if not wanted:
        return []
    compute = reward.compute if reward.own_processes else _in_a_process(reward)

    def one(index: int) -> Value:
        text, columns = calls[index]
        try:
            value: Value = compute(text, **columns)
        except Exception as error:
            raise SampleError(reward.label, index, error) from error
        return value

    if len(wanted) == 1:
        return [one(wanted[0])]
    threads = min(len(wanted), _WAITING * cores())
    with ThreadPoolExecutor(threads, thread_name_prefix=f"reward-{reward.label}") as pool:
        futures: list[Future[Value]] = [pool.submit(one, index) for index in wanted]
        wait(futures, return_when="FIRST_EXCEPTION")
        for future in futures:
            future.cancel()
        failed = next((f for f in futures if not f.cancelled() and f.exception()), None)
        if failed is not None:
            raise failed.exception()  # type: ignore[misc]
        return [future.result() for future in futures]


def _in_a_process(reward: RewardFunction) -> Callable[..., Value]:
    """`compute`, as it is called in worker processes of the engine's own."""
    workers = _workers_of(reward)
    timeout = TIMEOUT if reward.timeout is None else reward.timeout

    def compute(text: str, **columns: Any) -> Value:
        try:
            answer = workers.call({"call": packed((text, columns))}, timeout)
        except WorkerTimeoutError:
            return reward.fail("timeout")
        except WorkerCrashError:
            return reward.fail("crash")
        if "raised" in answer:
            error: Exception = unpacked(answer["raised"])
            error.add_note(answer["trace"])
            raise error
        value: Value = unpacked(answer["value"])
        reward.count(value)
        return value

    return compute


def _workers_of(reward: RewardFunction) -> Workers:
    with _making:
        workers = _workers.get(reward)
        if workers is None:
            first = {"path": sys.path, "reward": packed(reward, _by_value_where_needed)}
            workers = _workers[reward] = Workers(_PROGRAM, first)
        return workers


def _by_value_where_needed(reward: RewardFunction) -> bytes:
    """Pickle a reward, with its code where another process could not import that.

    So rewards of notebooks, scripts and test files work too.
    """
    import cloudpickle

    code: list[Any] = [*type(reward).__mro__, getattr(reward, "function", None)]
    names = {getattr(each, "__module__", None) for each in code}
    strange = [sys.modules[name] for name in names if name in sys.modules and not _found(name)]
    for module in strange:
        cloudpickle.register_pickle_by_value(module)
    try:
        found: bytes = cloudpickle.dumps(reward)
    finally:
        for module in strange:
            cloudpickle.unregister_pickle_by_value(module)
    return found


def _found(name: str) -> bool:
    """Whether another process with the same search path finds a module."""
    top = name.partition(".")[0]
    return top in sys.builtin_module_names or PathFinder.find_spec(top) is not None
