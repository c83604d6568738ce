"""DAPO: its loss, what length costs, which groups train, resuming, and TRL's own numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trl
from datasets import Dataset
from safetensors.torch import load_file
from transformers import TrainerCallback
from trl.rewards import get_soft_overlong_punishment

from aligntune import create_rl_trainer
from aligntune.errors import ConfigError
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_trl.dapo.loop import prompt_at
from aligntune_trl.dapo.overlong import overlong_punishment

GROUP, PROMPTS, LONGEST = 4, 3, 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dapo")
    make_model(folder / "model", initializer_range=0.1)
    write_jsonl(folder / "rows.jsonl", addition_rows(12))
    return folder


def digits(text: str) -> int:
    return sum(character.isascii() and character.isdigit() for character in text)


def two_digits(text: str, **columns: Any) -> float:
    return float(digits(text) >= 2)


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    def to(reward: Any = two_digits, **settings: Any) -> Any:
        given: dict[str, Any] = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "algorithm": "dapo",
            "backend": "trl",
            "output_dir": str(tmp_path / "run"),
            "max_steps": 4,
            "batch_size": GROUP * PROMPTS,
            "num_generations": GROUP,
            "learning_rate": 3e-3,
            "lr_scheduler": "constant",
            "weight_decay": 0.0,
            "temperature": 1.0,
            "top_p": 1.0,
            "max_completion_length": LONGEST,
            "mask_truncated_completions": False,
            "peft_enabled": False,
            "precision": "fp32",
            "logging_steps": 1,
            "save_interval": 2,
            "loggers": "none",
            "seed": 3,
            "rewards": [{"type": "custom", "params": {"reward_function": reward}}],
        }
        return create_rl_trainer(**given | settings)

    return to


def logged(run: Any) -> list[dict[str, Any]]:
    """What was logged at each step, times left out."""
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    timed = ("time", "step_time", "epoch", "num_tokens")
    return [
        {name: value for name, value in line.items() if name not in timed}
        for line in lines
        if "loss" in line
    ]


# The loss


@pytest.mark.parametrize("accumulated", [1, 2])
def test_the_loss_is_one_mean_over_tokens_clipped_later_from_above(
    make: Callable[..., Any], accumulated: int
) -> None:
    """Equation 8 of the paper, in double precision, on ratios on both sides of both bounds."""
    trainer = make(batch_size=4, gradient_accumulation_steps=accumulated).setup()
    trainer.current_gradient_accumulation_steps = accumulated
    prompt, completion = torch.tensor([[5, 6]] * 4), torch.arange(20, 40).view(4, 5)
    lengths = torch.tensor([5, 1, 3, 4])
    mask = (torch.arange(5) < lengths.unsqueeze(1)).long()
    ratios = torch.tensor([0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 1.27, 1.29, 2.0, 0.9]).repeat(2)
    advantages = torch.tensor([1.5, -0.5, -2.0, 0.7])
    with torch.no_grad():
        out = trainer.model.double()(torch.cat([prompt, completion], dim=1)).logits[:, 1:-1]
    logprobs = out.log_softmax(-1).gather(-1, completion.unsqueeze(-1)).squeeze(-1)
    batch = {
        "prompt_ids": prompt,
        "prompt_mask": torch.ones_like(prompt),
        "completion_ids": completion,
        "completion_mask": mask,
        "advantages": advantages.double(),
        "old_per_token_logps": logprobs - ratios.view(4, 5).double().log(),
        "num_items_in_batch": mask.sum() * accumulated,  # of all accumulated batches
    }
    trainer.args.steps_per_generation = accumulated
    trainer.model.train()
    found = trainer.compute_loss(trainer.model, batch).item()

    total = 0.0
    for ratio, advantage, length in zip(ratios.view(4, 5), advantages, lengths, strict=True):
        for r in ratio[:length].double().numpy():
            clipped = np.clip(r, 1 - 0.2, 1 + 0.28)
            total -= min(r * float(advantage), clipped * float(advantage))
    assert found == pytest.approx(total / (int(mask.sum()) * accumulated), abs=1e-6)


@pytest.mark.parametrize(
    ("length", "expected"), [(1, 0.0), (16, 0.0), (17, -0.25), (19, -0.75), (20, -1.0), (25, -1.0)]
)
def test_the_punishment_begins_before_the_longest_completion(length: int, expected: float) -> None:
    assert overlong_punishment(length, 20, 4) == expected
    assert get_soft_overlong_punishment(20, 4)([[0] * length]) == [expected]
    assert overlong_punishment(length, 20, 0) == 0.0
    assert overlong_punishment(length, 20, 20) == pytest.approx(-min(length, 20) / 20)


def test_the_cache_is_a_fifth_of_the_longest_completion(make: Callable[..., Any]) -> None:
    assert (
        make(max_completion_length=20480, max_seq_length=None).config.train.overlong_cache_length
        == 4096
    )


# Dynamic sampling


class Recorder:
    """A reward written for TRL, which keeps every batch that it was asked to score."""

    __name__ = "two_digits"

    def __init__(self, least: int = 2) -> None:
        self.least = least
        self.calls: list[list[tuple[str, tuple[int, ...], float]]] = []

    def __call__(
        self, prompts: list[str], completions: list[str], completion_ids: Any, **columns: Any
    ) -> list[float]:
        scores = [float(digits(text) >= self.least) for text in completions]
        self.calls.append(
            list(zip(prompts, (tuple(ids) for ids in completion_ids), scores, strict=True))
        )
        return scores


class Trained(TrainerCallback):
    """Keeps the completions whose tokens count, of each step."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.steps: list[list[tuple[int, ...]]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        counted: list[tuple[int, ...]] = []
        for batch in self.trainer._buffered_inputs:
            for ids, mask in zip(batch["completion_ids"], batch["completion_mask"], strict=True):
                if mask.any():
                    counted.append(tuple(ids[mask.bool()].tolist()))
            assert batch["num_items_in_batch"] == sum(map(len, counted))
        self.steps.append(sorted(counted))


