"""Reads evaluations back: folders of ours or of lm-eval, single results files, training runs.

`read_results(path)` returns one `Result` for each model and task, the newest where there are
several. A `Result` is the same object whoever wrote the files, so comparisons and pages know
nothing of files. What the files do not say stays unsaid: a metric without its rows has no rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation import Combine, Evaluation, EvaluationSettings, Metric
    from aligntune.evaluation.columns import Rows

__all__ = ["Result", "Row", "digest", "plain_text", "read_results", "result_of", "row_of"]


@dataclass(frozen=True)
class Row:
    """What one row was asked, what came out, and its values.

    `key`: a digest of what was asked (the row of the data set and its target), the same whatever
    the model and the position of the row. `index`: its position. `values`: numbers by the names
    that a metric's `combine` speaks of. `doc`: the row of the data set, where it is known. `texts`:
    what else is worth reading, such as the answer of a baseline.
    """

    key: str
    index: int
    prompt: str = ""
    reference: str = ""
    completions: tuple[str, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    doc: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One model on one task.

    `settings`: whatever could change the numbers, by name, but for the model. `available`: rows
    that the task has; None where nobody said. `files`: what it was read from. `when`: seconds since
    1970, or None. `notes`: what a reader has to know, such as a number that could not be read.
    """

    model: str
    task: str
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    available: int | None = None
    files: tuple[Path, ...] = ()
    when: float | None = None
    notes: tuple[str, ...] = ()

    def metric(self, name: str) -> Metric:
        """The metric called `name`.

        Raises:
            EvaluationError: if there is none; names those there are.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        known = ", ".join(metric.name for metric in self.metrics)
        raise EvaluationError(f"{self.model} on {self.task} has no metric {name!r}, but: {known}")

    def rows_of(self, combine: Combine | None) -> list[Row]:
        """The rows that make a metric: those that hold its values, in order."""
        if combine is None:
            return []
        if combine.kind == "corpus":
            return [row for row in self.rows if row.completions]
        names = [name for name in (combine.top, combine.bottom) if name]
        return [row for row in self.rows if all(name in row.values for name in names)]


def read_results(path: str | Path) -> list[Result]:
    """The evaluations at `path`, in the order of models (by name) and tasks.

    Args:
        path: the folder that an evaluation was written to, the folder of one model in it, one
            `results_*.json` (ours or lm-eval's), or the directory of a training run.

    Raises:
        EvaluationError: if nothing is there, or a file cannot be read; names file and line.
    """
    from aligntune.errors import RunError
    from aligntune_eval.files.reading_files import read_folder, read_result_file
    from aligntune_eval.files.reading_run import is_run, read_run

    path = Path(path).expanduser()
    try:
        if path.is_file():
            return read_result_file(path)
        if not path.is_dir():
            raise EvaluationError(f"{path} does not exist; name {_EXPECTED}")
        found = read_run(path) if is_run(path) else read_folder(path)
    except RunError as error:
        raise EvaluationError(str(error)) from error
    if not found:
        raise EvaluationError(f"{path} holds no results; name {_EXPECTED}")
    return found


_EXPECTED = (
    "a folder that `aligntune eval --output-dir` or lm-eval wrote, a model's folder in it, a "
    "results_*.json, or the directory of a training run"
)


def result_of(
    evaluation: Evaluation,
    *,
    model: str,
    task: str,
    rows: Rows | None = None,
    settings: EvaluationSettings | None = None,
) -> Result:
    """An evaluation that has just been made as the same object that a file gives.

    Args:
        evaluation: what came out.
        model: its path or name.
        task: what it was measured on.
        rows: the rows that were measured; without them, rows are told apart by what their samples
            say of prompt, text and reference.
        settings: how it was measured.
    """
    made = [
        row_of(sample, None if rows is None else rows[sample["row"]])
        for sample in evaluation.samples
    ]
    return Result(
        model,
        task,
        tuple(evaluation.metrics),
        tuple(made),
        {} if settings is None else settings_of(settings),
    )


def settings_of(settings: EvaluationSettings | Mapping[str, Any]) -> dict[str, Any]:
    """The settings that could change a number, as JSON values; the batch size is not one."""
    from dataclasses import asdict, is_dataclass

    given = asdict(settings) if is_dataclass(settings) else dict(settings)
    given.pop("batch_size", None)
    return {key: list(v) if isinstance(v, tuple) else v for key, v in given.items()}


def row_of(sample: Mapping[str, Any], row: Mapping[str, Any] | None) -> Row:
    """The row that a sample of `EvaluationContext.samples` tells of; `row` is what it was given."""
    prompt, target = sample.get("prompt"), plain_text(sample.get("reference"))
    if row is not None:
        key = digest(row, target)
    elif prompt is not None or target:
        key = digest({"prompt": prompt}, target)
    else:
        key = ""
    doc = {} if row is None else dict(row)
    return Row(
        key,
        int(sample["row"]),
        plain_text(prompt if prompt is not None else _asked(doc)),
        target,
        completions_of(sample),
        numbers({**{k: v for k, v in sample.items() if k != "row"}, **sample.get("scores", {})}),
        doc,
        {k: v for k, v in sample.items() if k not in _SHOWN and isinstance(v, str)},
    )


_SHOWN = ("prompt", "reference", "completion")


def completions_of(sample: Mapping[str, Any]) -> tuple[str, ...]:
    """The completions that a sample holds: one, several, or none.

    Of likelihoods, each continuation with its own.
    """
    if sample.get("completions") is not None:
        return tuple(map(plain_text, sample["completions"]))
    if sample.get("completion") is not None:
        return (plain_text(sample["completion"]),)
    return tuple(map(_scored, sample.get("requests") or ()))


def _scored(request: Mapping[str, Any]) -> str:
    return f"{request.get('continuation', '')}  (log-likelihood {request.get('logprob'):.6g})"


def _asked(doc: Mapping[str, Any]) -> Any:
    return next((doc[name] for name in ("prompt", "text", "messages") if name in doc), None)


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among `values`."""
    from math import isfinite

    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, bool | int | float) and isfinite(value)
    }


def digest(doc: Mapping[str, Any], target: str) -> str:
    """What names a row: the hash of its columns, by lm-eval's rule, and of its target."""
    text = json.dumps(dict(doc), indent=2, ensure_ascii=False, default=str)
    return joined(hashlib.sha256(text.encode()).hexdigest(), target)


def joined(doc_hash: str, target: str) -> str:
    """The key of a row whose columns have the hash `doc_hash`."""
    return f"{doc_hash[:32]}-{hashlib.sha256(target.encode()).hexdigest()[:16]}"


def plain_text(value: Any) -> str:
    """A prompt, reference or completion as text; a conversation has a paragraph per message."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list | tuple) and all(
        isinstance(item, Mapping) and "content" in item for item in value
    ):
        return "\n\n".join(f"[{m.get('role', '?')}] {plain_text(m['content'])}" for m in value)
    return str(value)


def combined(combine: Combine, rows: Sequence[Row]) -> float | None:
    """The metric that rows make, or None where none of them counts."""
    import math

    tops = [row.values[combine.top] for row in rows]
    if not tops:
        return None
    if combine.kind == "mean":
        return math.fsum(tops) / len(tops)
    below = math.fsum(row.values[combine.bottom] for row in rows)
    if below <= 0:
        return None
    ratio = math.fsum(tops) / below
    return math.exp(ratio) if combine.kind == "exp_ratio" else ratio
