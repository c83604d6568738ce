"""Benchmarks, as ratios measured side by side in one run: A B A B, medians.

    python benchmarks/run.py            # everything
    python benchmarks/run.py startup    # CPU time of the light commands against their libraries
    python benchmarks/run.py training   # speed and memory against a TRL script

What is compared runs in fresh processes, turn by turn, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
LIBRARIES = "import pluggy, stevedore.named, pydantic, rich, yaml"
CONFIG = """\
model_name: model
dataset_name: rows.jsonl
algorithm: grpo
rewards: [{type: accuracy}]
"""


def cpu_seconds(command: list[str], folder: Path) -> float:
    """CPU seconds, user and system, of one process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(header: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def startup(folder: Path, rounds: int) -> None:
    """CPU time of each light command over that of importing the libraries it may use."""
    (folder / "grpo.yaml").write_text(CONFIG)
    command = str(Path(sys.executable).with_name("aligntune"))
    base = [sys.executable, "-c", LIBRARIES]
    light = {
        "import aligntune": [sys.executable, "-c", "import aligntune"],
        "aligntune --help": [command, "--help"],
        "aligntune plugins": [command, "plugins"],
        "aligntune validate": [command, "validate", "grpo.yaml"],
    }
    for arguments in (base, *light.values()):  # byte code and disk caches
        cpu_seconds(arguments, folder)
    ratios: dict[str, list[float]] = {name: [] for name in light}
    seconds: dict[str, list[float]] = {name: [] for name in ("libraries", *light)}
    for _ in range(rounds):
        for name, arguments in light.items():
            reference, measured = cpu_seconds(base, folder), cpu_seconds(arguments, folder)
            ratios[name].append(measured / reference)
            seconds[name].append(measured)
            seconds["libraries"].append(reference)
    print(f"CPU seconds, median of {rounds}; libraries: {LIBRARIES}\n")
    rows = [["libraries", f"{statistics.median(seconds['libraries']):.3f}", "1.00"]]
    for name in light:
        low, high = min(ratios[name]), max(ratios[name])
        ratio = f"{statistics.median(ratios[name]):.2f} [{low:.2f} to {high:.2f}]"
        rows.append([f"`{name}`", f"{statistics.median(seconds[name]):.3f}", ratio])
    table(["command", "CPU s", "ratio to the libraries"], rows)


def sides(algorithm: str, ppo_python: str | None) -> dict[str, list[str]]:
    """The commands that are compared: the hand-written script and AlignTune."""
    python, script = sys.executable, HERE / "raw_trl.py"
    if algorithm == "ppo":  # TRL has had none since 1.13
        assert ppo_python is not None
        python, script = ppo_python, HERE / "raw_ppo.py"
    return {
        "by hand": [python, str(script), algorithm],
        "ours": [sys.executable, str(HERE / "aligned.py"), algorithm],
    }


MEASURED = ("seconds to the first step", "steps per second", "peak memory, MiB")


def training(folder: Path, rounds: int, steps: int, ppo_python: str | None) -> None:
    """Seconds to the first step, steps per second and peak memory, ours and by hand."""
    subprocess.run([sys.executable, HERE / "make_inputs.py", folder], check=True)
    rows = []
    for algorithm in ("sft", "dpo", "grpo", *(["ppo"] if ppo_python else [])):
        commands = sides(algorithm, ppo_python)
        found: dict[str, dict[str, list[float]]] = {
            side: {name: [] for name in MEASURED} for side in commands
        }
        for turn in range(rounds):
            for side, command in commands.items():
                output = folder / f"{side}-{algorithm}-{turn}"
                begun = time.time()
                done = subprocess.run(
                    [*command, folder, output, str(steps)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                said = json.loads(done.stdout.splitlines()[-1])
                times = said["times"]
                speed = (len(times) - 1) / (times[-1] - times[0])
                for name, value in zip(
                    MEASURED, (times[0] - begun, speed, said["mib"]), strict=True
                ):
                    found[side][name].append(value)
        for name in MEASURED:
            by_hand, ours = found["by hand"][name], found["ours"][name]
            ratios = [a / b for a, b in zip(ours, by_hand, strict=True)]
            digits = 0 if name == MEASURED[2] else 2
            rows.append(
                [
                    algorithm.upper(),
                    name,
                    f"{statistics.median(by_hand):.{digits}f}",
                    f"{statistics.median(ours):.{digits}f}",
                    f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]",
                ]
            )
    print(f"median of {rounds} pairs of processes, {steps} steps each, {os.cpu_count()} cores\n")
    table(["", "", "hand-written TRL", "AlignTune", "ratio"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["startup", "training", "all"], default="all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--ppo-python", help="python of an environment whose TRL has PPO (1.12)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if given.what in ("startup", "all"):
            startup(Path(name), max(given.rounds, 3))
        if given.what in ("training", "all"):
            training(Path(name), given.rounds, given.steps, given.ppo_python)


if __name__ == "__main__":
    main()