def kept_of(calls: list[Any], rounds: int) -> tuple[list[Any], int, int]:
    """The groups that should train, how many were sampled, and in how many calls."""
    useful: list[Any] = []
    sampled = used = 0
    for call in calls[: rounds + 1]:
        groups = [call[at : at + GROUP] for at in range(0, len(call), GROUP)]
        sampled, used = sampled + len(groups), used + 1
        assert all(len({prompt for prompt, _, _ in group}) == 1 for group in groups)
        useful += [group for group in groups if len({score for _, _, score in group}) > 1]
        if len(useful) >= PROMPTS:
            break
    return useful[:PROMPTS], sampled, used


@pytest.mark.parametrize("masked", [False, True], ids=["all tokens", "truncated masked"])
@pytest.mark.parametrize(("rounds", "least"), [(1, 4), (20, 2)], ids=["too few", "enough"])
def test_exactly_the_groups_train_whose_completions_are_not_equally_right(
    make: Callable[..., Any], rounds: int, least: int, masked: bool
) -> None:
    recorder = Recorder(least)
    trainer = make(
        recorder,
        max_resampling=rounds,
        overlong_cache_length=LONGEST,  # lengths differ in groups that are equally right
        mask_truncated_completions=masked,
        max_steps=6,
    )
    inner = trainer.setup()
    asked, generate = 0, inner.model.generate

    def counted(*args: Any, **given: Any) -> Any:
        nonlocal asked
        asked += 1
        return generate(*args, **given)

    inner.model.generate = counted
    trained = Trained(inner)
    inner.add_callback(trained)
    lines = logged(trainer.train())

    calls, filled = list(recorder.calls), []
    assert asked == len(calls), "what is kept is not made again"
    end = trainer.tokenizer.eos_token_id
    for line, found in zip(lines, trained.steps, strict=True):
        kept, sampled, used = kept_of(calls, rounds)
        calls = calls[used:]
        ids = [some for group in kept for _, some, _ in group]
        assert found == sorted(some for some in ids if some[-1] == end or not masked)
        assert line["dynamic_sampling/rounds"] == used - 1
        assert line["dynamic_sampling/prompts"] == sampled
        assert line["dynamic_sampling/dropped"] == sampled - len(kept)
        assert line["dynamic_sampling/filled"] == pytest.approx(len(kept) / PROMPTS)
        filled.append(len(kept) / PROMPTS)
    assert calls == []
    assert any(line["dynamic_sampling/dropped"] > 0 for line in lines)
    assert set(filled) == {1.0} if rounds > 1 else min(filled) < 1.0


def test_further_prompts_are_the_rows_in_an_order_of_the_seed(make: Callable[..., Any]) -> None:
    order = [prompt_at(position, 12, 3) for position in range(36)]
    passes = [order[:12], order[12:24], order[24:]]
    assert all(sorted(some) == list(range(12)) for some in passes)
    assert len({tuple(some) for some in passes}) == 3
    assert order != [prompt_at(position, 12, 4) for position in range(36)]

    recorder = Recorder()
    make(recorder, max_resampling=3, max_steps=2).train()
    rows = [row["prompt"] for row in addition_rows(12)]
    further = [call[::GROUP] for call in recorder.calls]
    asked = [prompt for call in further[1:] for prompt, _, _ in call]
    first = next(call for call in further[1:])
    assert [prompt for prompt, _, _ in first] == [rows[order[at]] for at in range(len(first))]
    assert set(asked) <= set(rows)


