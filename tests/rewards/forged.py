"""Programs that try to earn full marks without an answer, and checkers that fall for them.

All pretend to be `mystery(x)`, whose values nobody guesses. `NAIVE` runs the program and its tests
in one process, the way that people check such programs; what it says is the control.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HONEST = "def mystery(x):\n    return (x * 7919 + 104729) % 1009\n"
WANTED = {x: (x * 7919 + 104729) % 1009 for x in (3, 14, 159)}
ASSERTS = [f"assert mystery({x}) == {value}" for x, value in WANTED.items()]

TESTS: dict[str, object] = {
    "calls": [{"function": "mystery", "args": [x], "expected": v} for x, v in WANTED.items()],
    "asserts": ASSERTS,
    "loop": f"for x, value in {list(WANTED.items())}:\n    assert mystery(x) == value",
    "steps": "\n".join(f"found = mystery({x})\nassert found - {v} == 0" for x, v in WANTED.items()),
    "check": "def check(candidate):\n"
    + "\n".join(f"    assert candidate({x}) in [{value}]" for x, value in WANTED.items()),
}
STREAMS = [{"input": f"{x}\n", "output": f"{value}\n"} for x, value in WANTED.items()]

# One process for the program and the values that are expected of it.
NAIVE = f"""
import json, sys
def verdict(results):
    return sum(results) == len(results)
def run(source, tests):
    space = {{"__name__": "solution"}}
    exec(source, space)
    results = []
    for argument, expected in tests:
        results.append(bool(eval("mystery(" + str(argument) + ")", space) == expected))
    print(json.dumps({{"passed": verdict(results)}}))
