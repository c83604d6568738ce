"""`aligntune rewards test`: what rewards give for a text or a file of rows, before a run does."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from rich.markup import escape

from aligntune import plugins as installed
from aligntune.cli.console import out, print_json, show_log, table
from aligntune.errors import ConfigError, DataError
from aligntune.scoring.agreement import Agreement, agreement
from aligntune.scoring.build import CUSTOM, build_reward
from aligntune.scoring.parts import reads_reference
from aligntune.scoring.protocol import RewardBatch, RewardFunction
from aligntune.scoring.references import choose_reference, listed
from aligntune.scoring.trial import Trial, batch_of_rows, try_reward

__all__ = ["run"]

_TEXT_COLUMNS = ("completion", "text")
_PROMPT_COLUMN = "prompt"
_SHOWN = 5  # rows at either end of a file that are shown
_APART = 3  # rows where two rewards disagree


def run(
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    text_column: str | None,
    prompt_column: str | None,
    reference_column: str | None,
    params: Mapping[str, Mapping[str, Any]],
    as_json: bool,
) -> None:
    """Score the rows with each reward, and compare the rewards with each other."""
    show_log("ERROR")  # failures are counted below, and the reference is named there
    if repeated := {name for name in names if list(names).count(name) > 1}:
        raise ConfigError(f"{', '.join(sorted(repeated))} is named twice")
    _check_columns(rows, text_column, prompt_column)
    text_column = text_column or _text_column(rows)
    batch = batch_of_rows(rows, text_column, prompt_column or _PROMPT_COLUMN)
    with contextlib.redirect_stdout(sys.stderr):  # what a reward prints is no part of the answer
        rewards = {name: _made(name, params.get(name, {})) for name in names}
        _check_reference(rewards, batch, reference_column)
        trials = {
            name: try_reward(name, reward, batch, reference_column)
            for name, reward in rewards.items()
        }
    pairs = {
        (a, b): agreement(trials[a].values, trials[b].values) for a, b in combinations(names, 2)
    }
    columns = {
        "completion": text_column,
        "reference": choose_reference(batch.columns, reference_column),
    }
    if as_json:
        _print_json(trials, pairs, columns)
        return
    _show_rows(batch, trials)
    _show_spread(trials, rewards, columns["reference"])
    for (a, b), compared in pairs.items():
        if compared.rows > 1:
            _show_agreement(a, b, compared, batch, trials)


def _made(name: str, params: Mapping[str, Any]) -> RewardFunction:
    plugins = installed.get()
    if ":" in name and not plugins.rewards.matching(name):
        if "reward_function" in params:
            raise ConfigError(f"reward {name!r}: reward_function is the name that is tested")
        return build_reward(CUSTOM, {**params, "reward_function": name}, plugins)[1]
    return build_reward(name, params, plugins)[1]


def _check_columns(
    rows: Sequence[Mapping[str, Any]], text_column: str | None, prompt_column: str | None
) -> None:
    columns = {name for row in rows for name in row}
    for flag, named in (("--text-column", text_column), ("--prompt-column", prompt_column)):
        if named is not None and named not in columns:
            raise DataError(f"{flag} {named!r}: {listed(columns)}")
    if text_column is not None and text_column == (prompt_column or _PROMPT_COLUMN):
        raise ConfigError(
            f"--text-column and --prompt-column are both {text_column!r}; a column holds the "
            "completions or the prompts"
        )


def _check_reference(
    rewards: Mapping[str, RewardFunction], batch: RewardBatch, named: str | None
) -> None:
    """Say by which flag a reference is given; what else is missing, the reward says itself."""
    if named is not None and named not in batch.columns:
        raise DataError(f"--reference-column {named!r}: {listed(batch.columns)}")
    if named is None and choose_reference(batch.columns) is None:
        needy = [name for name, reward in rewards.items() if "reference" in reward.needs]
        if needy:
            raise DataError(
                f"{', '.join(needy)} compares with a reference, and there is none: give it with "
                f"--reference, or name its column with --reference-column; {listed(batch.columns)}"
            )


def _text_column(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = {name for row in rows for name in row}
    for name in _TEXT_COLUMNS:
        if name in columns:
            return name
    raise DataError(
        f"the rows have none of the columns {', '.join(_TEXT_COLUMNS)}; {listed(columns)}. Name "
        "the one that holds the completions with --text-column"
    )


def _print_json(
    trials: Mapping[str, Trial],
    pairs: Mapping[tuple[str, str], Agreement],
    columns: Mapping[str, str | None],
) -> None:
    print_json(
        {
            "rows": len(next(iter(trials.values())).values),
            "columns": columns,
            "rewards": {
                name: {
                    "values": trial.values,
                    "failures": trial.failures,
                    "distribution": asdict(trial.spread),
                    "seconds": {"load": trial.load, "first": trial.first, "each": trial.each},
                }
                for name, trial in trials.items()
            },
            "agreement": [{"rewards": pair, **asdict(found)} for pair, found in pairs.items()],
        }
    )


def _show_rows(batch: RewardBatch, trials: Mapping[str, Trial]) -> None:
    first = next(iter(trials.values()))
    order = sorted(
        range(len(batch)), key=lambda i: (first.values[i] is None, -(first.values[i] or 0))
    )
    left_out = len(order) - 2 * _SHOWN
    shown = table("row", *trials, "completion")
    for place, index in enumerate(order if left_out > 0 else range(len(batch))):
        if left_out > 0 and _SHOWN <= place < len(order) - _SHOWN:
            if place == _SHOWN:
                shown.add_row("...", *("" for _ in trials), f"{left_out} more; --json has them all")
            continue
        values = (_number(trial.values[index]) for trial in trials.values())
        shown.add_row(str(index), *values, escape(_short(batch.texts[index])))
    out.print(shown)


def _show_spread(
    trials: Mapping[str, Trial], rewards: Mapping[str, RewardFunction], reference: str | None
) -> None:
    shown = table("", *trials)
    for label, line in _lines_of(trials, rewards).items():
        if any(line):
            shown.add_row(label, *map(escape, line))
    out.print()
    out.print(shown)
    if reference is not None and any(map(reads_reference, rewards.values())):
        out.print(f"\nthe reference is the column {reference!r}", highlight=False, markup=False)


def _lines_of(
    trials: Mapping[str, Trial], rewards: Mapping[str, RewardFunction]
) -> dict[str, list[str]]:
    """The rows of the table of distributions: a label, and a cell for each reward."""
    lines: dict[str, list[str]] = {}
    for position, (name, trial) in enumerate(trials.items()):
        spread, (low, high) = trial.spread, rewards[name].range
        several = spread.count > 1
        quantiles = spread.quantiles.items() if several else ()
        cells = {
            "completions scored": str(spread.count),
            "None: does not apply": str(spread.none) if spread.none else "",
            "failures": ", ".join(f"{count} {kind}" for kind, count in trial.failures.items()),
            "mean": _number(spread.mean),
            "standard deviation": _number(spread.sd) if several else "",
            "lowest": _number(spread.lowest) if several else "",
            **{f"{q:.0%} quantile": _number(value) for q, value in quantiles},
            "highest": _number(spread.highest) if several else "",
            "at the range's minimum": _share(spread.at_lowest, low),
            "at the range's maximum": _share(spread.at_highest, high),
            "ms for one completion": f"{1000 * trial.each:.3g}",
            "ms for the first call": f"{1000 * trial.first:.3g}",
            "s to load": f"{trial.load:.1f}" if trial.load > 0.05 else "",
        }
        for label, cell in cells.items():
            lines.setdefault(label, [""] * len(trials))[position] = cell
    return lines


def _show_agreement(
    a: str, b: str, found: Agreement, batch: RewardBatch, trials: Mapping[str, Trial]
) -> None:
    out.print(f"\nagreement of {a} and {b} on {found.rows} rows", highlight=False, markup=False)
    if found.pearson is None:
        same = [n for n in (a, b) if trials[n].spread.lowest == trials[n].spread.highest]
        why = f"every row earns the same: {', '.join(same)}"
        out.print(f"no correlation; {why}", highlight=False, markup=False)
    else:
        shown = table("Pearson", "Spearman", "Kendall")
        shown.add_row(*map(_number, (found.pearson, found.spearman, found.kendall)))
        out.print(shown)
    if found.differ:
        shown = table("row", a, b, "ranked apart by", "completion")
        for index, apart in found.differ[:_APART]:
            values = (_number(trials[name].values[index]) for name in (a, b))
            text = escape(_short(batch.texts[index]))
            shown.add_row(str(index), *values, f"{apart:.0%} of the rows", text)
        out.print("\nwhere they disagree most", highlight=False)
        out.print(shown)


def _number(value: float | None) -> str:
    return "None" if value is None else f"{float(value):.4g}"


def _share(share: float | None, end: float) -> str:
    return "" if share is None else f"{share:.0%} at {end:g}"


def _short(text: str, most: int = 60) -> str:
    """The beginning of a text on one line, without what would command a terminal."""
    shown = " ".join(text[: 4 * most].split())
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in shown)
    return shown if len(shown) <= most and len(text) <= 4 * most else f"{shown[: most - 1]}…"
