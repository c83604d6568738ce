"""What the report shows, read from the files of a run directory and from nothing else.

Any file may be missing, empty or broken: the report then says so in its notes and shows the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aligntune.errors import RunError
from aligntune.run.files import as_number, read_json, read_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from aligntune.run.directory import RunDirectory

__all__ = [
    "Card",
    "Measured",
    "RunData",
    "Series",
    "cards",
    "duration",
    "measured",
    "number",
    "read_run",
    "span",
    "text",
]

_DASH = "\u2013"

Records = list[dict[str, Any]]
Series = list[tuple[float, float]]


@dataclass
class RunData:
    """The contents of a run directory, with a note for each thing that is amiss."""

    status: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    plugins: Records = field(default_factory=list)
    metrics: Records = field(default_factory=list)
    samples: Records = field(default_factory=list)
    evaluation: Records = field(default_factory=list)
    iterations: Records = field(default_factory=list)
    """Of Meta-ES."""
    rows: Records = field(default_factory=list)
    """What became of the rows of each data set; `purpose` is `train` or `eval`."""
    too_long: float = 0
    """Rows to train on that are left out because too little of them fits."""
    config: str = ""
    notes: list[str] = field(default_factory=list)
    warnings: Records = field(default_factory=list)
    """That nothing can be learned, as it was seen while the run trained."""

    def series(self, key: str) -> Series:
        """The points (step, value) of one metric; a value that is not finite is NaN."""
        points = []
        for record in self.metrics:
            step, value = as_number(record.get("step")), as_number(record.get(key))
            if step is not None and value is not None:
                points.append((step, value if math.isfinite(value) else math.nan))
        return points

    def logged_twice(self) -> set[str]:
        """Metrics of evaluators, which are logged for trackers too and stand under Evaluation."""
        return {f"eval_{record.get('name')}" for record in self.evaluation}

    def metric_names(self) -> list[str]:
        """Every metric with a number somewhere, in the order of first appearance."""
        names: dict[str, None] = {}
        for record in self.metrics:
            for key, value in record.items():
                if key not in ("step", "epoch", "time") and as_number(value) is not None:
                    names.setdefault(key)
        return list(names)


@dataclass(frozen=True)
class Card:
    """One headline number."""

    label: str
    value: str
    note: str = ""


@dataclass
class Measured:
    """One metric on one evaluation data set, over the run."""

    name: str
    dataset: str
    unit: str
    records: Records

    @property
    def before(self) -> dict[str, Any] | None:
        return next((r for r in self.records if r.get("when") == "before"), None)

    @property
    def after(self) -> dict[str, Any] | None:
        """The measurement after training, or the last one there is."""
        later = [r for r in self.records if r.get("when") != "before"]
        return next((r for r in later if r.get("when") == "after"), later[-1] if later else None)

    @property
    def change(self) -> str:
        first = as_number((self.before or {}).get("value"))
        last = as_number((self.after or {}).get("value"))
        return "" if first is None or last is None else f"{last - first:+.4g}"

    @property
    def title(self) -> str:
        return f"{self.name} on {self.dataset}" if self.dataset else self.name


def read_run(run: RunDirectory) -> RunData:
    """Read everything that the report shows."""
    data = RunData()
    data.status = _mapping(run.status, data.notes)
    data.plan = _mapping(run.plan, data.notes)
    data.environment = _mapping(run.environment, data.notes)
    data.plugins = _records(run.plugins, data.notes)
    counted = _mapping(run.data, data.notes)
    data.rows, data.too_long = _rows(counted), as_number(counted.get("too_long")) or 0
    for name in ("metrics", "samples", "evaluation", "warnings", "iterations"):
        setattr(data, name, _lines(getattr(run, name), data.notes))
    data.warnings = [{**line, "mends": _object(line, "mends")} for line in data.warnings]
    if run.config.exists():
        data.config = run.config.read_text(encoding="utf-8", errors="replace")
    data.notes.extend(_not_finite(data))
    return data


def _mapping(path: Path, notes: list[str]) -> dict[str, Any]:
    found = _json(path, notes)
    return found if isinstance(found, dict) else {}


def _object(line: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = line.get(name)
    return found if isinstance(found, dict) else {}


def _records(path: Path, notes: list[str]) -> Records:
    found = _json(path, notes)
    return [r for r in found if isinstance(r, dict)] if isinstance(found, list) else []


def _rows(found: Mapping[str, Any]) -> Records:
    """The data sets that were read, with the reasons for which rows were left out or cut."""
    rows = []
    for purpose in ("train", "eval"):
        reports = found.get(purpose)
        for report in reports if isinstance(reports, list) else []:
            if isinstance(report, dict):
                reasons = {
                    name: some if isinstance(some := report.get(name), dict) else {}
                    for name in ("left_out", "cut")
                }
                rows.append({**report, **reasons, "purpose": purpose})
    return rows


def _json(path: Path, notes: list[str]) -> Any:
    if not path.exists():
        return None
    try:
        return read_json(path)
    except RunError as error:
        notes.append(str(error))
        return None


def _lines(path: Path, notes: list[str]) -> Records:
    try:
        return read_jsonl(path, notes)
    except RunError as error:
        notes.append(f"{error}; nothing of this file is shown")
        return []


def _not_finite(data: RunData) -> Iterable[str]:
    for name in data.metric_names():
        steps = [step for step, value in data.series(name) if math.isnan(value)]
        if steps:
            many = f"{len(steps)} logged steps" if len(steps) > 1 else "one logged step"
            yield f"{name} is not a finite number at {many}, first at step {steps[0]:g}"


def measured(data: RunData) -> list[Measured]:
    """The evaluation, by metric and data set."""
    groups: dict[tuple[str, str], Measured] = {}
    for record in data.evaluation:
        name, dataset = str(record.get("name", "")), str(record.get("dataset") or "")
        group = groups.setdefault((dataset, name), Measured(name, dataset, "", []))
        group.unit = group.unit or str(record.get("unit") or "")
        group.records.append(record)
    return list(groups.values())


def cards(data: RunData) -> list[Card]:
    """The numbers that people want first."""
    found = []
    losses = [point for point in data.series("loss") if not math.isnan(point[1])]
    if losses:
        found.append(
            Card(
                "Loss",
                _arrow(losses[0][1], losses[-1][1]),
                f"step {losses[0][0]:g} → {losses[-1][0]:g}",
            )
        )
    rewards = [value for _, value in data.series("reward") if not math.isnan(value)]
    if rewards:
        tenth = max(1, len(rewards) // 10)
        start, end = _mean(rewards[:tenth]), _mean(rewards[-tenth:])
        note = (
            f"means of the first and last {tenth} logged steps"
            if tenth > 1
            else "first → last step"
        )
        found.append(Card("Reward", _arrow(start, end), note))
    found.extend(_evaluation_card(group) for group in measured(data)[:4])
    seconds = duration(data)
    if seconds is not None:
        steps = [s for r in data.metrics if (s := as_number(r.get("step"))) is not None]
        found.append(Card("Duration", span(seconds), f"{max(steps):g} steps" if steps else ""))
    return found


def _evaluation_card(group: Measured) -> Card:
    before, after = group.before, group.after
    values = [number(r.get("value"), 3) for r in (before, after) if r is not None]
    last = after or before or {}
    low, high = number(last.get("low"), 3), number(last.get("high"), 3)
    parts = [f"n = {number(last['n'])}"] if last.get("n") is not None else []
    parts += [f"{low} {_DASH} {high}"] if last.get("low") is not None else []
    parts += [group.dataset] if group.dataset else []
    unit = f" {group.unit}" if group.unit else ""
    label = group.name[:1].upper() + group.name[1:].replace("_", " ")
    return Card(label, " → ".join(values) + unit, " · ".join(parts))


def duration(data: RunData) -> float | None:
    """Seconds of the run, with its earlier parts if it was resumed."""
    parts = [*data.status.get("earlier", []), data.status]
    seconds = [s for part in parts if (s := as_number(part.get("seconds"))) is not None]
    return sum(seconds) if seconds else None


def _arrow(first: float, last: float) -> str:
    return f"{number(first, 3)} → {number(last, 3)}"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def number(value: object, digits: int = 4) -> str:
    """A number for people: so many significant digits, thousands apart."""
    found = as_number(value)
    if found is None:
        return _DASH if value is None else str(value)
    if not math.isfinite(found):
        return str(value) if isinstance(value, str) else str(found)
    if found == int(found) and abs(found) < 1e15:
        return f"{int(found):,}"
    return f"{found:,.0f}" if abs(found) >= 10_000 else f"{found:.{digits}g}"


def span(seconds: float) -> str:
    """A duration for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def text(value: object) -> str:
    """A prompt or completion as text; a conversation has one paragraph per message."""
    if isinstance(value, list) and all(isinstance(m, Mapping) and "content" in m for m in value):
        return "\n\n".join(f"[{m.get('role', '?')}] {text(m['content'])}" for m in value)
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, indent=1)
