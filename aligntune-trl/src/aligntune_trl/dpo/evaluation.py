"""The preference evaluation: does the policy prefer what was chosen, and what does it say itself?

Both are measured twice, on the prompts as they are (zero-shot) and behind examples (few-shot).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, Problem
from aligntune.evaluation.preference import preference_accuracy, reward_margin
from aligntune.evaluation.statistics import mean_metric

if TYPE_CHECKING:
    from datasets import Dataset

    from aligntune.config import EvaluationConfig
    from aligntune.evaluation import Metric
    from aligntune.scoring import Scorer
    from aligntune_trl.dpo.loop import PreferenceTrainer

__all__ = ["PreferenceEvaluation", "columns_scored", "scored"]

EXAMPLES = 2  # pairs of the training data that serve as examples where no text is given
SHOWN = 4  # completions of each setting that are written down; no more are made to no end

Complete = Callable[[Sequence[Any]], list[str]]


@dataclass(frozen=True)
class PreferenceEvaluation:
    """Pairs of the evaluation data by setting: `zero_shot`, and `few_shot` behind examples."""

    settings: Mapping[str, Dataset]

    @classmethod
    def make(
        cls,
        wanted: EvaluationConfig,
        rows: Dataset,
        training: Dataset,
        fitting: Callable[[Dataset], Dataset],
    ) -> PreferenceEvaluation:
        """Choose the rows, put the examples before them, and keep those that `fitting` keeps.

        Raises:
            ConfigError: if the training pairs, which serve as examples, are texts and the rows are
                chats, or the other way round.
        """
        if wanted.dpo_eval_max_samples is not None:
            rows = _first(rows, wanted.dpo_eval_max_samples)
        examples = wanted.dpo_few_shot_examples_text or list(_first(training, EXAMPLES))
        _check_examples(examples, rows)

        def put_before(row: dict[str, Any]) -> dict[str, Any]:
            return {"prompt": behind(examples, row["prompt"])}

        few = _first(rows, wanted.dpo_few_shot_max_samples).map(put_before)
        zero = _first(rows, wanted.dpo_zero_shot_max_samples)
        return cls({"zero_shot": fitting(zero), "few_shot": fitting(few)})

    def run(
        self, trainer: PreferenceTrainer, complete: Complete, scorer: Scorer | None
    ) -> tuple[list[Metric], list[dict[str, Any]]]:
        """Measure the policy of `trainer`; return the metrics, and completions as samples.

        `dpo_<setting>_accuracy` is the share of pairs whose chosen completion has the higher
        implicit reward (ties count half), `_margin` the mean difference of the two, and `_reward`
        the mean of the run's rewards over what the policy says itself.
        """
        metrics: list[Metric] = []
        samples: list[dict[str, Any]] = []
        for setting, rows in self.settings.items():
            rewards = trainer.implicit_rewards(rows)
            chosen, rejected = zip(*rewards, strict=True)
            metrics += [
                preference_accuracy(f"dpo_{setting}_accuracy", chosen, rejected),
                reward_margin(f"dpo_{setting}_margin", chosen, rejected),
            ]
            said = rows if scorer is not None else _first(rows, SHOWN)
            texts = complete(said["prompt"])
            made = scored(scorer, said, texts)
            if scorer is not None:
                values = [one["reward"] for one in made]
                metrics.append(mean_metric(f"dpo_{setting}_reward", values, proportion=False))
            samples += made[:SHOWN]
        return metrics, samples


def _check_examples(examples: str | Sequence[Mapping[str, Any]], rows: Dataset) -> None:
    if isinstance(examples, str) or not examples or not len(rows):
        return
    kinds = [
        "text" if isinstance(row["prompt"], str) else "chats" for row in (examples[0], rows[0])
    ]
    if kinds[0] != kinds[1]:
        message = f"the training pairs, which serve as examples, are {kinds[0]}, and the evaluation"
        hint = "set `evaluation.dpo_few_shot_examples_text`, which can stand before both"
        where = "evaluation.dpo_eval_enabled"
        raise ConfigError(Problem(where, f"{message} data are {kinds[1]}", hint=hint))


def behind(examples: str | Sequence[Mapping[str, Any]], prompt: Any) -> Any:
    """A prompt behind examples: a text, or pairs whose chosen completions show what is wanted."""
    if isinstance(prompt, str):
        if not isinstance(examples, str):
            examples = "\n\n".join(pair["prompt"] + pair["chosen"] for pair in examples)
        return f"{examples}\n\n{prompt}"
    if isinstance(examples, str):
        first = next(i for i, turn in enumerate(prompt) if turn["role"] == "user")
        asked = {**prompt[first], "content": f"{examples}\n\n{prompt[first]['content']}"}
        return [*prompt[:first], asked, *prompt[first + 1 :]]
    turns = [turn for pair in examples for turn in (*pair["prompt"], *pair["chosen"])]
    told = [turn for turn in prompt if turn["role"] == "system"]
    shown = [turn for turn in turns if turn["role"] != "system"]
    return [*told, *shown, *(turn for turn in prompt if turn["role"] != "system")]


def columns_scored(rows: Dataset) -> dict[str, Any]:
    """What rewards may read beside prompt and completion."""
    return {name: rows[name][:] for name in rows.column_names if name != "prompt"}


def scored(scorer: Scorer | None, rows: Dataset, texts: Sequence[str]) -> list[dict[str, Any]]:
    """One sample per completion: prompt, completion, its reward and the reward's parts."""
    prompts = rows["prompt"][:]
    samples: list[dict[str, Any]] = [
        {"prompt": prompt, "completion": text, "reward": None, "rewards": {}, "reference": None}
        for prompt, text in zip(prompts, texts, strict=True)
    ]
    if scorer is None:
        return samples
    talk = not isinstance(prompts[0], str)
    said = [[{"role": "assistant", "content": text}] for text in texts] if talk else list(texts)
    totals = scorer(prompts=prompts, completions=said, **columns_scored(rows))
    last = scorer.last
    assert last is not None
    for index, sample in enumerate(samples):
        sample["reward"] = totals[index]
        sample["rewards"] = {name: values[index] for name, values in last.raw.items()}
        sample["reference"] = last.references[index] if last.references else None
    return samples


def _first(rows: Dataset, count: int) -> Dataset:
    return rows.select(range(min(count, len(rows))))
