"""The sandbox as its users see it: what comes out, what cannot be forged, and what it leaves."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from aligntune_rewards.sandbox import (
    Call,
    Limits,
    NotPlainError,
    Sandbox,
    SandboxError,
    WeakIsolationError,
    same,
    tiers,
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as made:
        assert made.tier == "bwrap", made.reason
        yield made


def test_a_program_has_input_files_and_nothing_else(sandbox: Sandbox) -> None:
    result = sandbox.run(
        """
        import os, sys, helper
        print(input(), sys.stdin.read(), helper.value, open("data/x.bin", "rb").read())
        print(sorted(os.listdir("/")), dict(os.environ), os.getuid(), sys.argv)
        """.replace("        ", ""),
        stdin="first\nsecond é",
        files={"helper.py": "value = 5", "data/x.bin": b"\xff"},
    )
    assert result.outcome == "ok"
    seen, place = result.stdout.splitlines()
    assert seen == "first second é 5 b'\\xff'"
    assert place.endswith("{} 65534 ['main.py']")
    assert "work" not in place
    assert "home" not in place


@pytest.mark.parametrize(
    ("source", "outcome", "exit_code", "said"),
    [
        ("print(1)", "ok", 0, ""),
        ("raise SystemExit", "ok", 0, ""),
        ("raise SystemExit(3)", "error", 3, ""),
        ("raise SystemExit('sorry')", "error", 1, "sorry"),
        ("import os; os._exit(7)", "error", 7, ""),
        ("1 / 0", "error", 1, "ZeroDivisionError"),
        ("(", "error", 1, "SyntaxError"),
        ("x = '\0'", "error", 1, "null bytes"),
        ("raise MemoryError", "memory", 1, "MemoryError"),
        ("bytearray(10**10)", "memory", 1, "MemoryError"),
        ("import os; os.abort()", "killed", -6, ""),
        ("import os; os.kill(os.getpid(), 9)", "killed", -9, ""),
        ("import ctypes; ctypes.string_at(0)", "killed", -11, ""),
        ("print('x' * 2_000_000)", "output", None, ""),
        ("while True: pass", "timeout", None, ""),
        ("import atexit; atexit.register(print, 'end')", "ok", 0, ""),
        ("import threading; threading.Thread(target=print).start()", "ok", 0, ""),
    ],
)
def test_how_a_program_ends(
    source: str, outcome: str, exit_code: int | None, said: str, sandbox: Sandbox
) -> None:
    result = sandbox.run(source, limits=Limits(seconds=1.0))
    assert (result.outcome, result.exit_code) == (outcome, exit_code), result
    assert said in result.stderr


def test_the_traceback_shows_the_program_and_nothing_of_ours(sandbox: Sandbox) -> None:
    lines = sandbox.run("def f():\n    return 1 / 0\nf()").stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1:3] == ['  File "main.py", line 3, in <module>', "    f()"]
    assert [line for line in lines if "File" in line and "main.py" not in line] == []


def test_output_is_cut_at_its_limit_and_kept(sandbox: Sandbox) -> None:
    result = sandbox.run("while True: print('x' * 99)", limits=Limits(output_bytes=1000))
    assert (result.outcome, len(result.stdout)) == ("output", 1000)


def test_a_job_that_ends_while_it_writes_too_much_leaves_the_server_alone() -> None:
    with Sandbox(Limits(output_bytes=1000), workers=1) as made:
        made.run("")
        before = children()
        results = [made.run("import os; os.write(1, b'x' * 1500); os._exit(0)") for _ in range(60)]
        assert {(r.outcome, len(r.stdout)) for r in results} == {("output", 1000)}
        assert children() == before


def test_memory_of_all_processes_counts(sandbox: Sandbox) -> None:
    source = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        held = bytearray(b"x") * (60 << 20)
        time.sleep(9)
time.sleep(9)
"""
    assert sandbox.run(source, limits=Limits(memory_mb=200)).outcome == "memory"
    assert sandbox.run(source, limits=Limits(memory_mb=600, seconds=1.0)).outcome == "timeout"


def test_processes_of_a_program_work(sandbox: Sandbox) -> None:
    source = """
import multiprocessing, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True).stdout)
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
    print(list(ThreadPoolExecutor(4).map(abs, [-3, -4])))
"""
    assert sandbox.run(source).stdout == "b'42\\n'\n[1, 2]\n[3, 4]\n"


