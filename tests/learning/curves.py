"""Draws docs/algorithms/curves: how the learning task of each page goes, and its control.

    python tests/learning/curves.py              # every page; some minutes on one core
    python tests/learning/curves.py kto orpo     # some pages

What the pictures show is what the runs wrote into metrics.jsonl. The first and the last number of
each line are the description in the picture, and its alternative text on the page.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import tempfile
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

from drawing import Panel, draw
from learning import Cell, tasks

CURVES = Path(__file__).parents[2] / "docs" / "algorithms" / "curves"
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Picture:
    """The picture of a page.

    Attributes:
        metrics: what is drawn, one panel each.
        every: steps of which each point is the mean.
        tasks: the algorithms that run, where they are not the one that the page is named after.
    """

    metrics: tuple[str, ...]
    every: int
    tasks: tuple[str, ...] = ()


REWARDED = ("reward", "kl")
PICTURES = {
    "sft": Picture(("loss", "mean_token_accuracy"), 3),
    "classification": Picture(("loss",), 5, ("text_classification", "token_classification")),
    "reward_modeling": Picture(("accuracy", "loss"), 3),
    "dpo": Picture(("rewards/margins", "loss"), 3),
    "kto": Picture(("rewards/margins", "loss"), 3),
    "orpo": Picture(("rewards/accuracies", "nll_loss"), 3),
    "simpo": Picture(("rewards/margins", "loss"), 3),
    "online_dpo": Picture((*REWARDED, "rewards/margins"), 4),
    "ppo": Picture((*REWARDED, "explained_variance"), 8),
    "grpo": Picture((*REWARDED, "entropy"), 4),
    "gspo": Picture(("reward", "clip_ratio/region_mean", "entropy"), 8),
    "dapo": Picture(("dynamic_sampling/reward", "dynamic_sampling/kept", "entropy"), 3),
    "dr_grpo": Picture(("reward", "grad_norm", "entropy"), 4),
    "rloo": Picture((*REWARDED, "entropy"), 4),
    "neural_mirror_grpo": Picture(("reward", "divergence", "mirror_loss"), 4),
    "meta_es": Picture(("share of the first weight", "fitness"), 1),
}
ITERATIONS = 4  # of the evolution: the task has two, which are no curve


def run(name: str, signal: bool, every: int) -> tuple[dict[str, Points], tuple[float, float]]:
    """The lines of one run, and what its task measures before and after."""
    if name == "meta_es":
        import task_meta_es

        task_meta_es.ES["meta_iterations"] = ITERATIONS
    task = tasks()[name]
    with tempfile.TemporaryDirectory() as folder:
        measured = task.run(Cell(Path(folder), signal=signal, logging_steps=every))
        made = Path(folder) / "run"
        return _evolution(made) if name == "meta_es" else _logged(made), measured


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _logged(folder: Path) -> dict[str, Points]:
    found: dict[str, Points] = {}
    for line in _read(folder / "metrics.jsonl"):
        for name in line.keys() & {metric for p in PICTURES.values() for metric in p.metrics}:
            found.setdefault(name, []).append((line["step"], line[name]))
    return found


def _evolution(folder: Path) -> dict[str, Points]:
    """Of an evolution: the weights that its iterations begin with and end at, and their fitness."""
    lines = _read(folder / "meta_es" / "iterations.jsonl")
    last = json.loads((folder / "meta_es" / "best.json").read_text())["last"]
    weights = [list(line["parameters"].values()) for line in lines] + [list(last.values())]
    return {
        "share of the first weight": [(at, w[0] / sum(w)) for at, w in enumerate(weights)],
        "fitness": [(line["iteration"], line["fitness"]) for line in lines],
    }


def picture(page: str) -> str:
    """Run the tasks of a page and their controls, and draw them."""
    asked, panels, said = PICTURES[page], [], []
    for name in asked.tasks or (page,):
        lines, before_and_after = {}, {}
        for kind in (True, False):
            lines[kind], before_and_after[kind] = run(name, kind, asked.every)
        for metric in asked.metrics:
            title = f"{metric}, {name}" if asked.tasks else metric
            across = "iteration" if page == "meta_es" else "step"
            panels.append(Panel(title, across, lines[True][metric], lines[False][metric]))
            said.append(f"{title} {_ends(lines[True][metric], lines[False][metric])}")
        measured = [[(0.0, value) for value in before_and_after[kind]] for kind in (True, False)]
        said.append(f"{tasks()[name].metric} {_ends(*measured)}")
    return draw(f"A healthy run of {page}", "; ".join(said), panels)


def image(page: str, svg: str) -> str:
    """How the page shows its picture."""
    about = unescape(svg.partition("<desc>")[2].partition("</desc>")[0])
    return f"![{about}](curves/{page}.svg)"


def _ends(signal: Points, control: Points) -> str:
    first, last, other, end = (
        f"{points[at][1]:.3g}" for points in (signal, control) for at in (0, -1)
    )
    return f"from {first} to {last}, control from {other} to {end}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("pages", nargs="*", help="pages; all of them where none is named")
    given = parser.parse_args()
    logging.disable()
    CURVES.mkdir(exist_ok=True)
    for page in given.pages or PICTURES:
        path, text = CURVES / f"{page}.svg", CURVES.parent / f"{page}.md"
        path.write_text(picture(page))
        shown = image(page, path.read_text())
        shows = re.compile(rf"!\[[^]]*\]\(curves/{page}\.svg\)")
        text.write_text(shows.sub(lambda _: shown, text.read_text()))  # noqa: B023
        print(path, flush=True)


if __name__ == "__main__":
    main()
