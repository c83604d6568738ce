"""Rows streamed through the whole normalisation, next to `datasets.map` doing the same to them.

    python benchmarks/stream.py                  # one million rows of 500 bytes
    python benchmarks/stream.py --rows 20000

Each way runs in a fresh process with a cache of its own. Peak memory is what that process held at
most (resident set), pages of files that it had mapped included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

ROW_BYTES = 500


def write_rows(path: Path, count: int) -> None:
    """Rows of the alpaca format, each a line of exactly ROW_BYTES bytes."""
    with path.open("w") as file:
        for number in range(count):
            row = {"instruction": f"Say {number} in words.", "input": "", "output": ""}
            row["output"] = "x" * (ROW_BYTES - 1 - len(json.dumps(row)))
            file.write(json.dumps(row) + "\n")


def stream(path: str) -> int:
    from aligntune.config import DatasetConfig
    from aligntune.data import prepare

    config = DatasetConfig(name=path, streaming=True)
    prepared = prepare([config], "language-modelling")
    count = sum(1 for _ in prepared.rows)
    assert prepared.reports[0].kept == count
    return count


def mapped(path: str) -> int:
    import datasets

    from aligntune.config import DatasetConfig
    from aligntune.data import make_normaliser

    rows = datasets.load_dataset("json", data_files=path, split="train")
    examples = [rows[index] for index in range(8)]
    config = DatasetConfig(name=path)
    normalise = make_normaliser(config, "language-modelling", rows.column_names, examples)
    made = rows.map(
        lambda row, index: normalise(row, index).row,
        with_indices=True,
        remove_columns=rows.column_names,
    )
    return sum(1 for _ in made)


WAYS = {"streaming": stream, "datasets.map": mapped}


def measure(way: str, path: str) -> None:
    """Go one way in this process; print what it took as JSON."""
    import datasets
    import torch  # noqa: F401 (what trains has it, and streams of `datasets` import it)

    datasets.disable_progress_bars()
    before, start = getrusage(RUSAGE_SELF).ru_maxrss, time.perf_counter()
    rows = WAYS[way](path)
    seconds = time.perf_counter() - start
    peak = getrusage(RUSAGE_SELF).ru_maxrss
    print(json.dumps({"rows": rows, "seconds": seconds, "peak": peak, "before": before}))


def run(way: str, path: Path, folder: Path) -> list[str]:
    cache = folder / way
    environment = os.environ | {
        "HF_HOME": str(cache),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, __file__, "--way", way, "--file", str(path)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    written = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
    return [
        way,
        f"{found['before'] / 1024:.0f} MiB",
        f"{found['peak'] / 1024:.0f} MiB",
        f"{found['rows'] / found['seconds']:,.0f}",
        f"{written / 2**20:,.0f} MiB",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        measure(asked.way, asked.file)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "rows.jsonl"
        write_rows(path, asked.rows)
        print(f"{asked.rows:,} rows, {path.stat().st_size / 2**20:,.0f} MiB of JSON lines\n")
        print("| Rows go through | Memory before | Peak | Rows per second | Written to disk |")
        print("|---|---|---|---|---|", flush=True)
        for way in WAYS:
            print("| " + " | ".join(run(way, path, folder)) + " |", flush=True)


if __name__ == "__main__":
    main()