def test_nothing_of_an_earlier_job_is_seen(sandbox: Sandbox) -> None:
    first = "import builtins, json, os; builtins.left = json.left = 1; open('/tmp/left', 'w')"
    look = (
        "import builtins, gc, json, os\n"
        "print(hasattr(builtins, 'left'), hasattr(json, 'left'), os.listdir('/tmp'),\n"
        "      any('passed on' in o for o in gc.get_objects() if type(o) is str))"
    )
    with Sandbox(workers=1) as one:
        assert one.run(first + "\nx = 'passed on'").outcome == "ok"
        assert one.run(look).stdout == "False False [] False\n"


def test_hashes_are_the_same_everywhere() -> None:
    source = "print([*{'a', 'b', 'c', 'd'}])"
    with Sandbox(workers=1) as one, Sandbox(workers=1, warm=False) as cold:
        assert len({s.run(source).stdout for s in (one, one, cold, cold)}) == 1


# --- values


PLAIN = [
    None, True, 0, 1, -(2**70), 10**5000, 0.1, float("inf"), -0.0, 1j, "é\udc80\n", b"\0\xff", [],
    [1, [2]], (), (1, (2,)), {1, "a"}, frozenset({(1, 2)}), {}, {(1, 2): {"k": [None]}, 1.5: b"x"},
]  # fmt: skip


# Numbers name the cases: the text of a set has another order in each process.
@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_plain_values_go_in_and_come_out_as_they_are(value: object, sandbox: Sandbox) -> None:
    calls = sandbox.call("def f(*x, **k): return (x, k)", [Call("f", (value,), {"key": value})])
    [returned] = calls.returned
    assert returned.status == "value", returned.error
    assert same(returned.value, ((value,), {"key": value}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True), (1, 1.0), (0, False), ([1], (1,)), ({1}, frozenset({1})), ("1", b"1"),
        ({1}, {1.0}), ({1: 2}, {True: 2}), ({1: 2}, {1: 2.0}), ([1, 2], [2, 1]), ("", None),
        ([1], [1, 2]),
        ({"a": 1}, {"a": 1, "b": 2}), (float("nan"), 0.0), ({(1,)}, {(True,)}),
    ],
)  # fmt: skip
def test_values_that_python_takes_for_equal_are_not_the_same(one: object, other: object) -> None:
    assert not same(one, other)
    assert not same(other, one)


def test_sameness_of_floats() -> None:
    assert same(float("nan"), float("nan"))
    assert same({"x": [0.1 + 0.2]}, {"x": [0.3]}, tolerance=1e-9)
    assert not same({"x": [0.1 + 0.2]}, {"x": [0.3]})
    assert not same(1, 1.0, tolerance=1.0)
    assert same({"a": 1, "b": 2}, {"b": 2, "a": 1})


def test_only_plain_values_go_in(sandbox: Sandbox) -> None:
    with pytest.raises(NotPlainError, match="type object"):
        sandbox.call("def f(x): return x", [Call("f", (object(),))])


def test_each_call_has_an_answer_of_its_own(sandbox: Sandbox) -> None:
    source = """
import os
class Text(str): pass
def f(x):
    if x == "raise": raise KeyError("no")
    if x == "object": return object()
    if x == "subclass": return [Text("x")]
    if x == "deep":
        v = []
        for _ in range(1000): v = [v]
        return v
    if x == "exit": raise SystemExit(0)
    if x == "leave": os._exit(0)
    return x
"""
    asked = ["a", "raise", "object", "subclass", "deep", "exit", "b", "leave", "c"]
    answers = sandbox.call(source, [Call("f", (x,)) for x in asked]).returned
    assert [a.status for a in answers] == [
        "value", "raised", "refused", "refused", "refused", "raised", "value", "missing", "missing",
    ]  # fmt: skip
    assert answers[0].value == "a"
    assert answers[1].error == "KeyError: 'no'"
    assert "Text" in answers[3].error


