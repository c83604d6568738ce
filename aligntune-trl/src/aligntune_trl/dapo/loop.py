"""Dynamic sampling (Yu et al. 2025, arXiv 2503.14476, section 3.2) on TRL's GRPOTrainer.

A group whose completions are all equally right teaches nothing. Such groups are replaced, before
anything else is computed, by groups of further prompts. Completions are made and rewarded as TRL
does it; what is kept is then handed to TRL as if it had come so at once, so that masks, old
log-probabilities, advantages and loss are TRL's own.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from aligntune_trl.dapo.overlong import OverlongPunishment
from aligntune_trl.grpo.loop import RolloutTrainer, note_counted
from aligntune_trl.watch import COUNTED

if TYPE_CHECKING:
    import trl
    from torch import Tensor

    from aligntune.config.sections.training import TrainingConfig

__all__ = ["DAPOLoop", "Group", "prompt_at"]

STATE = "dapo_state.json"
Row = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """The completions of one prompt.

    Attributes:
        rows: one row of the data for each completion.
        made: what TRL's `_generate` returns: lists with one entry for each completion, and others.
        rewards: of shape (completions, reward functions).
    """

    rows: list[Row]
    made: tuple[Any, ...]
    rewards: Tensor

    @property
    def teaches(self) -> bool:
        """Whether some completions are better than others, by the first of the rewards alone."""
        right = self.rewards[:, 0]
        return bool(right.max() > right.min())


def prompt_at(position: int, rows: int, seed: int) -> int:
    """The row at a position of a stream that goes through all rows, then again in a new order.

    Args:
        position: from 0.
        rows: how many there are.
        seed: of the order of the data; the stream has others than the batches begin with.
    """
    passes, index = divmod(position, rows)
    return int(_order(rows, seed + 1 + passes)[index])


@lru_cache(maxsize=2)
def _order(rows: int, seed: int) -> Tensor:
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))


class DAPOLoop(RolloutTrainer):
    """GRPO whose batches are filled with groups that teach something.

    Attributes:
        drawn: prompts that were taken from the stream so far; a part of every checkpoint.

    Args:
        settings: the `train` section of the configuration.
        reward_funcs: the one that says what is right; the overlong punishment stands beside it.
        arguments: those of TRL's trainer.
    """

    args: trl.GRPOConfig
    model: Any
    moved_by_rollouts = ("drawn",)

    def __init__(
        self, *, settings: TrainingConfig, reward_funcs: list[Any], **arguments: Any
    ) -> None:
        cache = settings.overlong_cache_length
        punishment = OverlongPunishment(settings.max_completion_length, cache) if cache else None
        both = reward_funcs if punishment is None else [*reward_funcs, punishment]
        super().__init__(reward_funcs=both, **arguments)
        self.max_resampling = settings.max_resampling
        self.drawn = 0
        self._chosen: list[Group] = []  # while TRL makes a batch of them

    def _generate_and_score_completions(self, inputs: list[Row]) -> Row:
        """A batch as TRL makes it, of groups that teach something.

        Where the bound leaves others in it, their tokens do not count.
        """
        if not self.model.training or not self.max_resampling:
            return dict(super()._generate_and_score_completions(inputs))
        groups = self._filled(self._groups(inputs))
        self._chosen = groups
        rows = [row for group in groups for row in group.rows]
        try:
            batch = dict(super()._generate_and_score_completions(rows))
        finally:
            self._chosen = []
        return self._taught(batch, [group.teaches for group in groups])

    def _filled(self, batch: list[Group]) -> list[Group]:
        """The groups, in which those that teach nothing are replaced, round by round."""
        sampled, useful, rounds = list(batch), [g for g in batch if g.teaches], 0
        while len(useful) < len(batch) and rounds < self.max_resampling:
            rounds += 1
            # As many as the share of useful groups so far lets expect, at most a whole batch.
            missing = len(batch) - len(useful)
            expected = math.ceil(missing * len(sampled) / max(len(useful), 1))
            fresh = self._groups(self._draw(min(expected, len(batch))))
            sampled += fresh
            useful += [group for group in fresh if group.teaches]
        idle = [group for group in batch if not group.teaches]
        chosen = [*useful, *idle][: len(batch)]
        filled = sum(group.teaches for group in chosen)
        rewards = torch.cat([group.rewards[:, 0] for group in sampled])
        self._note("rounds", rounds)
        self._note("prompts", len(sampled))
        self._note("dropped", len(sampled) - filled)
        self._note("kept", len(useful) / len(sampled))
        self._note("filled", filled / len(batch))
        self._note("reward", rewards.mean().item())
        return chosen

    def _groups(self, rows: list[Row]) -> list[Group]:
        """Complete prompts and ask for the rewards, as TRL does it."""
        prompts = [row["prompt"] for row in rows]
        made: tuple[Any, ...] = super()._generate(prompts)
        _, ids, _, completions, *_ = made
        rewards: Tensor = super()._calculate_rewards(rows, prompts, completions, ids)
        size, count = self._size, len(rows)
        return [
            Group(rows[at : at + size], _part(made, at, size, count), rewards[at : at + size])
            for at in range(0, count, size)
        ]

    def _draw(self, prompts: int) -> list[Row]:
        """Rows of further prompts, as many times each as a group is large."""
        data: Any = self.train_dataset
        seed = self.args.data_seed
        assert seed is not None
        found = []
        for position in range(self.drawn, self.drawn + prompts):
            row = data[prompt_at(position, len(data), seed)]
            found += [dict(row) for _ in range(self._size)]
        self.drawn += prompts
        return found

    def _taught(self, batch: Row, taught: list[bool]) -> Row:
        """The batch, in which the tokens of groups that teach nothing do not count."""
        mask = batch["completion_mask"]
        counts = torch.tensor(taught, device=mask.device).repeat_interleave(self._size)
        mask = mask * counts.unsqueeze(1)
        tokens = self.accelerator.gather(mask.sum()).sum()
        batch |= {"completion_mask": mask, "num_items_in_batch": tokens}
        if noted := self._metrics["train"].get(COUNTED):  # of the same batch before
            noted.pop()
        note_counted(self, self._metrics, batch)
        return batch

    @property
    def _size(self) -> int:
        """Completions of a group in training."""
        size: Any = self.num_generations
        return int(size)

    def _note(self, name: str, value: float) -> None:
        self._metrics["train"][f"dynamic_sampling/{name}"].append(float(value))

    # What TRL asks for while it makes a batch of groups that are there already

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        if not self._chosen:
            return tuple(super()._generate(prompts))
        return _joined([group.made for group in self._chosen], self._size)

    def _calculate_rewards(self, inputs: Any, prompts: list[Any], *more: Any) -> Tensor:
        if not self._chosen:
            rewards: Tensor = super()._calculate_rewards(inputs, prompts, *more)
            return rewards
        return torch.cat([group.rewards for group in self._chosen])

    # Checkpoints

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            (Path(output_dir) / STATE).write_text(json.dumps({"drawn": self.drawn}))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self.drawn = json.loads((Path(checkpoint) / STATE).read_text())["drawn"]


def _part(made: tuple[Any, ...], start: int, size: int, of: int) -> tuple[Any, ...]:
    """Of each list with an entry for every completion, those of one group."""
    return tuple(
        some[start : start + size] if isinstance(some, list) and len(some) == of else some
        for some in made
    )


def _joined(parts: list[tuple[Any, ...]], size: int) -> tuple[Any, ...]:
    """The inverse of `_part`, for groups in their order."""
    return tuple(
        [entry for some in same for entry in some]
        if isinstance(same[0], list) and len(same[0]) == size
        else same[0]
        for same in zip(*parts, strict=True)
    )