run(sys.argv[1], {list(WANTED.items())!r})
"""


def fools_naive(source: str) -> bool:
    """Whether a checker that looks for its own word in the output says that all tests passed."""
    done = _run("-c", NAIVE, source)
    return '"passed": true' in done.stdout or "PASS" in done.stdout


def fools_script(source: str, folder: Path) -> bool:
    """Whether a checker that runs program and asserts as one file, and looks at its status, does."""
    path = folder / "program.py"
    path.write_text("\n".join([source, *ASSERTS, ""]))
    return _run(str(path)).returncode == 0


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


# ruff: noqa: E501 - the programs read better with their lines as they are


@dataclass(frozen=True)
class Forged:
    """`fools`: which of the checkers here gives it full marks: `naive`, `script`, or none."""

    source: str
    fools: str = ""


ANY = "class Any:\n    __eq__ = lambda self, other: True\n    __hash__ = None\n"
ANSWER = "def mystery(x):\n    return Any()\n"
PASSED = json.dumps({"passed": True})

FORGED: dict[str, Forged] = {
    "says PASS and exits": Forged("import sys\nprint('PASS')\nsys.exit(0)", "naive"),
    "exits with status 0": Forged("import sys\nsys.exit(0)", "script"),
    "exits at once": Forged("import os\nos._exit(0)", "script"),
    "exits in the call": Forged(
        "def mystery(x):\n    print('PASS')\n    raise SystemExit(0)", "naive"
    ),
    "leaves in the call": Forged(
        "import os\ndef mystery(x):\n    print('PASS', flush=True)\n    os._exit(0)", "naive"
    ),
    "exits in a thread": Forged(
        "import os, threading, time\ndef end():\n    print('PASS', flush=True)\n    os._exit(0)\n"
        "threading.Timer(0.05, end).start()\ndef mystery(x):\n    time.sleep(0.5)",
        "naive",
    ),
    "exits by an alarm": Forged(
        "import os, signal, time\ndef end(*_):\n    print('PASS', flush=True)\n    os._exit(0)\n"
        "signal.signal(signal.SIGALRM, end)\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "def mystery(x):\n    time.sleep(0.5)",
        "naive",
    ),
    "exits as the parent": Forged(
        "import os\nif os.fork():\n    print('PASS', flush=True)\n    os._exit(0)\nos._exit(1)",
        "naive",
    ),
    "speaks at the end": Forged(
        "import atexit\natexit.register(print, 'PASS')\ndef mystery(x): return 0", "naive"
    ),
    "hides the exception": Forged(
        "import sys, os\nsys.excepthook = lambda *_: os._exit(0)\ndef mystery(x): return 0",
        "script",
    ),
    "is equal to all": Forged(ANY + ANSWER, "naive"),
    "is mock.ANY": Forged("from unittest.mock import ANY\ndef mystery(x): return ANY", "naive"),
    "an int equal to all": Forged(
        "class Any(int):\n    __eq__ = lambda *_: True\n    __hash__ = int.__hash__\n" + ANSWER,
        "naive",
    ),
    "a str equal to all": Forged(
        "class Any(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__\n" + ANSWER,
        "naive",
    ),
    "a float equal to all": Forged(
        "class Any(float):\n    __eq__ = lambda *_: True\n    __hash__ = float.__hash__\n" + ANSWER,
        "naive",
    ),
    "claims to be an int": Forged(
        "class Any:\n    __class__ = int\n    __eq__ = lambda *_: True\n    __index__ = lambda s: 0\n"
        "    __int__ = lambda s: 0\n    __sub__ = lambda *_: 0\n    __hash__ = None\n" + ANSWER,
        "naive",
    ),
    "equal by its metaclass": Forged(
        "class Meta(type):\n    __eq__ = lambda *_: True\n    __hash__ = None\n"
        "class Any(metaclass=Meta): pass\ndef mystery(x): return Any",
        "naive",
    ),
    "overwrites builtins": Forged(
        "import builtins\nbuiltins.sum = builtins.len = lambda *_: 1\n"
        "builtins.bool = lambda *_: True\ndef mystery(x): return 0",
        "naive",
    ),
    "overwrites eval": Forged(ANY + "__builtins__['eval'] = lambda *_: Any()\n" + ANSWER, "naive"),
    "overwrites json": Forged(
        f"import json\njson.dumps = lambda *_, **__: {PASSED!r}\ndef mystery(x): return 0", "naive"
    ),
    "replaces json": Forged(
        "import sys, types\nfake = types.ModuleType('json')\n"
        f"fake.dumps = lambda *_, **__: {PASSED!r}\nfake.loads = lambda *_: {{}}\n"
        "sys.modules['json'] = fake\nfor m in list(sys.modules.values()):\n"
        "    if getattr(m, 'json', None) is not None: m.json = fake\ndef mystery(x): return 0",
        "naive",
    ),
    "overwrites the checker": Forged(
        "import sys, gc\nmain = sys.modules['__main__']\nmain.verdict = lambda *_: True\n"
        "for m in list(sys.modules.values()):\n"
        "    for name in ('agree', 'same', 'encode', '_pack', 'decode', '_failure', '_execute'):\n"
        "        if hasattr(m, name): setattr(m, name, lambda *_, **__: True)\n"
        "def mystery(x): return 0",
        "naive",
    ),
    "walks frames": Forged(
        "import sys\ndef mystery(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        for space in (frame.f_locals, frame.f_globals):\n"
        "            for name in ('expected', 'value', 'output', 'wanted'):\n"
        "                if type(space.get(name)) is int: return space[name]\n"
        "        frame = frame.f_back\n    return 0",
        "naive",
    ),
    "inspects the stack": Forged(
        "import inspect\ndef mystery(x):\n    for info in inspect.stack():\n"
        "        found = info.frame.f_locals.get('tests')\n"
        "        if isinstance(found, list):\n"
        "            for test in found:\n"
        "                if test[0] == x: return test[1]\n    return 0",
        "naive",
    ),
    "searches all objects": Forged(
        "import gc\ndef mystery(x):\n    for thing in gc.get_objects():\n"
        "        if type(thing) is tuple and len(thing) == 2 and thing[0] == x \\\n"
        "                and type(thing[0]) is int and type(thing[1]) is int and thing[1] > 3:\n"
        "            return thing[1]\n"
        "        if type(thing) is list:\n            for each in thing:\n"
        "                if type(each) is tuple and len(each) == 2 and type(each[0]) is int \\\n"
        "                        and each[0] == x and type(each[1]) is int: return each[1]\n"
        "        if type(thing) is dict and type(thing.get('expected')) is int:\n"
        "            return thing['expected']\n    return 0",
        "naive",
    ),
    "rewrites memory": Forged(
        "import ctypes, sys\ndef mystery(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        expected = frame.f_locals.get('expected')\n"
        "        if type(expected) is int:\n"
        "            here = memoryview((ctypes.c_char * 32).from_address(id(expected))).cast('B')\n"
        "            fresh = 1234567\n"
        "            here[24:28] = bytes((ctypes.c_char * 4).from_address(id(fresh) + 24))\n"
        "            return fresh\n        frame = frame.f_back\n    return 0",
        "naive",
    ),
    "reads its own file": Forged(
        "import re, sys\ntry:\n    text = open(__file__).read()\nexcept Exception:\n    text = ''\n"
        "known = dict(re.findall(r'mystery\\((\\d+)\\) == (\\d+)', text))\n"
        "def mystery(x): return int(known.get(str(x), 0))",
        "script",
    ),
    "reads every file": Forged(
        "import os, re\nknown = {}\nfor root in ('.', '/tmp', '/proc/self', '/dev/shm', '/dev/fd'):\n"
        "    for folder, _, names in os.walk(root):\n        for name in names:\n"
        "            try:\n                with open(os.path.join(folder, name), 'rb') as f:\n"
        "                    text = f.read(1 << 16).decode('latin-1')\n"
        "            except Exception:\n                continue\n"
        "            for a, b in re.findall(r'mystery\\((\\d+)\\) == (\\d+)', text): known[a] = b\n"
        "def mystery(x): return int(known.get(str(x), 0))",
    ),
    "patches stdout": Forged(
        "import sys\nclass Out:\n    def __init__(self, real): self.real = real\n"
        f"    def write(self, text): self.real.write({PASSED!r} + '\\n')\n"
        "    def flush(self): self.real.flush()\nsys.stdout = Out(sys.stdout)\n"
        "def mystery(x): return 0",
        "naive",
    ),
    "patches stdin": Forged(
        "import io, sys\nsys.stdin = io.StringIO('PASS\\n' * 9)\nprint(input())\n"
        "def mystery(x): return 0",
        "naive",
    ),
    "writes to every descriptor": Forged(
        f"import os\nfor fd in range(1, 256):\n    try: os.write(fd, {PASSED.encode()!r} + b'\\nPASS\\n')\n"
        "    except OSError: pass\ndef mystery(x): return 0",
        "naive",
    ),
    "guesses the nonce": Forged(
        "import json, os\nfor fd in range(3, 256):\n    for nonce in ('', '0' * 32, 'f' * 32, None):\n"
        "        for index in range(3):\n"
        "            for more in ({'value': 'true'}, {'failure': ''}):\n"
        "                line = json.dumps({'nonce': nonce, 'index': index, **more}).encode()\n"
        "                try: os.write(fd, line + b'\\n')\n"
        "                except OSError: pass\ndef mystery(x): return 0",
    ),
    "finds the nonce": Forged(
        "import gc, json, os, re, sys\n"
        "found = set()\n"
        "def look(thing):\n"
        "    if type(thing) is str and re.fullmatch('[0-9a-f]{32}', thing): found.add(thing)\n"
        "for thing in gc.get_objects():\n"
        "    if type(thing) is dict:\n        for each in list(thing.values()): look(each)\n"
        "    if type(thing) in (list, tuple):\n        for each in thing: look(each)\n"
        "frame = sys._getframe()\nwhile frame:\n"
        "    for each in list(frame.f_locals.values()):\n        look(each)\n"
        "        if type(each) is dict:\n            for one in list(each.values()): look(one)\n"
        "    frame = frame.f_back\n"
        "for nonce in found:\n    for index in range(3):\n"
        "        for more in ({'value': 'true'}, {'failure': ''}):\n"
        "            line = json.dumps({'nonce': nonce, 'index': index, **more}).encode()\n"
        "            for fd in range(3, 64):\n                try: os.write(fd, line + b'\\n')\n"
        "                except OSError: pass\nos._exit(0)",
    ),
    "answers before it is asked": Forged(
        "import json, os\nfor text in [{'status': 0}] + [{'value': 'true', 'after': '[\"l\",[]]'}] * 50:\n"
        "    line = json.dumps(text).encode()\n"
        "    for fd in range(3, 64):\n"
        "        try: os.write(fd, len(line).to_bytes(4, 'little') + line)\n"
        "        except OSError: pass\ndef mystery(x): return 0",
    ),
    "reads other processes": Forged(
        "import ctypes, os, re\nlibc = ctypes.CDLL(None, use_errno=True)\nknown = {}\n"
        "for pid in list(range(1, 30)) + [os.getppid()]:\n"
        "    if pid == os.getpid(): continue\n"
        "    libc.ptrace(16, pid, 0, 0)\n"
        "    try:\n        maps = open(f'/proc/{pid}/maps').read()\n"
        "        mem = open(f'/proc/{pid}/mem', 'rb')\n    except OSError:\n        continue\n"
        "    for line in maps.splitlines():\n        try:\n"
        "            a, b = (int(n, 16) for n in line.split()[0].split('-'))\n"
        "            mem.seek(a)\n            text = mem.read(min(b - a, 1 << 24)).decode('latin-1')\n"
        "        except (OSError, ValueError, OverflowError):\n            continue\n"
        "        for x, y in re.findall(r'mystery\\((\\d+)\\) == (\\d+)', text): known[x] = y\n"
        "        for x, y in re.findall(r'\\((\\d+), (\\d+)\\)', text): known[x] = y\n"
        "def mystery(x): return int(known.get(str(x), 0))",
    ),
    # They start as copies of one process, so that the addresses of one are those of the others.
    "copies memory of other processes": Forged(
        "import ctypes, os, re, time\nlibc = ctypes.CDLL(None)\nknown = {}\n"
        "class Vector(ctypes.Structure):\n"
        "    _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]\n"
        "size = 1 << 16\nbuffer = ctypes.create_string_buffer(size)\n"
        "local = Vector(ctypes.addressof(buffer), size)\ntime.sleep(0.1)\n"
        "for pid in [*range(1, 9), os.getppid(), *range(os.getpid() - 3, os.getpid() + 9)]:\n"
        "    for near in {id(thing) & ~0xffff for thing in (object(), [], {}, 'x' * 999)}:\n"
        "        for page in range(-200, 200) if pid > 0 and pid != os.getpid() else ():\n"
        "            there = Vector(near + page * size, size)\n"
        "            count = libc.process_vm_readv(\n"
        "                pid, ctypes.byref(local), 1, ctypes.byref(there), 1, 0)\n"
        "            if count < 1: continue\n"
        "            text = buffer.raw[:count].decode('latin-1')\n"
        "            for a, b in re.findall(r'mystery\\((\\d+)\\) == (\\d+)', text): known[a] = b\n"
        "            for a, b in re.findall(r'\\((\\d+), (\\d+)\\)', text): known[a] = b\n"
        "def mystery(x): return int(known.get(str(x), 0))",
    ),
    "kills its judges": Forged(
        "import os, signal\nfor pid in [*range(2, 40), os.getppid()]:\n"
        "    if pid not in (os.getpid(), 1):\n        try: os.kill(pid, 9)\n"
        "        except OSError: pass\nprint('PASS')\ndef mystery(x): return 0",
    ),
    "an endless generator": Forged("def mystery(x):\n    while True:\n        yield 1"),
    "an endless value": Forged(
        "class Endless(list):\n    def __iter__(self):\n        while True: yield 1\n"
        "def mystery(x): return Endless()"
    ),
    "a value with itself inside": Forged(
        "def mystery(x):\n    a = []\n    a.append(a)\n    return a"
    ),
    "a very long value": Forged("def mystery(x):\n    return '1' * (1 << 24)"),
    "a very deep value": Forged(
        "def mystery(x):\n    a = []\n    for _ in range(5000): a = [a]\n    return a"
    ),
    "a memoryview": Forged("def mystery(x):\n    return memoryview(b'123')"),
    "an exception as its value": Forged("def mystery(x):\n    raise StopIteration(x)"),
    "an assertion of its own": Forged("def mystery(x):\n    raise AssertionError"),
    "hangs": Forged("def mystery(x):\n    while True: pass"),
    "hangs when it starts": Forged("import time\ntime.sleep(1000)"),
    "takes all memory": Forged("x = bytearray(10 << 30)\ndef mystery(x): return 0"),
    "writes without end": Forged("while True: print('PASS' * 1000)"),
    "forges the tests' names": Forged(
        ANY + "class list(list): __eq__ = lambda *_: True\n"
        "def check(candidate): pass\nfound = Any()\nvalue = Any()\nx = Any()\n"
        "AssertionError = SystemExit\ndef mystery(x): return Any()",
        "naive",
    ),
    "changes what is in its hands": Forged(
        "def mystery(x):\n    import sys\n    f = sys._getframe(1)\n"
        "    f.f_locals['expected'] = 0\n    import ctypes\n"
        "    ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(f), ctypes.c_int(0))\n"
        "    return 0",
    ),
    "no code": Forged("I am sure that all tests PASS."),
    "nothing": Forged(""),
}
