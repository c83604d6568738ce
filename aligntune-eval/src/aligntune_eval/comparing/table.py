"""Prints comparisons in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from aligntune_eval.comparing.compare import Change, Comparison, Difference

__all__ = ["difference_text", "print_comparisons"]

_LONGEST = 300


def print_comparisons(
    comparisons: Sequence[Comparison], *, rows: int = 3, console: Console | None = None
) -> None:
    """Print a table for each comparison, and the first `rows` rows that changed most.

    The rows are those of each metric whose rows changed at all.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = console or Console()
    for comparison in comparisons:
        table = _table(comparison)
        # A terminal that is too narrow breaks the lines; no number is cut off.
        least = Measurement.get(console, console.options.update(max_width=1000), table).minimum
        console.print(table, width=max(console.width, least), crop=False)
        for line in _remarks(comparison):
            console.print(line, soft_wrap=True, markup=False, highlight=False)
        for names, changed in _groups(comparison):
            _print_changed(names, changed, len(comparison.pairs), rows, console)


def difference_text(difference: Difference) -> str:
    """The difference with its interval, as one cell of a table."""
    value = f"{difference.value:+.4g}"
    if difference.interval is None:
        return value
    return f"{value} ({difference.interval[0]:+.4g} to {difference.interval[1]:+.4g})"


def _table(comparison: Comparison) -> Any:
    from rich.markup import escape
    from rich.table import Table

    title = f"{comparison.task}: {comparison.second} against {comparison.first}, "
    pairs = len(comparison.pairs)
    title += f"{pairs} pair{'' if pairs == 1 else 's'} of rows"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("metric", overflow="fold", min_width=13)
    for heading in ("first", "second", "difference", "95 % interval", "better\n/worse"):
        table.add_column(heading, justify="right", no_wrap=True)
    for d in comparison.differences:
        interval = "-" if d.interval is None else f"{d.interval[0]:+.3g} to {d.interval[1]:+.3g}"
        counts = f"{d.better}/{d.worse}" if d.better + d.worse + d.equal else "-"
        values = [f"{d.first:.4g}", f"{d.second:.4g}", f"{d.value:+.4g}" if d.value else "0"]
        table.add_row(escape(d.metric), *values, interval, counts)
    for column in table.columns[1:]:
        # No number is cut off, whatever the width.
        column.min_width = max(len(str(cell)) for cell in column.cells)
    return table


def _remarks(comparison: Comparison) -> list[str]:
    """Where the intervals are from, and what else there is to know."""
    methods: dict[str, list[str]] = {}
    for d in comparison.differences:
        p = "" if d.p is None else f"; McNemar's exact p = {d.p:.2g}"
        n = "" if d.n == len(comparison.pairs) or d.interval is None else f"; n = {d.n}"
        methods.setdefault(f"{d.method}{p}{n}", []).append(d.metric)
    lines = [f"{', '.join(names)}: {method}" for method, names in methods.items()]
    return [*lines, *(f"note: {note}" for note in comparison.notes)]


def _groups(comparison: Comparison) -> list[tuple[list[str], list[Change]]]:
    """The changed rows, once for all metrics that changed in the same rows by the same."""
    found: dict[Any, tuple[list[str], list[Change]]] = {}
    for difference in comparison.differences:
        changed = comparison.changed(difference.metric)
        same = tuple((change.first.index, change.before, change.after) for change in changed)
        found.setdefault(same, ([], changed))[0].append(difference.metric)
    return list(found.values())


def _print_changed(
    names: list[str], changed: list[Change], pairs: int, rows: int, console: Console
) -> None:
    if not changed or not rows:
        return
    some = changed[:rows]
    count = f"{len(changed)} of {pairs} rows changed"
    more = f", the first {len(some)} of them" if len(some) < len(changed) else ""
    console.print(
        f"\n{', '.join(names)}: {count}{more}", soft_wrap=True, markup=False, highlight=False
    )
    for change in some:
        for line in _lines_of(change):
            console.print(line, soft_wrap=True, markup=False, highlight=False)


def _lines_of(change: Change) -> list[str]:
    found = [f"  row {change.first.index}: {change.before:.4g} to {change.after:.4g}"]
    texts: dict[str, tuple[str, ...]]
    texts = {"prompt": (change.first.prompt,), "reference": (change.first.reference,)}
    texts |= {"first": change.first.completions, "second": change.second.completions}
    for name, given in texts.items():
        found += [f"    {name:<9}  {_short(text)}" for text in given if text or name != "reference"]
    return found


def _short(text: str) -> str:
    """One line that a terminal can show: control characters are escaped, long texts cut."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
