"""The names of everything in a run directory, and which checkpoint in it is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

__all__ = ["FILES", "FOLDERS", "OF_SOME_RUNS", "RunPaths"]

FILES = (
    "run.json",
    "config.yaml",
    "plan.json",
    "environment.json",
    "plugins.json",
    "data.json",
    "reward_model.json",
    "mirror_map.safetensors",
    "metrics.jsonl",
    "samples.jsonl",
    "evaluation.jsonl",
    "warnings.jsonl",
    "report.html",
)
FOLDERS = ("checkpoints", "model", "tensorboard", "meta_es")
# Of these, what only a run has that trains a reward model, has a mirror map, is warned, or evolves.
OF_SOME_RUNS = ("reward_model.json", "mirror_map.safetensors", "warnings.jsonl", "meta_es")


class RunPaths:
    """The paths in a run directory; making one touches no file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def plan(self) -> Path:
        """Every value with its origin and destination, and the batch arithmetic."""
        return self.path / "plan.json"

    @property
    def environment(self) -> Path:
        """Machine, packages, command line, commit."""
        return self.path / "environment.json"

    @property
    def plugins(self) -> Path:
        """Every installed plugin with its version and what became of it."""
        return self.path / "plugins.json"

    @property
    def data(self) -> Path:
        """What became of the rows of each data set: how many were kept, cut and left out, why."""
        return self.path / "data.json"

    @property
    def reward_model(self) -> Path:
        """What the reward model that the run trained itself is worth, where it trained one."""
        return self.path / "reward_model.json"

    @property
    def mirror_map(self) -> Path:
        """The mirror map of a run of Neural Mirror GRPO, which other runs can start from."""
        return self.path / "mirror_map.safetensors"

    @property
    def metrics(self) -> Path:
        """One line per logged step."""
        return self.path / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        """One line per logged completion, with its rewards."""
        return self.path / "samples.jsonl"

    @property
    def evaluation(self) -> Path:
        """One line per measured metric."""
        return self.path / "evaluation.jsonl"

    @property
    def warnings(self) -> Path:
        """One line per warning that nothing can be learned, given while the run trained."""
        return self.path / "warnings.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of `checkpoint-N`."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Folder of the final model and its tokenizer."""
        return self.path / "model"

    @property
    def report(self) -> Path:
        """The report, one self-contained page."""
        return self.path / "report.html"

    @property
    def status(self) -> Path:
        """What run this is and how it ended."""
        return self.path / "run.json"

    @property
    def logs(self) -> Path:
        """Folder of TensorBoard's files."""
        return self.path / "tensorboard"

    @property
    def evolution(self) -> Path:
        """Folder of what Meta-ES found: its candidates, its iterations, the best parameters."""
        return self.path / "meta_es"

    @property
    def candidates(self) -> Path:
        """One line per candidate of Meta-ES that ended: its fitness, or why it has none."""
        return self.evolution / "candidates.jsonl"

    @property
    def iterations(self) -> Path:
        """One line per iteration of Meta-ES."""
        return self.evolution / "iterations.jsonl"

    def last_checkpoint(self) -> Path | None:
        """Return the newest complete checkpoint: `trainer_state.json` is what is written last."""
        found = {
            int(path.name.removeprefix("checkpoint-")): path
            for path in self.checkpoints.glob("checkpoint-*")
            if path.name.removeprefix("checkpoint-").isdecimal() and _complete(path)
        }
        return found[max(found)] if found else None


def _complete(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):  # missing, or cut off while it was written
        return False
    return True
