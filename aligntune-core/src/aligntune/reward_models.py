"""Trains a reward model on texts that reward functions score: `train_reward_model`.

The texts are scored here, and an algorithm that says so in its facts (`from_scores`) fits a model
to the scores. A finished folder says what it was trained from, so that a run finds its reward model
again, and never takes another for it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.config import RewardConfig, RewardModelTrainingConfig
from aligntune.config.sources import read_file
from aligntune.errors import ConfigError, DataError, NotRegisteredError, Problem, UnavailableError
from aligntune.plugins import Plugins, get
from aligntune.registry import import_target
from aligntune.scoring import RewardBatch, Scorer, build_scorer
from aligntune.scoring.faults import raw_values
from aligntune.scoring.reward_model import trained_within

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.facts import AlgorithmFacts
    from aligntune.registry import Entry

__all__ = [
    "REPORT",
    "TrainedRewardModel",
    "reward_configs",
    "train_reward_model",
    "trained_reward_model",
    "trained_reward_model_problems",
]

logger = logging.getLogger("aligntune")

REPORT = "reward_model.json"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class TrainedRewardModel:
    """A reward model in its folder.

    `report`: what was measured on texts that were held out, and on how many; see
    `docs/algorithms/reward_modeling.md`. `reused`: it was there already, trained from the same.
    """

    path: Path
    report: Mapping[str, Any]
    reused: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {"path": str(self.path), "reused": self.reused, "report": dict(self.report)}


def train_reward_model(
    config: RewardModelTrainingConfig | Mapping[str, Any] | str | Path,
    *,
    trained: bool = False,
    plugins: Plugins | None = None,
) -> TrainedRewardModel:
    """Train a reward model on texts that reward functions score, or find it trained already.

    Args:
        config: the settings, a mapping of them, or a YAML or JSON file that has them.
        trained: whether `base_model_name` is a reward model, which is trained further.
        plugins: the plugins to use; None takes those of the process.

    Raises:
        ConfigError: for settings that are wrong, or a folder that holds something else.
        RewardError: if a reward fails; names it and the text.
        DataError: if the rewards lack references, or give all texts one score.
    """
    config, plugins = _settings(config), plugins or get()
    fit = _fitter(plugins)
    scorer = build_scorer(reward_configs(config, plugins), plugins)
    columns = {} if config.reference_texts is None else {"reference": config.reference_texts}
    scorer.check(columns)
    batch = RewardBatch(config.training_texts, columns=columns, references=config.reference_texts)
    wanted = _origin(config, scorer, batch, trained=trained)
    folder = Path(config.output_dir)
    if folder.exists() and any(folder.iterdir()):
        return TrainedRewardModel(folder, _found(folder, wanted), reused=True)
    scorer.load()
    scores = scorer.score(batch).totals
    if max(scores) == min(scores):
        raise DataError(
            f"every text has the score {scores[0]:g}, so there is nothing to learn; bring other "
            "texts, or other rewards"
        )
    logger.info("training the reward model %s on %d texts", folder, len(scores))
    report = _train(fit, config, scores, wanted, trained=trained)
    return TrainedRewardModel(folder, report)


def trained_reward_model(config: RunConfig, plugins: Plugins) -> TrainedRewardModel | None:
    """The reward model that a run trains itself, trained or found; None where it trains none.

    Raises:
        AlignTuneError: as `train_reward_model` says; the place is that in the run's configuration.
    """
    source = config.model.reward_model_source
    if source is None or not trained_within(source):
        return None
    assert source.training_config is not None  # the section sees to it
    further = source.fine_tune_with_rewards
    try:
        return train_reward_model(source.training_config, trained=further, plugins=plugins)
    except ConfigError as error:
        raise ConfigError(_placed(error)) from error


def trained_reward_model_problems(config: RunConfig, plugins: Plugins) -> list[Problem]:
    """Rewards that score the texts of a run's reward model and are not there."""
    source = config.model.reward_model_source
    if source is None or source.training_config is None or not trained_within(source):
        return []
    try:
        reward_configs(source.training_config, plugins)
    except ConfigError as error:
        return _placed(error)
    return []


def _placed(error: ConfigError) -> list[Problem]:
    """The problems of training settings, where these stand in the configuration of a run."""
    above = "model.reward_model_source.training_config"
    return [replace(p, path=f"{above}.{p.path}" if p.path else above) for p in error.problems]


