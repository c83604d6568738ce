"""Writes docs/learning.md: every algorithm on every backend, in full and with LoRA, over seeds.

    python tests/learning/table.py               # everything, in the environment of Unsloth
    python tests/learning/table.py grpo dapo     # some algorithms; what others gave stays
    python tests/learning/table.py --missing     # what has no result yet

Each line of the table is a process of its own, because Unsloth patches the one that it is in. What
the runs gave is kept in docs/learning.json, from which the page is written.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from learning import Cell, Task, tasks

from aligntune_trl.plugin import ALGORITHMS
from aligntune_unsloth.plugin import RUNS

DOCS = Path(__file__).parents[2] / "docs"
RESULTS, PAGE = DOCS / "learning.json", DOCS / "learning.md"
SEEDS = (0, 1, 2)
WEIGHTS = ("full", "LoRA")
Key = tuple[str, str, str]

HEAD = """# What each algorithm learns

Every algorithm on a small task, on every backend that runs it, with all weights and with a LoRA
adapter. *Before* and *after* are the metric, the mean over {seeds} seeds, with the lowest and the
highest in parentheses. The control trains in the same way where there is nothing to learn.
`nox -s learning` fills this page; the tasks are in `tests/learning`.
"""


def cells(names: list[str]) -> Iterator[Key]:
    for algorithm in ALGORITHMS:
        if names and algorithm.name not in names:
            continue
        for backend in ("trl", "unsloth"):
            if backend == "trl" or algorithm.name in RUNS:
                yield from ((algorithm.name, backend, weights) for weights in WEIGHTS)


def measured(key: Key) -> dict[str, Any]:
    """Run the task of one line in this process, with the signal and without, for each seed."""
    name, backend, weights = key
    if backend == "unsloth":  # it patches what the making of models and rows imports
        import unsloth  # noqa: F401
    task, found = tasks()[name], {"signal": [], "control": []}
    for seed in SEEDS:
        for kind, runs in found.items():
            with tempfile.TemporaryDirectory() as folder:
                adapter, signal = weights == "LoRA", kind == "signal"
                before, after = task.run(Cell(Path(folder), backend, adapter, signal, seed))
                runs.append((round(before, 4), round(after, 4)))
    return found


def asked(key: Key) -> tuple[Key, dict[str, Any]]:
    """Run the task of one line in a process of its own."""
    begun = time.monotonic()
    command = [sys.executable, __file__, "--line", *key]
    environment = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    print(f"{' '.join(key)}: {time.monotonic() - begun:.0f} s", flush=True)
    if done.returncode:
        return key, {"error": done.stderr.strip().splitlines()[-1]}
    return key, json.loads(done.stdout.splitlines()[-1])


def spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def page(results: dict[str, Any], all_tasks: dict[str, Task]) -> str:
    lines = [HEAD.format(seeds=len(SEEDS))]
    for name, task in all_tasks.items():
        rows = [(key.split(), found) for key, found in results.items() if key.split()[0] == name]
        if not rows:
            continue
        lines += [
            f"## {name}\n",
            f"{task.about[0].upper()}{task.about[1:]}. Metric: {task.metric}.\n",
        ]
        lines += ["| Backend | Weights | Before | After | Control: before | After |"]
        lines += ["|---|---|---|---|---|---|"]
        for (_, backend, weights), found in rows:
            if "error" in found:
                lines.append(f"| {backend} | {weights} | {found['error']} | | | |")
                continue
            columns = [
                spread([run[at] for run in found[kind]])
                for kind in ("signal", "control")
                for at in (0, 1)
            ]
            lines.append(f"| {backend} | {weights} | {' | '.join(columns)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def write(results: dict[str, Any]) -> dict[str, Any]:
    """Write the results and the page, in the order of the algorithms; return them in that order."""
    keys = [" ".join(key) for key in cells([])]
    kept = {key: results[key] for key in keys if key in results}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(page(kept, tasks()))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="algorithms; all of them where none is named")
    parser.add_argument("--missing", action="store_true", help="only what has no result yet")
    parser.add_argument("--line", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    given = parser.parse_args()
    if given.line:
        logging.disable()
        print(json.dumps(measured(tuple(given.line))))
        return
    keep = RESULTS.exists() and (given.names or given.missing)
    results = json.loads(RESULTS.read_text()) if keep else {}
    wanted = [
        key for key in cells(given.names) if not given.missing or " ".join(key) not in results
    ]
    with ThreadPoolExecutor(given.jobs) as pool:
        for key, found in pool.map(asked, wanted):
            results[" ".join(key)] = found
            results = write(results)  # each time, so that nothing is lost
    failed = [key for key, found in results.items() if "error" in found]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