def test_expressions_are_evaluated(sandbox: Sandbox) -> None:
    source = "class S:\n    def add(self, a, b): return a + b"
    calls = sandbox.evaluate(source, ["S().add(1, 2)", "sorted({2, 1})", "nothing"])
    assert [r.value for r in calls.returned] == [3, [1, 2], None]
    assert calls.returned[2].error == "NameError: name 'nothing' is not defined"
    [one] = sandbox.call(source, [Call("S().add", (1,), {"b": 2})]).returned
    assert one.value == 3


# --- forging


FORGERIES = {
    "says that it passed": "print('PASS'); print('ok'); import sys; sys.exit(0)",
    "leaves with 0": "import os; os._exit(0)",
    "is equal to everything": """
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = None
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __bool__(self): return True
    def __len__(self): return 1
def f(x): return Yes()""",
    "is a number that is equal to everything": """
class Yes(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def f(x): return Yes(0)""",
    "hides it in a list": """
class Yes(str):
    __eq__ = lambda self, other: True
    __hash__ = str.__hash__
def f(x): return [Yes()]""",
    "replaces builtins": """
import builtins
builtins.AssertionError = type("A", (BaseException,), {})
builtins.isinstance = builtins.all = builtins.any = lambda *a: True
builtins.exec = builtins.compile = lambda *a, **k: None
def f(x): return 0""",
    "ends the loop of the tests": "def f(x): raise StopIteration",
    "raises what the tests may expect": "def f(x): raise AssertionError",
    "writes answers of its own": """
import os
for i in range(10):
    os.write(3, b'{"index": %d, "failure": "", "nonce": "", "value": "72"}\\n' % i)
    os.write(3, b'\\x10\\0\\0\\0{"value": "null"}')
def f(x): os._exit(0)""",
    "looks for the answer in the harness": """
import gc, sys
def f(x):
    frame = sys._getframe()
    while frame:
        for v in list(frame.f_locals.values()):
            if type(v) is dict and "tests" in v: return 6 * 12
        frame = frame.f_back
    for o in gc.get_objects():
        texts = o.values() if type(o) is dict else o if type(o) is list else ()
        if any(type(v) is str and f"f(71) == {6 * 12}" in v for v in texts): return 6 * 12
    return 0""",
    "patches the harness": """
import sys
for m in list(sys.modules.values()):
    for name in ("same", "_failure", "_execute", "report", "_send", "encode", "_pack", "_serve"):
        if hasattr(m, name) and "aligntune" in m.__name__:
            setattr(m, name, lambda *a, **k: "")
def f(x): return 0""",
    "forks and lets the child answer": """
import os
def f(x):
    os.fork()
    return 0""",
    "kills the tests": """
import os
for p in range(1, 20):
    if p != os.getpid():
        try: os.kill(p, 9)
        except OSError: pass
def f(x): return 0""",
}


# Ways to hold memory that no process seems to have.
_HIDING = {
    "shared, and mapped by others": "import mmap; mmap.mmap(-1, 1 << 20)",
    "in larger sockets": "import socket; socket.socketpair()[0].setsockopt(1, 7, 1 << 30)",
    "shared zeros": "import mmap, os; mmap.mmap(os.open('/dev/zero', os.O_RDWR), 1 << 20)",
    "lent to a pipe": """
import ctypes, os, platform
number = {"x86_64": 278, "aarch64": 75}[platform.machine()]
read, write = os.pipe()
held = ctypes.create_string_buffer(4096)
lent = (ctypes.c_size_t * 2)(ctypes.addressof(held), 4096)
assert ctypes.CDLL(None).syscall(number, write, lent, ctypes.c_size_t(1), 0) == 4096""",
}


@pytest.mark.parametrize("tier", [tier for tier in tiers.TIERS if tier != "rlimits"])
@pytest.mark.parametrize("name", _HIDING)
def test_memory_that_no_limit_counts_is_refused(name: str, tier: tiers.Tier) -> None:
    with Sandbox(workers=1, tier=tier, allow_weak_isolation=True) as one:
        result = one.run(_HIDING[name])
    assert result.outcome == "error"
    assert "Error" in result.stderr.splitlines()[-1]


def test_memory_counts_when_the_first_thread_has_ended(sandbox: Sandbox) -> None:
    source = """
        import ctypes, os, platform, threading, time
        def hold():
            time.sleep(0.1)
            held = b"x" * (80 << 20)
            time.sleep(60)
        for _ in range(4):
            if os.fork() == 0:
                threading.Thread(target=hold).start()
                ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
        time.sleep(60)
    """
    limits = Limits(seconds=20.0, memory_mb=256)
    assert sandbox.run(textwrap.dedent(source), limits=limits).outcome == "memory"


