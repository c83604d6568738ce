"""The directory of one run: what may be in it, and how it is claimed, written and read.

A directory holds at most one run, and `run.json` is its mark. Nothing here ever removes or replaces
a file that no run wrote.
"""

from __future__ import annotations

import os
import shutil
import time
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

from aligntune.errors import AlignTuneError, RunError
from aligntune.redact import redact
from aligntune.run import files
from aligntune.run.paths import FILES, FOLDERS, RunPaths

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["RunDirectory"]

_RESULTS = (
    "metrics.jsonl",
    "samples.jsonl",
    "evaluation.jsonl",
    "checkpoints",
    "model",
    "meta_es",
)


class RunDirectory(RunPaths):
    """The files of one run.

    Use `create` to begin a run, `open` to read one; `RunDirectory(path)` only names the paths.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._mended: set[Path] = set()
        self._clock: float | None = None

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], *, overwrite: bool = False, resume: bool = False
    ) -> Self:
        """Claim a directory for a run: it exists and holds a `run.json` afterwards.

        Args:
            path: the directory; made if it does not exist. Foreign files in it stay.
            overwrite: remove the run that is there, and only what a run writes.
            resume: go on with the run that is there, from its last checkpoint.

        Raises:
            RunError: if a run is there and neither `overwrite` nor `resume` is asked for; if there
                is nothing to resume; if a foreign file has the name of one that a run writes.
        """
        run = cls(path)
        if overwrite and resume:
            raise RunError("`overwrite` and `resume` exclude each other; give one of them")
        if resume:
            run._require_checkpoint()
        elif run.status.exists():
            if not (overwrite or run._left_nothing()):
                raise RunError(run._in_the_way())
            run._remove()
        else:
            run._refuse_foreign_names()
        with files.reported_errors(f"make the run directory {run.path}"):
            run.path.mkdir(parents=True, exist_ok=True)
        if not resume or not run.status.exists():
            run._claim()
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Return the run that a directory holds.

        Raises:
            RunError: if it holds none.
        """
        run = cls(path)
        if not run.status.exists():
            what = "holds no run (no run.json)" if run.path.is_dir() else "does not exist"
            raise RunError(f"{run.path} {what}; name the output_dir of a run")
        return run

    def write_text(self, path: Path, text: str) -> None:
        """Replace a whole file at once; secrets in `text` are the caller's to redact."""
        files.replace_text(path, text)

    def write_json(self, path: Path, value: Any) -> None:
        """Replace a whole JSON file at once, with secrets redacted."""
        files.replace_text(path, files.to_json(redact(files.plain(value)), indent=2) + "\n")

    def append_jsonl(self, path: Path, record: Mapping[str, Any]) -> None:
        """Append one line, which has left the process when this returns.

        NaN and infinities are written as the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.
        """
        if path not in self._mended:
            files.mend_jsonl(path)
            self._mended.add(path)
        files.append_jsonl(path, record)

    def read_jsonl(self, path: Path) -> list[dict[str, Any]]:
        """Return the records of a file of lines; see `aligntune.run.files.read_jsonl`."""
        return files.read_jsonl(path)

    def read_status(self) -> dict[str, Any]:
        """Return what `run.json` says; empty if there is none.

        Raises:
            RunError: if it cannot be read.
        """
        if not self.status.exists():
            return {}
        found = files.read_json(self.status)
        if not isinstance(found, dict):
            raise RunError(f"{self.status} holds no JSON object")
        return found

    def truncate_after(self, step: int) -> None:
        """Drop the lines that a run which goes on from `step` will write again.

        Those are the metrics, samples, measurements and warnings of later steps, and the
        measurements made after the training that now goes on.
        """
        for path in (self.metrics, self.samples, self.evaluation, self.warnings):
            records = self.read_jsonl(path)
            kept = [r for r in records if not _later(r, step)]
            if path.exists():
                files.replace_text(path, "".join(files.to_json(r) + "\n" for r in kept))

    def start(self, **facts: Any) -> None:
        """Say what runs: `name`, `algorithm`, `backend`, `why`, and whatever else is known.

        What `run.json` said of an earlier part of a resumed run is kept under `earlier`.
        """
        before = self.read_status()
        earlier = before.get("earlier", [])
        if "algorithm" in before:
            earlier = [*earlier, {k: v for k, v in before.items() if k != "earlier"}]
        self.report.unlink(missing_ok=True)  # it tells of the earlier part alone
        self._clock = time.monotonic()
        named = {key: facts.get(key) for key in ("name", "algorithm", "backend", "why")}
        record = {**named, **_opening(), **facts}
        self.write_json(self.status, {**record, "earlier": earlier} if earlier else record)

    def finish(self, **facts: Any) -> None:
        """Say that the run ended well."""
        self._end("finished", None, facts)

    def fail(self, error: BaseException) -> None:
        """Say how the run ended: `interrupted` by Ctrl-C or a signal, otherwise `failed`."""
        stopped = isinstance(error, (KeyboardInterrupt, SystemExit))
        text = (
            str(error) if isinstance(error, AlignTuneError) else f"{type(error).__name__}: {error}"
        )
        facts: dict[str, Any] = {}
        if not stopped and not isinstance(error, AlignTuneError):
            facts["traceback"] = "".join(traceback.format_exception(error))
        self._end("interrupted" if stopped else "failed", text.removesuffix(": "), facts)

    def _end(self, status: str, error: str | None, facts: Mapping[str, Any]) -> None:
        seconds = None if self._clock is None else round(time.monotonic() - self._clock, 3)
        record = {**_opening(), **self.read_status(), **facts}
        self.write_json(
            self.status,
            {**record, "status": status, "finished": _now(), "seconds": seconds, "error": error},
        )

    def _require_checkpoint(self) -> None:
        if self.last_checkpoint() is None and not self.candidates.is_file():
            raise RunError(
                f"nothing to resume: {self.checkpoints} holds no complete checkpoint; begin anew, "
                "without --resume (Python: resume=False), and with --overwrite (Python: "
                "overwrite=True) where a run is in the way"
            )

    def _in_the_way(self) -> str:
        try:
            said = self.read_status()
        except RunError:
            said = {}
        what = " ".join(str(said[key]) for key in ("algorithm", "status") if said.get(key))
        return (
            f"{self.path} already holds a run{f' ({what})' if what else ''}; go on with it with "
            "--resume (Python: resume=True), replace it with --overwrite (Python: overwrite=True), "
            "or choose another --output-dir (Python: output_dir=...)"
        )

    def _left_nothing(self) -> bool:
        """Whether the run that is there failed before it made anything worth keeping."""
        try:
            ended = self.read_status().get("status") in ("failed", "interrupted")
        except RunError:
            return False
        return ended and not any(_holds_something(self.path / name) for name in _RESULTS)

    def _refuse_foreign_names(self) -> None:
        taken = [name for name in (*FILES, *FOLDERS) if _holds_something(self.path / name)]
        if taken:
            raise RunError(
                f"{self.path} holds no run (no run.json), but {', '.join(taken)}, which a run "
                "would write over; choose another --output-dir (Python: output_dir=...)"
            )

    def _remove(self) -> None:
        """Remove what a run writes, by name; `run.json`, the mark of a run, goes last."""
        with files.reported_errors(f"remove the run in {self.path}"):
            for checkpoint in self.checkpoints.glob("checkpoint-*"):
                _delete(checkpoint)
            if self.checkpoints.is_dir() and not any(self.checkpoints.iterdir()):
                self.checkpoints.rmdir()
            for name in ("model", "tensorboard", "meta_es", *reversed(FILES)):
                _delete(self.path / name)

    def _claim(self) -> None:
        # Exclusive creation: of two runs that begin at the same moment, one is refused.
        try:
            with files.reported_errors(f"write {self.status}"):
                self.status.touch(exist_ok=False)
        except RunError as error:
            if isinstance(error.__cause__, FileExistsError):
                raise RunError(self._in_the_way()) from error
            raise
        self.write_json(self.status, _opening())


def _opening() -> dict[str, Any]:
    return {
        "status": "running",
        "started": _now(),
        "finished": None,
        "seconds": None,
        "error": None,
        "pid": os.getpid(),
        "version": version("aligntune-core"),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _later(record: Mapping[str, Any], step: int) -> bool:
    at = record.get("step")
    return record.get("when") == "after" or (isinstance(at, (int, float)) and at > step)


def _holds_something(path: Path) -> bool:
    if path.is_dir():
        return any(path.iterdir())
    return path.exists() and path.stat().st_size > 0


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
