"""math_accuracy: verdicts, and a worker process that is killed, comes back and leaves nothing."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from aligntune import plugins
from aligntune.processes import Worker, WorkerCrashError, WorkerStartError, WorkerTimeoutError
from aligntune.scoring import RewardBatch
from aligntune.scoring.faults import raw_values
from aligntune_rewards import MathAccuracyReward
from aligntune_rewards.verifiable.math_worker import judge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANGS = r"\boxed{9^{9^{9^9}}}"


@pytest.fixture(scope="module")
def reward() -> Iterator[MathAccuracyReward]:
    made = MathAccuracyReward(timeout=20.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        (r"so $x = \frac{1}{2}$", "0.5", 1.0),
        ("0.5", r"\frac{1}{2}", 1.0),
        (r"\boxed{\frac{1}{2}}", r"$\frac{1}{2}$", 1.0),
        (r"\boxed{71}\boxed{72}", "72", 0.0),
        (r"\boxed{72}\boxed{72.0}", "72", 1.0),
        (r"\boxed{x+1}", "1+x", 1.0),
        (r"\boxed{x}", "x^2+1", 0.0),
        (r"\boxed{2}", "x^2+1", 0.0),
        (r"\boxed{\{2, 1\}}", r"\{1, 2\}", 1.0),
        (r"\boxed{2\sqrt{2}}", r"\sqrt{8}", 1.0),
        (r"\boxed{1,234}", "1234", 1.0),
        ("9 * 8 = 72", "9 * 8 = 72\n#### 72", 1.0),
        ("72 dollars", "72 dollars", 1.0),
        (r"\boxed{73}", ["72", "73"], 1.0),
        ("<answer>72</answer>", "72", 1.0),
        (r"\boxed{71}", "72", 0.0),
        ("no idea", "72", 0.0),
        ("", "72", 0.0),
        ("\ud800 72", "72", 1.0),
        ("72", None, None),
        ("72", "", None),
    ],
)
def test_values(
    reward: MathAccuracyReward, text: str, reference: object, value: float | None
) -> None:
    assert reward.compute(text, reference) == value


def test_the_reference_is_the_first_argument_of_verify() -> None:
    # verify is not symmetric: a set answers a reference that is an inequality, not the reverse.
    assert judge("$1 < x < 2$", ["(1, 2)"], "") == "right"
    assert judge("(1, 2)", ["1 < x < 2"], "") == "wrong"


def test_an_answer_that_never_ends_is_killed_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    others = psutil.Process().children(recursive=True)
    reward = MathAccuracyReward(timeout=3.0)
    reward.compute("1", "1")
    started = time.monotonic()
    batch = RewardBatch([r"\boxed{7}", HANGS, r"\boxed{7}"], references=["7"] * 3)
    with caplog.at_level(logging.WARNING, "aligntune"):
        assert raw_values("math_accuracy", reward, batch) == [1.0, 0.0, 1.0]
    assert time.monotonic() - started < 60
    assert reward.failures == {"timeout": 1}
    assert caplog.messages == ["reward math_accuracy: of 3 completions 1 timeout"]
    begun = psutil.Process().children(recursive=True)
    reward.close()
    assert not [process for process in begun if process.is_running() and process not in others]
    assert not [p for p in psutil.Process().children() if p.status() == psutil.STATUS_ZOMBIE]


def test_it_works_off_the_main_thread(reward: MathAccuracyReward) -> None:
    values: list[float | None] = []
    threads = [
        threading.Thread(target=lambda: values.append(reward.compute(r"\boxed{1/2}", "0.5")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == [1.0] * 4


def test_a_worker_that_dies_between_calls_is_replaced() -> None:
    reward = MathAccuracyReward(timeout=20.0)
    assert reward.compute("7", "7") == 1.0
    [pid] = reward.workers.pids
    os.kill(pid, signal.SIGKILL)
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert reward.compute("7", "7") == 1.0
    assert reward.workers.pids != [pid]
    assert not psutil.pid_exists(pid)
    reward.close()


def test_a_reference_without_mathematics_does_not_apply(reward: MathAccuracyReward) -> None:
    assert reward.compute("72", "$$") is None
    assert reward.failures["reference without mathematics"] == 1


def test_many_boxed_answers_are_hedging(reward: MathAccuracyReward) -> None:
    before = reward.failures["hedged"]
    assert reward.compute("".join(rf"\boxed{{{n}}}" for n in range(100)), "72") == 0.0
    assert reward.failures["hedged"] == before + 1


def test_a_pickled_reward_starts_a_worker_of_its_own(reward: MathAccuracyReward) -> None:
    other = pickle.loads(pickle.dumps(reward))
    assert other.compute("7", "7") == 1.0
    assert not {*other.workers.pids} & {*reward.workers.pids}
    other.close()


def test_the_process_ends_with_the_interpreter() -> None:
    code = (
        "from aligntune_rewards import MathAccuracyReward; r = MathAccuracyReward(timeout=20); "
        "r.compute('1', '1'); print(*r.workers.pids)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert not psutil.pid_exists(int(done.stdout))
    assert done.stderr == ""


def test_the_process_ends_although_its_parent_was_killed_while_it_hung() -> None:
    # Nobody waits for the answer for 99 seconds: the process limits its own time.
    code = (
        "from aligntune_rewards import MathAccuracyReward; r = MathAccuracyReward(timeout=20); "
        "r.compute('1', '1'); print(*r.workers.pids, flush=True); "
        f"q = {{'gold': '7', 'answers': None, 'text': '${HANGS[7:-1]}$', 'places': 6}}; "
        "q['seconds'] = 1; "
        "r.workers.call(q, 99)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(1.0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert child.is_running()
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def program(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "program.py"
    path.write_text(f"import sys, json, time, os\n{body}\n")
    return path


READY = "print('{\"ready\": true}', flush=True)\n"


def test_worker_answers_crashes_and_times_out(tmp_path: Path) -> None:
    body = READY + (
        "for line in sys.stdin:\n"
        "    request = json.loads(line)\n"
        "    if request == 'die': os._exit(3)\n"
        "    if request == 'hang': time.sleep(60)\n"
        "    print(json.dumps([request]), flush=True)\n"
    )
    worker = Worker(program(tmp_path, body))
    assert worker.pid is None
    assert worker.call("hello\nüü", 30) == ["hello\nüü"]
    assert worker.call("x" * 1_000_000, 30) == ["x" * 1_000_000]
    with pytest.raises(WorkerCrashError, match="status 3"):
        worker.call("die", 30)
    assert worker.pid is None
    with pytest.raises(WorkerTimeoutError, match=r"no answer in 0.2 seconds"):
        worker.call("hang", 0.2)
    assert worker.call("again", 30) == ["again"]
    assert worker.starts == 3
    worker.close()
    assert worker.pid is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit(4)", "program.py did not become ready: it ended with status 4"),
        ("print(json.dumps({'error': 'no library'}), flush=True)", "cannot work: no library"),
    ],
)
def test_a_worker_that_cannot_start_is_our_fault(tmp_path: Path, body: str, says: str) -> None:
    with pytest.raises(WorkerStartError, match=says):
        Worker(program(tmp_path, body)).call("x", 5)


def test_the_manifest_asks_for_the_library_that_is_installed() -> None:
    entry = plugins.get().rewards.get("math_accuracy")
    assert entry.load() is MathAccuracyReward
    assert entry.facts.packages == ("math-verify>=0.9",)
    assert importlib.metadata.version("math-verify") >= "0.9"
    assert (entry.facts.range, entry.facts.cost) == ((0.0, 1.0), "process")