@pytest.mark.parametrize("tier", tiers.TIERS)
@pytest.mark.parametrize("name", ["d", "d" * 200])
def test_folders_however_deep_are_removed(
    name: str, tier: tiers.Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = tempfile.mkdtemp

    def noted(*args: str | None, **settings: str | None) -> str:
        made.append(make(*args, **settings))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", noted)
    source = f"""
import os
for _ in range(3000):
    os.mkdir({name!r})
    os.chdir({name!r})
os.chmod(".", 0)"""
    with Sandbox(workers=1, tier=tier, allow_weak_isolation=True) as one:
        assert one.run(source).outcome in {"ok", "killed"}
        assert one.run("print(1)").stdout == "1\n"
    assert tier == "bwrap" or len(made) >= 2
    assert not [path for path in made if Path(path).exists()]


FORGED = [
    (tier, name)
    for tier in tiers.TIERS
    for name in FORGERIES
    # Here it would kill everything that this user runs.
    if (tier, name) != ("rlimits", "kills the tests") or os.geteuid() == 0
]


@pytest.mark.parametrize(("tier", "name"), FORGED)
def test_no_forgery_passes(name: str, tier: tiers.Tier) -> None:
    source = FORGERIES[name]
    limits = Limits(seconds=2.0)
    with Sandbox(limits, workers=1, tier=tier, allow_weak_isolation=True) as one:
        values = one.call(source, [Call("f", (71,)), Call("f", (71,))]).returned
        assert len(values) == 2
        assert not any(v.status == "value" and same(v.value, 72) for v in values)
        tests = [
            "assert f(71) == 72",
            "assert f(71) != 0 and f(71) in (72, 73)",
            "assert all(map(lambda x: f(x) == x + 1, [71, 71]))",
            "assert isinstance(f(71), int) and abs(f(71) - 72) < 1",
            "assert not f(71) < 72",
        ]
        checks = one.check(source, tests, ["f"])
        assert len(checks.tests) == len(tests)
        assert checks.passed == 0, checks


def test_tests_of_an_honest_program_pass(sandbox: Sandbox) -> None:
    source = """
import math
def f(x): return x + 1
def order(items): items.sort()
def count(n):
    for i in range(n): yield i
class Point:
    def __init__(self, x): self.x = x
    def double(self): return Point(self.x * 2)
    def __len__(self): return self.x
def root(x):
    if x < 0: raise ValueError("negative")
    return math.sqrt(x)
"""
    tests = [
        "assert f(71) == 72",
        "items = [3, 1, 2]\norder(items)\nassert items == [1, 2, 3]",
        "assert list(count(3)) == [0, 1, 2]",
        "p = Point(4)\nassert p and p.double().x == 8 and len(p) == 4 and p != Point(4)",
        "assert math.isclose(root(2) ** 2, 2)",
        "try:\n    root(-1)\nexcept ValueError as e:\n    m = str(e)\nassert m == 'negative'",
        "def check(candidate):\n    assert candidate(1) == 2\ncheck(f)",
        "assert limit == 5",
    ]
    names = ["f", "order", "count", "Point", "root"]
    checks = sandbox.check(source, tests, names, setup="limit = 5")
    assert checks.passed == len(tests), checks
    assert checks.program.outcome == "ok"
    failed = sandbox.check(source, ["assert f(1) == 3, 'too small'", "unknown()"], names)
    assert [t.error for t in failed.tests] == [
        "AssertionError: too small",
        "NameError: name 'unknown' is not defined",
    ]


def test_tests_of_a_program_that_ends_or_hangs_are_missing(sandbox: Sandbox) -> None:
    ended = sandbox.check("raise ValueError", ["assert True"], [])
    assert [t.status for t in ended.tests] == ["missing"]
    assert "ValueError" in ended.program.stderr
    source = "def f(x):\n    while x: pass"
    hung = sandbox.check(source, ["f(0)", "f(1)", "f(0)"], ["f"], limits=Limits(seconds=0.5))
    assert [t.status for t in hung.tests] == ["passed", "missing", "missing"]
    assert hung.program.outcome == "timeout"


def test_texts_that_are_costly_to_read_are_refused(sandbox: Sandbox) -> None:
    modulus = 2**61 - 1
    source = f"def f(): return set(range(0, {modulus} * 3000, {modulus}))"
    started = time.monotonic()
    [answer] = sandbox.call(source, [Call("f")]).returned
    assert answer.status == "refused"
    written = "import os\nos.write(3, b'[' * 900_000 + b'\\n')\ndef f(): return 1"
    [answer] = sandbox.call(written, [Call("f")]).returned
    assert answer.status == "missing"
    assert time.monotonic() - started < 5


# --- processes


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children()}


