"""Rewards in processes: side by side, bounded, killed when they take too long, cached."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

import aligntune
from aligntune import plugins as installed
from aligntune.config import RewardConfig
from aligntune.errors import ConfigError, RewardError
from aligntune.plugins import Plugins
from aligntune.processes import Worker, WorkerCrashError, Workers, WorkerTimeoutError, cores
from aligntune.scoring import (
    Failed,
    Part,
    RewardBatch,
    RewardFunction,
    Scorer,
    as_reward,
    build_scorer,
)
from aligntune.scoring.cache import VALUES
from aligntune.scoring.engine import _found, close_processes, computed


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    VALUES.clear()


class Pid(RewardFunction):
    """The process that scores; `random`, so nothing is cached."""

    name = "pid"
    range = (0.0, math.inf)
    cost = "process"
    deterministic = False

    def compute(self, text: str, reference: Any = None) -> float:
        time.sleep(0.05)
        return float(os.getpid())


class Slow(RewardFunction):
    """Does what its text says, in a process."""

    name = "slow"
    range = (-1.0, 1.0)
    cost = "process"
    timeout = 1.0

    def __init__(self, marks: str = "") -> None:
        self.marks = marks

    def compute(self, text: str) -> float | None:
        if self.marks:
            with Path(self.marks).open("a") as file:
                file.write(f"{text}\n")
        if text == "hang":
            while True:
                pass
        if text == "sleep":
            subprocess.run(["sleep", "54321"], check=True)
        if text == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "exit":
            sys.exit(3)
        if text == "print":
            print('{"value": "forged"}')
        if text == "fail":
            return self.fail("unparseable")
        if text == "raise":
            raise KeyError("no such thing")
        return None if text == "none" else float(len(text)) / 10


@pytest.fixture
def slow(tmp_path: Path) -> Any:
    reward = Slow(str(tmp_path / "marks"))
    yield reward
    close_processes(reward)


@pytest.fixture
def plugins() -> Iterator[Plugins]:
    """The plugins of this process; what a test registers is forgotten."""
    yield installed.get()
    installed.configure()


def marks(reward: Slow) -> list[str]:
    return Path(reward.marks).read_text().split()


def running(command: str) -> list[Path]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if command.encode() in text.replace(b"\0", b" "):
            found.append(path)
    return found


def test_compute_runs_in_other_processes_as_many_as_there_are_cores() -> None:
    reward = Pid()
    pids = {value for value in computed(reward, RewardBatch(["x"] * 8)) if value is not None}
    assert float(os.getpid()) not in pids
    assert len(pids) == cores()
    close_processes(reward)
    assert [pid for pid in pids if Path(f"/proc/{pid:.0f}").exists()] == []


@pytest.mark.parametrize("text", ["hang", "sleep"])
def test_what_takes_too_long_is_killed_and_earns_the_lowest_value(slow: Slow, text: str) -> None:
    values = computed(slow, RewardBatch([text, "abc", "abcd"]))
    assert values == [-1.0, 0.3, 0.4]
    assert isinstance(values[0], Failed)
    assert slow.failures == {"timeout": 1}
    assert running("sleep 54321") == []


class Leaves(RewardFunction):
    """Leaves a process of another session behind, which holds its pipes."""

    cost = "process"
    range = (0.0, 1.0)
    timeout = 2.0

    def compute(self, text: str, left: str) -> float:
        pid = os.fork()
        if pid:
            Path(left).write_text(str(pid))
        else:
            os.setsid()
        time.sleep(120)
        return 1.0


def test_what_is_left_in_another_session_holds_nothing_up(tmp_path: Path) -> None:
    reward, left = Leaves(), tmp_path / "left"
    assert computed(reward, RewardBatch(["x"], columns={"left": [str(left)]})) == [0.0]
    os.kill(int(left.read_text()), signal.SIGKILL)  # it is still there
    close_processes(reward)


def test_a_process_that_closes_its_pipes_is_no_process(tmp_path: Path) -> None:
    program = tmp_path / "closes.py"
    program.write_text(
        "import json, os, sys, time\n"
        "print(json.dumps({'ready': True}), flush=True)\n"
        "sys.stdin.readline()\n"
        "os.closerange(0, 2)\n"
        "time.sleep(120)\n"
    )
    worker = Worker(program)
    with pytest.raises(WorkerCrashError, match="it closed its pipes"):
        worker.call({}, 60.0)
    assert worker.pid is None


ORPHAN = """
import os, re
from aligntune.scoring import RewardBatch, RewardFunction
from aligntune.scoring.engine import computed

