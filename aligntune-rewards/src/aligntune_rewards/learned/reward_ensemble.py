"""Several reward models as one reward: their mean, the worst of them, or less where they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, RewardFunction
from aligntune_rewards.learned.reward_model import RewardModelReward

if TYPE_CHECKING:
    import torch

    from aligntune_rewards.learned.inputs import Form

__all__ = ["RewardEnsembleReward"]

Aggregate = Literal["mean", "worst", "uncertainty"]
Spread = Literal["variance", "std"]

_SHARED = ("inputs", "batch_size", "max_length", "device", "dtype", "cache_dir")
_ROWS = "rows of `prompt` and `completion`"


@dataclass(eq=False, repr=False)
class RewardEnsembleReward(RewardFunction):
    """What several reward models say together, which is harder to exploit than one of them.

    With r_i the logits of the k models: `mean` is (1/k) Σ r_i; `worst` is min r_i; `uncertainty` is
    mean - penalty · (1/k) Σ (r_i - mean)², which is low where the models differ (Coste et al. 2023,
    "Reward Model Ensembles Help Mitigate Overoptimization", arXiv 2310.02743).

    That takes models with the same scale, such as one model trained with several seeds. Logits of
    other models are brought to one scale by `calibration`: each model scores its rows once, when it
    is loaded, and its logits count as (r - mean) / standard deviation of those.

    Range: any number. Higher is better. Columns: none; the prompt is read.
    Needs `pip install "aligntune-rewards[models]"`.

    Args:
        models: two reward models or more: local folders, names on the hub, or mappings of the
            parameters of `reward_model`. Each is loaded once.
        aggregate: `"mean"`, `"worst"` or `"uncertainty"`.
        penalty: the weight of the disagreement, for `"uncertainty"`; 1 unless set.
        spread: disagreement as the `"variance"`, as in the paper, or the standard deviation
            (`"std"`), which has the unit of the rewards; for `"uncertainty"`.
        calibration: rows of `prompt` and `completion`, or the JSONL file that holds them; two or
            more, better hundreds of them.
        inputs, batch_size, max_length, device, dtype, cache_dir: as for `reward_model`, of all
            models whose mapping does not say otherwise.

    Raises:
        ValueError: for a value that makes no sense.
        ConfigError: in `load`, if a model cannot be used, or gives all calibration rows the same.
    """

    models: Sequence[str | Mapping[str, Any]]
    aggregate: Aggregate = "worst"
    penalty: float | None = None
    spread: Spread | None = None
    calibration: str | Sequence[Mapping[str, Any]] | None = None
    inputs: Form = "auto"
    batch_size: int = 8
    max_length: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    cache_dir: str | None = None

    name = "reward_ensemble"
    cost = "model"

    def __post_init__(self) -> None:
        if isinstance(self.models, str | Mapping) or len(self.models) < 2:
            raise ValueError("models is a list of two reward models or more")
        if not all(isinstance(model, str | Mapping) for model in self.models):
            raise ValueError("models holds what is no name, folder or mapping")
        if self.aggregate not in get_args(Aggregate):
            choices = ", ".join(get_args(Aggregate))
            raise ValueError(f"aggregate is {self.aggregate!r}; it is one of {choices}")
        if self.aggregate != "uncertainty" and (self.penalty is not None or self.spread):
            raise ValueError("penalty and spread have no effect unless aggregate is uncertainty")
        if self.spread is not None and self.spread not in get_args(Spread):
            raise ValueError(f"spread is {self.spread!r}; it is variance or std")
        if self.penalty is not None and not 0 <= self.penalty < float("inf"):
            raise ValueError(f"penalty is {self.penalty}; it is a number not below 0")
        self.members = [self._member(model) for model in self.models]
        seen = [(m.model, m.revision, m.target_label, m.inputs) for m in self.members]
        if len(set(seen)) < len(seen):
            raise ValueError("models names one twice; a model agrees with itself")
        self._rows = _calibration_rows(self.calibration)
        self._scales: list[tuple[float, float]] | None = None

    def _member(self, model: str | Mapping[str, Any]) -> RewardModelReward:
        said = {"model": model} if isinstance(model, str) else dict(model)
        shared = {name: getattr(self, name) for name in _SHARED}
        try:
            member = RewardModelReward(**{**shared, **said})
        except TypeError as error:
            raise ValueError(f"models: {error}; a mapping holds params of reward_model") from error
        member.name = f"{self.name}[{member.model}]"
        return member

    def load(self) -> None:
        """Load the models, and let them score the rows of the calibration."""
        for member in self.members:
            member.load()
        if self._scales is None and self._rows is not None:
            self._scales = [self._scale(member) for member in self.members]

    def _scale(self, member: RewardModelReward) -> tuple[float, float]:
        assert self._rows is not None
        prompts, texts = zip(*self._rows, strict=True)
        values = member.values(RewardBatch(texts, prompts)).double()
        mean, deviation = float(values.mean()), float(values.std(correction=0))
        if deviation <= 1e-6 * max(1.0, abs(mean)):
            raise ConfigError(
                f"{member.said_by} gives all rows of params.calibration {mean:g}; calibrate on "
                "completions that differ"
            )
        return mean, deviation

    def compute(self, text: str, prompt: Any = None) -> float | None:
        """Score one completion; `compute_batch` is faster for many."""
        return self.compute_batch(RewardBatch.one(text, prompt))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        values: list[float] = self._together(self.logits(batch)).tolist()
        return values

    def logits(self, batch: RewardBatch) -> torch.Tensor:
        """What each model says, brought to one scale, shape (models, completions), float64."""
        import torch

        self.load()
        found = torch.stack([member.values(batch).double() for member in self.members])
        if self._scales is None:
            return found
        means, deviations = torch.tensor(self._scales, dtype=torch.float64).T
        scaled: torch.Tensor = (found - means[:, None]) / deviations[:, None]
        return scaled

    def _together(self, logits: torch.Tensor) -> torch.Tensor:
        if self.aggregate == "worst":
            return logits.amin(dim=0)
        mean = logits.mean(dim=0)
        if self.aggregate == "mean":
            return mean
        variance = logits.var(dim=0, correction=0)
        disagreement = variance.sqrt() if self.spread == "std" else variance
        return mean - (1.0 if self.penalty is None else self.penalty) * disagreement


def _calibration_rows(
    given: str | Sequence[Mapping[str, Any]] | None,
) -> list[tuple[Any, str]] | None:
    """Prompts and completions to calibrate on; None where there is no calibration."""
    if given is None:
        return None
    rows = _read(given) if isinstance(given, str) else list(given)
    if len(rows) < 2:
        raise ValueError(f"calibration holds {len(rows)} rows; it needs two {_ROWS} or more")
    for row in rows:
        if not isinstance(row, Mapping) or not {"prompt", "completion"} <= set(row):
            raise ValueError(f"calibration holds the row {row!r}; it consists of {_ROWS}")
        if not isinstance(row["completion"], str) or row["prompt"] is None:
            raise ValueError(f"calibration holds the row {row!r}; a completion is text")
    return [(row["prompt"], row["completion"]) for row in rows]


def _read(path: str) -> list[Any]:
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines if line.strip()]
    except OSError as error:
        raise ValueError(f"calibration: {path!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"calibration: {path!r} is no JSONL file: {error}") from error
