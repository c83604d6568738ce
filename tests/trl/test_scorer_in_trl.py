"""A scorer handed straight to TRL's own trainer: what TRL trains on and logs are its totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from aligntune.errors import RewardError
from aligntune.scoring import Part, Scorer, as_reward
from aligntune.testing.models import make_model, make_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"answer": str(n), "level": n} for n in range(8)]


def spread(text: str) -> float:
    """Something that differs between random completions."""
    return sum(map(ord, text)) % 97 / 97


def level(text: str, level: int, reference: str) -> float | None:
    """Applies to some rows only, and reads two columns."""
    assert reference == str(level)
    return None if level % 2 else float(level)


def broken(text: str) -> float:
    return float("nan")


def trainer(scorer: Scorer, folder: Path, prompts: list[Any]) -> GRPOTrainer:
    rows = [{"prompt": prompt, **row} for prompt, row in zip(prompts, ROWS, strict=True)]
    return GRPOTrainer(
        model=str(make_model(folder / "model")),
        reward_funcs=[scorer],
        args=GRPOConfig(
            output_dir=str(folder / "out"),
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=8,
            max_steps=2,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            seed=1,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=make_tokenizer(),
    )


def as_text(n: int) -> str:
    return f"{n}="


def as_messages(n: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"{n}="}]


@pytest.mark.parametrize("prompt", [as_text, as_messages])
def test_trl_logs_the_totals(tmp_path: Path, prompt: Any) -> None:
    scorer = Scorer(
        [Part("spread", as_reward(spread), 10.0), Part("level", as_reward(level), 0.5, clip=[0, 3])]
    )
    seen: list[list[float]] = []
    raw: list[dict[str, list[float | None]]] = []
    ran = trainer(scorer, tmp_path, [prompt(n) for n in range(8)])
    ran.reward_funcs[0] = recording = _Recording(scorer, seen, raw)
    assert recording.__name__ == ran.reward_func_names[0] == "total"
    ran.train()

    logged = [row for row in ran.state.log_history if "reward" in row]
    assert len(logged) == len(seen) == 2
    for row, totals, parts in zip(logged, seen, raw, strict=True):
        assert len(set(totals)) > 1
        assert row["reward"] == pytest.approx(sum(totals) / 4, rel=1e-5)
        assert row["rewards/total/mean"] == pytest.approx(row["reward"])
        assert row["rewards/spread/mean"] == pytest.approx(sum(parts["spread"]) / 4, rel=1e-5)
        for i, total in enumerate(totals):
            extra = 0.0 if parts["level"][i] is None else 0.5 * min(parts["level"][i], 3.0)
            assert total == pytest.approx(10.0 * parts["spread"][i] + extra)
    assert scorer.reference_column == "answer"
    assert scorer.last is not None
    assert scorer.last.totals == seen[-1]
    assert all(isinstance(text, str) for text in scorer.last.texts)
    assert scorer.last.step == 1


class _Recording:
    """The scorer, with what it returned kept."""

    __name__ = "total"

    def __init__(self, scorer: Scorer, seen: list[Any], raw: list[Any]) -> None:
        self.scorer, self.seen, self.raw = scorer, seen, raw

    def __call__(self, **given: Any) -> list[float]:
        totals = self.scorer(**given)
        self.seen.append(totals)
        self.raw.append(self.scorer.last.raw if self.scorer.last else {})
        return totals


def test_a_broken_reward_ends_the_training_with_its_name(tmp_path: Path) -> None:
    scorer = Scorer([Part("spread", as_reward(spread)), Part("broken", as_reward(broken))])
    with pytest.raises(RewardError, match="reward 'broken' returned nan for sample 0 of 4"):
        trainer(scorer, tmp_path, [as_text(n) for n in range(8)]).train()


def test_arrays_and_tensors_are_lists_of_numbers() -> None:
    def array(completions: list[str]) -> Any:
        return np.array([1.5] * len(completions), dtype=np.float32)

    def tensor(completions: list[str]) -> Any:
        return torch.full((len(completions),), 0.25)

    def tensors(completions: list[str]) -> Any:
        return [torch.tensor(1.0) for _ in completions]

    def vectors(completions: list[str]) -> Any:
        return torch.zeros(len(completions), 3)

    scorer = Scorer([Part(f.__name__, as_reward(f)) for f in (array, tensor, tensors)])
    assert scorer(["p", "q"], ["a", "b"]) == [2.75, 2.75]
    with pytest.raises(RewardError, match=r"'vectors' returned \[0.0, 0.0, 0.0\] for sample 0"):
        Scorer([Part("vectors", as_reward(vectors))])(["p", "q"], ["a", "b"])


def same(text: str, reference: str) -> float:
    return float(text == reference)


def test_columns_of_data_sets_and_arrays_are_columns() -> None:
    answers = ["a", "b"]
    scorer = Scorer([Part("same", as_reward(same))])
    for column in (np.array(answers), Dataset.from_dict({"answer": answers})["answer"]):
        assert scorer(["p", "q"], ["a", "c"], answer=column) == [1.0, 0.0]