class Holds(RewardFunction):
    cost = "process"
    range = (0.0, 1.0)
    timeout = 3.0
    def compute(self, text):
        print(os.getpid(), file=open("pid", "w"), flush=True)
        return float(re.match("(a+)+$", text) is not None)

computed(Holds(), RewardBatch(["a" * 64 + "b"]))
"""


def test_a_process_that_holds_its_lock_ends_though_its_parent_was_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN], cwd=tmp_path)
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    for _ in range(1200):
        if not lives(int(pid.read_text())):
            return
        time.sleep(0.1)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    pytest.fail("it went on without its parent")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
def test_when_the_caller_is_interrupted_nothing_goes_on(
    tmp_path: Path, beside: bool, request: pytest.FixtureRequest
) -> None:
    slow = Hangs(str(tmp_path / "marks"))
    # In the background of a shell, Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def when_it_has_begun() -> None:
        while not Path(slow.marks).exists():
            time.sleep(0.01)

    def interrupted(completions: list[str]) -> list[float]:
        when_it_has_begun()
        raise KeyboardInterrupt

    def interrupt() -> None:
        when_it_has_begun()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    if not beside:
        threading.Thread(target=interrupt).start()
    parts = [Part("slow", slow), *([Part("i", as_reward(interrupted))] if beside else [])]
    texts = [str(index) for index in range(40)]
    with pytest.raises(KeyboardInterrupt):
        Scorer(parts)(["p"] * 40, texts)
    for thread in threading.enumerate():
        if thread.name.startswith(("aligntune-rewards", "reward-")):
            thread.join()
    assert len(Path(slow.marks).read_text().splitlines()) < 40
    assert slow.failures == {}


class Hangs(Slow):
    timeout = 300.0

    def compute(self, text: str) -> float | None:
        with Path(self.marks).open("a") as file:
            file.write(f"{text}\n")
        time.sleep(300)
        return 1.0


def test_a_process_that_dies_is_the_completions_fault(slow: Slow) -> None:
    assert computed(slow, RewardBatch(["crash", "ab", "fail"])) == [-1.0, 0.2, -1.0]
    assert slow.failures == {"crash": 1, "unparseable": 1}


def test_what_it_prints_is_no_answer(slow: Slow) -> None:
    assert computed(slow, RewardBatch(["print", "none"])) == [0.5, None]


@pytest.mark.parametrize(
    ("text", "raised"), [("raise", "KeyError: 'no such thing'"), ("exit", "SystemExit: 3")]
)
def test_what_it_raises_is_told_with_the_sample(slow: Slow, text: str, raised: str) -> None:
    scorer = Scorer([Part("mine", slow)])
    with pytest.raises(RewardError, match=raised) as caught:
        scorer(["p", "q"], ["ok", text])
    assert "reward 'mine'" in str(caught.value)
    assert f"sample 1 of 2 (prompt 'q', completion '{text}')" in str(caught.value)
    notes = "".join(caught.value.__cause__.__notes__)  # type: ignore[union-attr]
    assert "test_scoring_engine.py" in notes, "where it was raised is not lost"


def test_each_different_completion_is_scored_once_and_kept(slow: Slow) -> None:
    assert computed(slow, RewardBatch(["a", "bb", "a"])) == [0.1, 0.2, 0.1]
    assert sorted(marks(slow)) == ["a", "bb"]
    assert computed(slow, RewardBatch(["bb", "ccc"])) == [0.2, 0.3]
    assert sorted(marks(slow)) == ["a", "bb", "ccc"]


def test_a_failure_is_not_kept(slow: Slow) -> None:
    for _ in range(2):
        assert computed(slow, RewardBatch(["fail"])) == [-1.0]
    assert marks(slow) == ["fail", "fail"]
    assert slow.failures == {"unparseable": 2}


class Scaled(RewardFunction):
    cost = "process"
    own_processes = True
    calls = 0

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def compute(self, text: str, reference: Any, extra: Any = None) -> float:
        Scaled.calls += 1
        return self.factor * len(text + str(reference) + str(extra or ""))


@pytest.mark.parametrize(
    ("first", "second", "calls"),
    [
        ((1.0, "a", "r", None), (1.0, "a", "r", None), 1),
        ((1.0, "a", "r", None), (2.0, "a", "r", None), 2),
        ((1.0, "a", "r", None), (1.0, "b", "r", None), 2),
        ((1.0, "a", "r", None), (1.0, "a", "s", None), 2),
        ((1.0, "a", 1, None), (1.0, "a", True, None), 2),
        ((1.0, "a", "r", "x"), (1.0, "a", "r", "y"), 2),
    ],
)
def test_a_value_depends_on_parameters_text_reference_and_columns(
    first: tuple[Any, ...], second: tuple[Any, ...], calls: int
) -> None:
    Scaled.calls = 0
    for factor, text, reference, extra in (first, second):
        columns = {"unused": [object()]} | ({} if extra is None else {"extra": [extra]})
        batch = RewardBatch([text], references=[reference], columns=columns)
        assert computed(Scaled(factor), batch) == [
            factor * len(text + str(reference) + str(extra or ""))
        ]
    assert Scaled.calls == calls


def test_a_changed_parameter_is_another_value() -> None:
    reward = Scaled(1.0)
    batch = RewardBatch(["a"], references=["r"])
    assert computed(reward, batch) == [2.0]
    reward.factor = 3.0
    assert computed(reward, batch) == [6.0]


def test_another_version_is_another_value() -> None:
    reward, Scaled.calls = Scaled(1.0), 0
    computed(reward, RewardBatch(["a"], references=["r"]))
    reward.version = "2"
    computed(reward, RewardBatch(["a"], references=["r"]))
    assert Scaled.calls == 2


class Factor(RewardFunction):
    cost = "process"
    range = (0.0, math.inf)

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def compute(self, text: str) -> float:
        return self.factor * len(text)


def test_a_changed_parameter_reaches_the_processes() -> None:
    reward = Factor(1.0)
    assert computed(reward, RewardBatch(["a"])) == [1.0]
    reward.factor = 3.0
    assert computed(reward, RewardBatch(["a", "bb"])) == [3.0, 6.0]
    close_processes(reward)


def test_a_class_that_is_defined_anew_is_another() -> None:
    def define(value: float) -> RewardFunction:
        class Mine(RewardFunction):
            cost = "process"
            own_processes = True

            def compute(self, text: str) -> float:
                return value

        return Mine()

    assert [computed(define(value), RewardBatch(["a"])) for value in (1.0, 2.0)] == [[1.0], [2.0]]


@dataclass
class ByValue(RewardFunction):
    factor: float = 2.0
    cost = "process"
    range = (0.0, math.inf)

    def compute(self, text: str) -> float:
        return self.factor * len(text)


def test_data_classes_work_in_processes() -> None:
    reward = ByValue()
    assert computed(reward, RewardBatch(["a"])) == [2.0]
    assert computed(reward, RewardBatch(["bb"])) == [4.0]
    close_processes(reward)


def test_a_reward_that_cannot_be_sent_to_a_process_is_refused_at_once() -> None:
    reward = Factor(1.0)
    reward.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"'Factor' works in processes, and cannot be sent to"):
        aligntune.rewards(reward)


def test_modules_of_packages_that_are_edited_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any, target: Any = None) -> Any:
            return ModuleSpec(name, None) if name == "edited_package_of_a_test" else None

    assert not _found("edited_package_of_a_test.rewards")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert _found("edited_package_of_a_test.rewards")


def test_inline_and_random_rewards_are_not_cached() -> None:
    assert not as_reward(lambda text: 1.0).cached
    assert not Pid().cached
    assert Slow().cached


def test_the_cache_is_bounded() -> None:
    VALUES.most, before = 3, VALUES.most
    try:
        for index in range(5):
            VALUES.put(bytes([index]), 1.0)
        assert VALUES.find(bytes([i]) for i in range(5)) == {bytes([i]): 1.0 for i in (2, 3, 4)}
    finally:
        VALUES.most = before


def test_rewards_wait_side_by_side() -> None:
    # Four parties meet: two rewards with processes, one that is asynchronous, one inline.
    meeting = threading.Barrier(4)

    class Waits(RewardFunction):
        cost = "process"
        own_processes = True

        def compute(self, text: str) -> float:
            meeting.wait(timeout=30)
            return 1.0

    async def waits_too(text: str) -> float:
        await asyncio.to_thread(meeting.wait, 30)
        return 1.0

    def inline(text: str) -> float:
        assert threading.current_thread() is threading.main_thread()
        meeting.wait(timeout=30)
        return 1.0

    parts = [Part("a", Waits()), Part("b", as_reward(inline)), Part("c", as_reward(waits_too))]
    scorer = Scorer([*parts, Part("d", Waits())])
    assert scorer(["p"], ["x"]) == [4.0]
    assert list(scorer.last.raw) == ["a", "b", "c", "d"]  # type: ignore[union-attr]


def test_a_function_written_for_trl_is_called_where_the_trainer_is() -> None:
    # Some of them limit their time by a signal, which only the main thread gets.
    def native(completions: list[str], **columns: Any) -> list[float]:
        assert threading.current_thread() is threading.main_thread()
        return [1.0 for _ in completions]

    assert aligntune.rewards(native, native, lambda text: 1.0)(["p"], ["x"]) == [3.0]


def test_a_reward_that_raises_is_not_kept_by_one_that_waits() -> None:
    never = asyncio.Event()

    async def waits(text: str) -> float:
        await never.wait()
        return 1.0

    async def raises(text: str) -> float:
        raise KeyError("x")

    with pytest.raises(RewardError, match="reward 'raises' raised KeyError"):
        aligntune.rewards(waits, raises)(["p"], ["x"])


def test_hanging_calls_do_not_hold_up_the_others(tmp_path: Path) -> None:
    # Four calls hang, and only two are worked on at once; the others come through meanwhile.
    program = tmp_path / "echo.py"
    program.write_text(
        "import json, sys, time\n"
        "print(json.dumps({'ready': True}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    wanted = json.loads(line)\n"
        "    time.sleep(wanted)\n"
        "    print(json.dumps(wanted), flush=True)\n"
    )
    workers = Workers(program, count=2, grace=0.1)
    done: list[float] = []

    def call(wanted: float) -> None:
        with contextlib.suppress(WorkerTimeoutError):
            workers.call(wanted, timeout=5.0)
        done.append(wanted)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, [99.0] * 4 + [0.0] * 8))
    assert done == [0.0] * 8 + [99.0] * 4
    assert len(workers.pids) <= workers.count
    workers.close()
    assert workers.pids == []


def test_a_worker_is_told_first_things_first(tmp_path: Path) -> None:
    program = tmp_path / "first.py"
    program.write_text(
        "import json, sys\n"
        "print(json.dumps({'ready': True}), flush=True)\n"
        "first = sys.stdin.readline()\n"
        "print(json.dumps({}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    print(first.strip(), flush=True)\n"
    )
    worker = Worker(program, first=[1, 2])
    assert worker.call("what was it?", 20.0) == [1, 2]
    worker.close()


def test_any_reward_of_a_configuration_can_be_limited_in_time(plugins: Plugins) -> None:
    class Quick(RewardFunction):
        range = (0.0, 1.0)

        def compute(self, text: str) -> float:
            while text == "hang":
                pass
            return 1.0

    entry = RewardConfig(type="custom", params={"reward_function": Quick}, timeout=1.0)
    scorer = build_scorer([entry], plugins)
    metrics: dict[str, float] = {}
    assert scorer(["p", "p"], ["hang", "x"], log_metric=metrics.__setitem__) == [0.0, 1.0]
    assert metrics["rewards/Quick/failed"] == 0.5
    close_processes(scorer.parts[0].reward)


def test_a_time_limit_goes_to_a_reward_that_has_one_of_its_own(plugins: Plugins) -> None:
    class Own(RewardFunction):
        def __init__(self, timeout: float = 5.0) -> None:
            self.timeout = timeout

        def compute(self, text: str) -> float:
            return float(self.timeout or 0)

    entry = RewardConfig(type="custom", params={"reward_function": Own}, timeout=2.0)
    [part] = build_scorer([entry], plugins).parts
    assert part.reward.timeout == 2.0
    assert part.reward.cost == "inline"
    entry.params["timeout"] = 3.0
    with pytest.raises(ConfigError, match=r"timeout: it is 2.0, and params.timeout is 3.0"):
        build_scorer([entry], plugins)


def trl_native(completions: list[str], **kwargs: Any) -> list[float]:
    return [1.0] * len(completions)


class OfItsOwn(Scaled):
    range = (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__(1.0)


class OfAModel(RewardFunction):
    range = (0.0, 1.0)
    cost = "model"

    def compute(self, text: str) -> float:
        return 1.0


def boundless(text: str) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("reward", "why"),
    [
        (trl_native, "scores whole batches, and cannot be killed"),
        (OfAModel, "works with a model, and cannot be killed"),
        (OfItsOwn, "starts processes itself, and has no parameter `timeout`"),
        (boundless, "declares no range, so what takes too long has no value"),
    ],
)
def test_a_time_limit_that_cannot_be_kept_is_refused(
    reward: Any, why: str, plugins: Plugins
) -> None:
    entry = RewardConfig(type="custom", params={"reward_function": reward}, timeout=2.0)
    with pytest.raises(ConfigError, match=rf"rewards\[0\].timeout: .*{why}"):
        build_scorer([entry], plugins)


def test_rewards_of_every_form_are_composed(plugins: Plugins) -> None:
    def digits(text: str, reference: Any = None) -> float:
        return float(sum(c.isdigit() for c in text))

    aligntune.RewardRegistry.register_reward("always", lambda text: 1.0)
    scorer = aligntune.rewards(
        "always",
        ("always", 0.5),
        digits,
        {"type": "always", "weight": 2.0, "clip": 0.25},
        (RewardConfig(type="always"), -1),
        (Part("own", as_reward(digits)), 0.0),
    )
    assert [part.name for part in scorer.parts] == [
        "always", "always_2", "digits", "always_3", "always_4", "own",
    ]  # fmt: skip
    assert scorer(prompts=["p"], completions=["a1b2"]) == [1.0 + 0.5 + 2.0 + 0.5 - 1.0]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("a", "b"), r"rewards\[0\] is the tuple \('a', 'b'\); a tuple is a reward and its weight"),
        (("a", 1, 2), "a tuple is a reward and its weight"),
        (("a", True), "a tuple is a reward and its weight"),
        (7, "a reward is a function"),
    ],
)
def test_what_is_no_reward_is_said(given: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        aligntune.rewards(given)


def test_a_reward_is_handed_to_trl_as_it_is() -> None:
    class Length(RewardFunction):
        def compute(self, text: str, reference: Any = None) -> float | None:
            return None if reference is None else float(len(text) - len(reference))

    reward = Length()
    assert reward.__name__ == "Length"
    given = {"prompts": ["p"], "completions": ["abc"], "completion_ids": [[1]], "log_metric": print}
    assert reward(**given, answer=["a"], trainer_state=None) == [2.0]
    talk = [[{"role": "assistant", "content": "abcd"}]]
    assert reward(prompts=["p"], completions=talk, answer=["a"]) == [3.0]
    with pytest.raises(RewardError, match="no reward applies to sample 0"):
        reward(prompts=["p"], completions=["x"], answer=[None])
