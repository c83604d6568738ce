"""Scores batches in a process of its own, which ends when one of them takes too long.

`main` is what runs in that process: it reads a pickled reward and batches from a file, and writes
one line of JSON for each batch.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aligntune.scoring.faults import raw_values
from aligntune.scoring.protocol import RewardBatch, RewardFunction

__all__ = ["main", "score_elsewhere"]

_LIMIT = 120.0
_PATIENCE = 8.0
_ENDED = -27  # as SIGPROF ends a process
_PROGRAM = "import sys; from aligntune.testing.elsewhere import main; main(sys.argv[1])"


def score_elsewhere(
    reward: RewardFunction,
    batches: Sequence[RewardBatch],
    *,
    limit: float = _LIMIT,
    hash_seed: str = "0",
) -> tuple[list[list[float | None]], list[float]]:
    """What a pickled copy of a reward gives for batches in another process, and the seconds each.

    Args:
        reward: the reward; its class must be importable there, so not defined in a test.
        batches: what to score.
        limit: most seconds of computing for one batch.
        hash_seed: PYTHONHASHSEED of the process.

    Raises:
        AssertionError: if it raises there, or takes too long; says where it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reward"
        path.write_bytes(pickle.dumps((reward, list(batches), limit)))
        known = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(path)],
            env={**os.environ, "PYTHONPATH": known, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"values"')]
    if done.returncode or len(lines) < len(batches):
        at = batches[len(lines)].texts[0] if len(lines) < len(batches) else ""
        late = done.returncode == _ENDED or "Timeout" in done.stderr
        why = f"takes longer than {limit:g} s" if late else "fails in another process"
        raise AssertionError(
            f"{reward.label} {why} on {at[:40]!r} ({len(at)} characters):\n{done.stderr[-3000:]}"
        )
    return [line["values"] for line in lines], [line["seconds"] for line in lines]


def _watch(limit: float) -> None:
    """End the process, saying where it was, after so many seconds of its own work; 0 ends that.

    Time that others have the processor for does not count, but many times the limit ends it too.
    Neither needs the interpreter's lock, so a regular expression is ended as well.
    """
    faulthandler.cancel_dump_traceback_later()
    if limit:
        faulthandler.dump_traceback_later(_PATIENCE * limit, exit=True)
    if sys.platform != "win32":
        faulthandler.register(signal.SIGPROF, chain=True)  # and then die of it
        signal.setitimer(signal.ITIMER_PROF, limit)


def main(path: str) -> None:
    """Score what the file holds."""
    reward, batches, limit = pickle.loads(Path(path).read_bytes())  # noqa: S301 (of the parent)
    with contextlib.redirect_stdout(sys.stderr):  # what a reward prints is no line of the answer
        reward.load()
    for batch in batches:
        _watch(limit)
        start = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            values = raw_values(reward.label, reward, batch)
        seconds = time.perf_counter() - start
        _watch(0)
        sys.stdout.write(json.dumps({"values": values, "seconds": seconds}) + "\n")
        sys.stdout.flush()