def test_a_run_in_which_all_completions_are_equally_right_trains_nothing_and_ends(
    make: Callable[..., Any], folder: Path
) -> None:
    """Not even towards shorter completions."""
    run = make(lambda text, **columns: 1.0, max_resampling=2, overlong_cache_length=LONGEST).train()
    for line in logged(run):
        assert line["dynamic_sampling/rounds"] == 2
        assert line["dynamic_sampling/kept"] == line["dynamic_sampling/filled"] == 0
        assert line["grad_norm"] == 0
    given, saved = (
        load_file(folder / "model" / "model.safetensors"),
        load_file(run.model / "model.safetensors"),
    )
    assert all(torch.equal(given[name], saved[name]) for name in saved)


def test_every_number_that_is_logged_is_one(make: Callable[..., Any]) -> None:
    for line in logged(make(mask_truncated_completions=False, max_steps=2).train()):
        assert [name for name, value in line.items() if value is None] == []


def test_an_evaluation_is_not_resampled(make: Callable[..., Any], folder: Path) -> None:
    recorder = Recorder()
    trainer = make(
        recorder, eval_dataset=str(folder / "rows.jsonl"), per_device_eval_batch_size=GROUP
    )
    found = trainer.evaluate()
    assert "eval_reward" in found
    assert not any("dynamic_sampling" in name for name in found)
    assert sum(len(call) for call in recorder.calls) == 12 * GROUP


# Against TRL, and resumed


def test_without_resampling_it_has_the_losses_of_a_hand_written_script(
    make: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    data = Dataset.from_json(str(folder / "rows.jsonl"), cache_dir=str(tmp_path / "cache"))
    raw = trl.GRPOTrainer(
        model=str(folder / "model"),
        reward_funcs=[
            lambda completions, **columns: [two_digits(text) for text in completions],
            get_soft_overlong_punishment(LONGEST, 8),
        ],
        args=trl.GRPOConfig(
            output_dir=str(tmp_path / "raw"),
            model_init_kwargs={"dtype": "float32"},
            max_steps=4,
            per_device_train_batch_size=GROUP * PROMPTS,
            num_generations=GROUP,
            num_iterations=2,
            learning_rate=3e-3,
            lr_scheduler_type="constant",
            optim="adamw_torch",
            beta=0.0,
            loss_type="dapo",
            epsilon=0.2,
            epsilon_high=0.28,
            mask_truncated_completions=True,
            scale_rewards="group",
            temperature=1.0,
            max_completion_length=LONGEST,
            gradient_checkpointing=False,
            logging_steps=1,
            seed=3,
            bf16=False,
            fp16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
        ),
        train_dataset=data.select_columns(["prompt", "answer"]),
    )
    raw.train()
    ours = make(
        max_resampling=0,
        overlong_cache_length=8,
        mask_truncated_completions=True,
        num_ppo_epochs=2,
    ).train()
    names = ("loss", "grad_norm", "reward", "reward_std", "entropy", "clip_ratio/high_mean")
    expected = [
        [line[name] for name in names if name in line]
        for line in raw.state.log_history
        if "loss" in line
    ]
    found = [[line[name] for name in names if name in line] for line in logged(ours)]
    assert len(expected) == 4
    assert any(line[1] > 0 for line in expected), "a run without a gradient proves nothing"
    assert found == expected


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_run_that_resumes_goes_on_exactly(
    make: Callable[..., Any], tmp_path: Path, adapter: bool
) -> None:
    whole = make(peft_enabled=adapter, output_dir=str(tmp_path / "whole")).train()
    make(peft_enabled=adapter, stop_after_steps=2).train()
    parts = make(peft_enabled=adapter).train(resume=True)
    assert logged(parts) == logged(whole)
    assert sum(line["dynamic_sampling/rounds"] for line in logged(whole)[:2]) > 0
    name = "adapter_model.safetensors" if adapter else "model.safetensors"
    expected, found = (load_file(run.model / name) for run in (whole, parts))
    assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss_type": "grpo"}, "one mean over all tokens"),
        ({"overlong_cache_length": 30}, "30 tokens of a completion that has at most 24"),
        ({"max_resampling": -1}, "max_resampling"),
        ({"algorithm": "grpo", "max_resampling": 2}, "it belongs to DAPO"),
        ({"algorithm": "grpo", "overlong_cache_length": 2}, "it belongs to DAPO"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(
    make: Callable[..., Any], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        make(model_name="no such model", **settings)


def test_the_paper_s_settings_are_the_defaults(make: Callable[..., Any]) -> None:
    train = make(mask_truncated_completions=True).config.train
    assert (train.loss_type, train.cliprange, train.cliprange_high) == ("dapo", 0.2, 0.28)
    assert (train.kl_coef, train.scale_rewards) == (0.0, "group")
    plan = make().plan
    shown = {value.path: value.value for value in plan.values}
    assert shown["train.overlong_cache_length"] == LONGEST // 5
    assert any("replaced, up to 10 times" in line for line in plan.batch)
