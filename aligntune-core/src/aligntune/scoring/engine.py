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
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from aligntune.errors import ConfigError
from aligntune.processes import WorkerCrashError, Workers, WorkerTimeoutError, cores
from aligntune.scoring.cache import VALUES, keys_of, state_of
from aligntune.scoring.protocol import Failed, RewardBatch, RewardFunction, SampleError
from aligntune.scoring.reward_process import packed, unpacked

__all__ = ["TIMEOUT", "close_processes", "computed", "prepare", "side_by_side"]

TIMEOUT = 10.0
"""Seconds that a completion may take where a `"process"` reward says nothing else."""

_PROGRAM = Path(__file__).with_name("reward_process.py")
_WAITING = 4  # threads per core that wait for processes; see `Workers.most`

T = TypeVar("T")
Value = float | None
Call = tuple[str, dict[str, Any]]

# By the identity of a reward, since one that compares by value, as data classes do, has no hash.
_workers: dict[int, tuple[bytes | None, Workers]] = {}
_making = threading.RLock()
# Of the thread of a job: tells it that nobody waits for it any more.
_job = threading.local()


def side_by_side(jobs: Mapping[str, tuple[RewardFunction, Callable[[], T]]]) -> dict[str, T]:
    """Do one job per reward, those that only wait at the same time; results in the order given.

    Raises:
        Exception: what a job raised.
    """
    waiting = {name: job for name, (reward, job) in jobs.items() if _only_waits(reward)}
    if len(jobs) == 1 or not waiting:
        return {name: job() for name, (_, job) in jobs.items()}
    given_up = threading.Event()
    try:
        begun = {name: _begun(job, given_up) for name, job in waiting.items()}
        here = {name: job() for name, (_, job) in jobs.items() if name not in begun}
        done, _ = wait(begun.values(), return_when="FIRST_EXCEPTION")
        for future in done:
            future.result()
        return {name: begun[name].result() if name in begun else here[name] for name in jobs}
    except BaseException:
        given_up.set()
        for name in waiting:
            _kill_processes(jobs[name][0])
        raise


def _begun(job: Callable[[], T], given_up: threading.Event) -> Future[T]:
    """Do a job on a thread of its own, for which the interpreter does not wait when it ends."""
    future: Future[T] = Future()

    def work() -> None:
        _job.given_up = given_up
        try:
            future.set_result(job())
        except BaseException as error:  # noqa: BLE001 - carried over to the waiting thread
            future.set_exception(error)

    threading.Thread(target=work, name="aligntune-rewards", daemon=True).start()
    return future


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
    with _making:
        _, workers = _workers.pop(id(reward), (None, None))
    if workers is not None:
        workers.close()


def prepare(reward: RewardFunction) -> None:
    """Make sure that a reward which works in processes of the engine's can be sent to them.

    Raises:
        ConfigError: if it cannot be pickled.
    """
    if reward.cost == "process" and reward.scores_single_texts and not reward.own_processes:
        _workers_of(reward)


def _kill_processes(reward: RewardFunction) -> None:
    """End them amid their work, for which nobody waits any more."""
    _, workers = _workers.get(id(reward), (None, None))
    if workers is not None:
        workers.kill()


def _only_waits(reward: RewardFunction) -> bool:
    return reward.cost == "process" or reward.is_async


def _each(reward: RewardFunction, calls: Sequence[Call], wanted: Sequence[int]) -> list[Value]:
    """The values of some calls, several at a time; the first that raises ends it."""
    if not wanted:
        return []
    given_up: threading.Event = getattr(_job, "given_up", None) or threading.Event()
    compute = reward.compute if reward.own_processes else _in_a_process(reward, given_up)

    def one(index: int) -> Value:
        text, columns = calls[index]
        if given_up.is_set():
            raise CancelledError
        try:
            value: Value = compute(text, **columns)
        except Exception as error:
            raise SampleError(reward.label, index, error) from error
        return value

    if len(wanted) == 1:
        return [one(wanted[0])]
    threads = min(len(wanted), _WAITING * cores())
    pool = ThreadPoolExecutor(threads, thread_name_prefix=f"reward-{reward.label}")
    try:
        futures: list[Future[Value]] = [pool.submit(one, index) for index in wanted]
        done, _ = wait(futures, return_when="FIRST_EXCEPTION")
        failed = next((f for f in futures if f in done and f.exception()), None)
        if failed is not None:
            raise failed.exception()  # type: ignore[misc]
        return [future.result() for future in futures]
    except BaseException:
        given_up.set()
        pool.shutdown(wait=False, cancel_futures=True)
        if not reward.own_processes:
            _kill_processes(reward)
        raise
    finally:
        pool.shutdown()


def _in_a_process(reward: RewardFunction, given_up: threading.Event) -> Callable[..., Value]:
    """`compute`, as it is called in worker processes of the engine's own."""
    workers = _workers_of(reward)
    timeout = TIMEOUT if reward.timeout is None else reward.timeout

    def compute(text: str, **columns: Any) -> Value:
        try:
            request = {"call": packed((text, columns)), "seconds": timeout}
            answer = workers.call(request, timeout)
        except WorkerTimeoutError:
            return reward.fail("timeout")
        except WorkerCrashError:
            if given_up.is_set():  # it was killed from here
                raise
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
    """The processes that have a reward as it is now: a parameter that is changed begins others."""
    with _making:
        state = state_of(reward)
        known, workers = _workers.get(id(reward), (None, None))
        if workers is not None and known == state:
            return workers
        if workers is None:
            weakref.finalize(reward, _workers.pop, id(reward), None)
        try:
            sent = packed(reward, _by_value_where_needed)
        except Exception as error:
            raise ConfigError(
                f"reward {reward.label!r} works in processes, and cannot be sent to one: {error}; "
                "make what cannot be pickled within `compute`, or leave it out in `__getstate__`"
            ) from error
        made = Workers(_PROGRAM, {"path": sys.path, "reward": sent})
        _workers[id(reward)] = state, made
        return made


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
    """Whether another process with the same search path finds a module.

    Asked are the finders, as packages that are installed to be edited bring some of their own.
    """
    top = name.partition(".")[0]
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
    return any(finder.find_spec(top, None) is not None for finder in finders)