def test_jobs_run_side_by_side_and_no_more_than_the_workers(sandbox: Sandbox) -> None:
    source = "import time; time.sleep(0.5)"
    sandbox.run("")
    started = time.monotonic()
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(sandbox.run, [source] * 6))
    assert 1.4 < time.monotonic() - started < 2.9  # three rounds of two


def test_each_thread_gets_its_own_results(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda i: sandbox.run(f"print({i})").stdout, range(40)))
    assert results == [f"{i}\n" for i in range(40)]


@pytest.mark.parametrize("how", ["close", "collect", "cold"])
def test_processes_end_with_the_sandbox(how: str) -> None:
    before = children()
    made = Sandbox(workers=1, warm=how != "cold")
    made.run("")
    assert (children() != before) == (how != "cold")
    if how == "close":
        made.close()
        made.close()
        assert made.run("print(1)").stdout == "1\n"  # it opens again
        made.close()
    del made
    gc.collect()
    assert children() == before


ADOPTS = """
import ctypes, psutil
from aligntune_rewards.sandbox import Sandbox
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # orphans become children of this process
for warm in (True, False):
    with Sandbox(workers=1, warm=warm) as s:
        for _ in range(3): s.run("import os; os.fork(); os.setsid()")
print([(p.name(), p.status()) for p in psutil.Process().children(recursive=True)])
"""


def test_no_zombie_is_left_to_whoever_adopts_orphans() -> None:
    said = subprocess.run(
        [sys.executable, "-c", ADOPTS], capture_output=True, text=True, timeout=60, check=False
    )
    assert said.stdout == "[]\n", said


def test_a_server_outlives_the_thread_that_started_it() -> None:
    with Sandbox(workers=1) as made:
        thread = threading.Thread(target=made.run, args=("",))
        thread.start()
        thread.join()
        time.sleep(0.2)
        before = children()
        assert made.run("print(1)").stdout == "1\n"
        assert children() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_is_dead_or_hangs_is_replaced(number: int) -> None:
    before = children()
    known = set(psutil.Process().children(recursive=True))
    with Sandbox(Limits(seconds=0.3), workers=1) as made:
        made.run("")
        for process in set(psutil.Process().children(recursive=True)) - known:
            with contextlib.suppress(psutil.NoSuchProcess):  # they end with the first
                process.send_signal(number)
        first = made.run("print(1)")
        assert first.outcome == ("ok" if number == signal.SIGKILL else "timeout")
        assert made.run("print(2)").stdout == "2\n"
    assert children() == before


def test_the_process_that_waits_for_a_job_may_die() -> None:
    with Sandbox(workers=1) as made:
        for which in (-1, -2):  # it, and the first one of its namespaces
            made.run("")
            time.sleep(0.2)
            [server] = psutil.Process().children()[-1:]
            server.children(recursive=True)[which].kill()
            time.sleep(0.1)
            assert made.run("print(1)").stdout == "1\n"