def reward_configs(config: RewardModelTrainingConfig, plugins: Plugins) -> list[RewardConfig]:
    """The rewards that score the texts: registered names, or importable ones (`module:name`).

    Raises:
        ConfigError: for a name that is neither.
    """
    weights = config.reward_weights or [1.0] * len(config.reward_functions)
    found, problems = [], []
    for index, (name, weight) in enumerate(zip(config.reward_functions, weights, strict=True)):
        params: dict[str, Any] = {}
        kind = name
        try:
            plugins.find(plugins.rewards, name)
        except NotRegisteredError as error:
            if ":" not in name:
                problems.append(Problem(f"reward_functions.{index}", str(error)))
            kind, params = "custom", {"reward_function": name}
        found.append(RewardConfig(type=kind, params=params, weight=weight))
    if problems:
        raise ConfigError(problems)
    return found


def _settings(config: Any) -> RewardModelTrainingConfig:
    if isinstance(config, str | Path):
        return _from_file(Path(config))
    if isinstance(config, RewardModelTrainingConfig):
        return config
    return RewardModelTrainingConfig(**config)


def _from_file(path: Path) -> RewardModelTrainingConfig:
    document = read_file(path)
    problems = list(document.problems)
    try:
        config = RewardModelTrainingConfig(**document.data)
    except ConfigError as error:
        problems += [replace(one, where=document.place(one.path)) for one in error.problems]
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return config


def _fitter(plugins: Plugins) -> Callable[..., dict[str, Any]]:
    """What fits a model to scores, of the algorithms that are installed."""
    entries: list[Entry[AlgorithmFacts]] = [
        entry
        for name in plugins.algorithms.names()
        for entry in plugins.algorithms.matching(name)
        if entry.facts.from_scores
    ]
    if not entries:
        raise UnavailableError(
            "no installed plugin trains a reward model on scores: pip install aligntune-trl"
        )
    entry = entries[0]
    made: Callable[..., dict[str, Any]] = import_target(
        entry.facts.from_scores, f"algorithm {entry.name!r} of {entry.owner}"
    )
    return made


def _train(
    fit: Callable[..., dict[str, Any]],
    config: RewardModelTrainingConfig,
    scores: list[float],
    wanted: Mapping[str, Any],
    *,
    trained: bool,
) -> dict[str, Any]:
    """Train beside the folder, which appears once the model is whole."""
    folder = Path(config.output_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as unfinished:
        made = Path(unfinished) / "model"
        made.mkdir()
        report = fit(config, scores, made, trained=trained)
        text = json.dumps({"trained_from": wanted, "report": report}, indent=2)
        (made / REPORT).write_text(text + "\n", encoding="utf-8")
        made.replace(folder)
    return report


def _found(folder: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a finished reward model, if it was trained from what is wanted.

    Raises:
        ConfigError: if it was not; names what differs.
    """
    hint = "name another folder, or remove this one"
    if not (folder / REPORT).is_file():
        message = f"the folder {str(folder)!r} holds something else than a reward model"
        raise ConfigError(Problem("output_dir", message, hint=hint))
    read = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    there = read["trained_from"]
    differ = [name for name in wanted if there.get(name) != wanted[name]]
    if differ:
        message = f"{str(folder)!r} holds a reward model with another {', '.join(differ)}"
        raise ConfigError(Problem("output_dir", message, hint=hint))
    logger.info("the reward model %s is trained already", folder)
    report: dict[str, Any] = read["report"]
    return report


def _origin(
    config: RewardModelTrainingConfig, scorer: Scorer, batch: RewardBatch, *, trained: bool
) -> dict[str, Any]:
    """What a reward model is trained from: the settings, and digests of what they name.

    Texts, the files of a local base model, and what the rewards say. A reward with a model, which
    takes its time, counts by its name and version.
    """
    settings = config.model_dump(mode="json", exclude={"output_dir"})
    texts = {name: _digest(settings.pop(name)) for name in ("training_texts", "reference_texts")}
    scores: dict[str, Any] = {}
    for part in scorer.parts:
        reward = part.reward
        said = None if reward.cost == "model" else raw_values(part.name, reward, batch)
        scores[part.name] = [reward.version, _digest(said)]
    base = Path(config.base_model_name)
    files = _digest_of_files(base) if base.is_dir() else ""
    return {
        **settings,
        **texts,
        "further_training": trained,
        "files of base_model_name": files,
        "values of reward_functions": scores,
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _digest_of_files(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".json", ".safetensors", ".bin", ".jinja", ".model"):
            continue
        total.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    return total.hexdigest()[:16]