@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), 9)", "os._exit(0)"])
@pytest.mark.parametrize("tier", tiers.TIERS)
def test_processes_end_with_the_interpreter(tier: tiers.Tier, end: str) -> None:
    token = f"left-{os.getpid()}-{tier[0]}{end[3]}"
    program = f"""
import os, psutil, threading, time
from aligntune_rewards.sandbox import Sandbox
s = Sandbox(workers=1, tier={tier!r}, allow_weak_isolation=True)
s.run("")
job = "import os, time; os.mkdir('a', 0); open('{token}', 'w'); time.sleep(60)"
threading.Thread(target=s.run, args=(job,), daemon=True).start()
time.sleep(0.3)
print(*[p.pid for p in psutil.Process().children(recursive=True)], flush=True)
{end}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) >= (4 if tier == "bwrap" else 2), done
    deadline = time.monotonic() + 5
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, pids))
    time.sleep(0.2)
    assert list(Path("/tmp").glob(f"aligntune-sandbox-*/{token}")) == []


def _in_child(made: Sandbox, results: multiprocessing.SimpleQueue[str]) -> None:
    results.put(made.run("print('child')").stdout)


def test_a_forked_process_has_servers_of_its_own(sandbox: Sandbox) -> None:
    sandbox.run("")
    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(sandbox, results))
    child.start()
    child.join(20)
    assert results.get() == "child\n"
    assert sandbox.run("print('parent')").stdout == "parent\n"


def test_a_pickled_sandbox_is_a_sandbox_with_the_same_settings() -> None:
    made = Sandbox(Limits(seconds=0.5), workers=1)
    copy = pickle.loads(pickle.dumps(made))
    assert (copy.limits, copy.tier, copy.workers) == (made.limits, made.tier, 1)
    assert copy.run("while True: pass").outcome == "timeout"


# --- settings


@pytest.mark.parametrize(
    ("setting", "value"),
    [("seconds", 0), ("seconds", "5"), ("seconds", float("inf")), ("memory_mb", 1),
     ("memory_mb", 1.5), ("processes", 0), ("output_bytes", 0), ("disk_mb", True)],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be"):
        Limits(**{setting: value})  # type: ignore[arg-type]


def test_settings_that_make_no_sense_are_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="workers must be at least 1"):
        Sandbox(workers=0)
    with pytest.raises(ValueError, match="tier must be one of bwrap"):
        Sandbox(tier="docker")  # type: ignore[arg-type]
    with pytest.raises(WeakIsolationError, match="allow_weak_isolation"):
        Sandbox(tier="rlimits")
    for path in ("/etc/x", "../x", ""):
        with pytest.raises(ValueError, match="must stay in the job's folder"):
            sandbox.run("", files={path: ""})


def test_elsewhere_than_on_linux_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers.sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="needs Linux"):
        Sandbox()


WITHOUT_BUBBLEWRAP = """
from aligntune_rewards.sandbox import Sandbox, WeakIsolationError
try: Sandbox()
except WeakIsolationError as error: print(error)
with Sandbox(allow_weak_isolation=True) as s: print(s.tier, s.reason, s.run("print(1)").stdout)
"""


def test_without_bubblewrap_it_refuses_until_that_is_allowed() -> None:
    environment = {**os.environ, "PATH": "/nonexistent"}
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_BUBBLEWRAP],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    refused, allowed, printed, _ = said.split("\n")
    assert "apt-get install bubblewrap" in refused
    assert "allow_weak_isolation" in refused
    assert allowed.startswith(("landlock+seccomp+rlimits bubblewrap is not", "rlimits bubblewrap"))
    assert printed == "1" or allowed.endswith("1")


def test_bubblewrap_alone_serves_where_namespaces_cannot_be_nested() -> None:
    with Sandbox(Limits(disk_mb=2), workers=1) as made:
        made._pool.nested = False
        look = "import os; print(os.listdir('.'), len(os.environ)); open('left', 'w')"
        assert {made.run(look).stdout for _ in range(2)} == {"[] 0\n"}
        assert "No space" in made.run("open('x', 'w').write('x' * 3_000_000)").stderr or True
        spy = "import os; print(open(f'/proc/{os.getppid()}/environ').read())"
        assert "PermissionError" in made.run(spy).stderr
        assert made.run("import os; os.kill(os.getppid(), 9)").outcome != "ok"


def test_it_needs_nothing_but_the_standard_library() -> None:
    program = textwrap.dedent("""
        import sys
        from aligntune_rewards.sandbox import Sandbox
        with Sandbox() as s: assert s.run("print(1)").stdout == "1\\n"
        names = {name.partition(".")[0] for name in sys.modules}
        ours = {"aligntune_rewards", "__main__"}
        print([n for n in names - sys.stdlib_module_names - ours if "_sysconfigdata" not in n])
    """)
    said = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout == "[]\n", said
