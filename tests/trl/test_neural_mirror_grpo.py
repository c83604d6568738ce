"""Runs of Neural Mirror GRPO: its loss, every setting, resuming, and what it is without the map."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trl
from datasets import Dataset
from safetensors.torch import save_file
from transformers import set_seed

from aligntune import create_rl_trainer
from aligntune.errors import ConfigError, RunError
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_trl.neural_mirror_grpo.mirror_map import MirrorMap

Logs = list[dict[str, Any]]
LORA: dict[str, Any] = {
    "peft_enabled": True,
    "lora_rank": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "v_proj"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirror")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(48))
    return folder


def digits(text: str, **columns: Any) -> float:
    return sum(character.isascii() and character.isalnum() for character in text) / 8


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    def to(**settings: Any) -> Any:
        given: dict[str, Any] = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "algorithm": "neural_mirror_grpo",
            "backend": "trl",
            "output_dir": str(tmp_path / "run"),
            "max_steps": 4,
            "batch_size": 8,
            "num_generations": 4,
            "num_ppo_epochs": 2,
            "learning_rate": 1e-2,
            "lr_scheduler": "constant",
            "temperature": 0.9,
            "max_completion_length": 6,
            "peft_enabled": False,
            "precision": "fp32",
            "logging_steps": 1,
            "save_interval": 2,
            "loggers": "none",
            "seed": 3,
            "rewards": [{"type": "custom", "params": {"reward_function": digits}}],
        }
        return create_rl_trainer(**given | settings)

    return to


def logged(run: Any) -> Logs:
    """What was logged at each step, times left out."""
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    timed = ("time", "step_time", "epoch", "num_tokens")
    return [
        {name: value for name, value in line.items() if name not in timed}
        for line in lines
        if "loss" in line
    ]


# The loss, on numbers made by hand: probabilities of the last tokens, old ones that clip from below
# and from above, a completion that is masked altogether.
LENGTHS, LONGEST = (5, 2, 0, 4), 5
ADVANTAGES = (1.5, -0.7, 2.0, -1.2)
DIVERGENCES: dict[str, Callable[[float, float], float]] = {
    "squared_log_probability": lambda y, y0: (math.log(y) - math.log(y0)) ** 2 / 2,
    "squared_probability": lambda y, y0: (y - y0) ** 2 / 2,
}


def batch(model: Any) -> dict[str, torch.Tensor]:
    """Completions of likely tokens, of which probabilities are neither 0 nor all the same."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.tensor([[int(t < length) for t in range(LONGEST)] for length in LENGTHS])
    prompts = torch.randint(20, 90, (4, 3), generator=generator)
    attention = torch.tensor([[0, 1, 1], [1, 1, 1], [1, 1, 1], [0, 0, 1]])
    whole = model.generate(
        prompts,
        attention_mask=attention,
        do_sample=False,
        min_new_tokens=LONGEST,
        max_new_tokens=LONGEST,
    )
    return {
        "prompt_ids": prompts,
        "prompt_mask": attention,
        "completion_ids": whole[:, 3:],
        "completion_mask": mask,
        "advantages": torch.tensor(ADVANTAGES),
    }


def by_hand(
    logprobs: np.ndarray, old: np.ndarray, reference: np.ndarray, divergence: Any
) -> dict[str, float]:
    """The terms of the loss, token by token, in float64."""
    policy, mirror, moved, clipped = 0.0, 0.0, 0.0, 0
    for row, length in enumerate(LENGTHS):
        for t in range(length):
            ratio, advantage = math.exp(logprobs[row, t] - old[row, t]), ADVANTAGES[row]
            bounded = min(max(ratio, 1 - 0.1), 1 + 0.3)
            policy -= min(ratio * advantage, bounded * advantage)
            clipped += bounded * advantage < ratio * advantage
            moved += divergence(math.exp(logprobs[row, t]), math.exp(reference[row, t]))
    mirror = 0.7 * moved / (4 * 9)
    return {
        "policy_loss": policy / (4 * 9),
        "mirror_loss": mirror,
        "divergence": moved / sum(LENGTHS),
        "clip_ratio": clipped / sum(LENGTHS),
        "loss": policy / (4 * 9) + mirror,
    }


@pytest.mark.parametrize("name", ["neural", *DIVERGENCES])
def test_the_loss_is_that_of_a_loop_over_tokens(make: Callable[..., Any], name: str) -> None:
    settings: dict[str, Any] = {"mirror_coef": 0.7, "mirror_divergence": name}
    if name == "neural":
        settings["mirror_init_scale"] = 1.0
    ours = make(
        **settings, cliprange=0.1, cliprange_high=0.3, max_completion_length=9, temperature=0.3
    )
    trainer = ours.setup()
    trainer.current_gradient_accumulation_steps = 2  # as in a step of two passes
    model = trainer.model.train()
    given = batch(model)
    tokens = torch.cat([given["prompt_ids"], given["completion_ids"]], dim=1)
    attention = torch.cat([given["prompt_mask"], given["completion_mask"]], dim=1)
    with torch.no_grad():
        logits = model(input_ids=tokens, attention_mask=attention).logits[:, 2:-1]
    scaled = logits.double().numpy() / 0.3
    every = scaled - np.log(np.exp(scaled).sum(-1, keepdims=True))
    ids = given["completion_ids"].numpy()
    logprobs = np.take_along_axis(every, ids[..., None], -1)[..., 0]

    rng = np.random.default_rng(0)
    old = logprobs + rng.normal(scale=0.4, size=logprobs.shape)
    reference = np.minimum(logprobs + rng.normal(scale=0.5, size=logprobs.shape), -1e-3)
    given["old_per_token_logps"] = torch.tensor(old, dtype=torch.float32)
    given["ref_per_token_logps"] = torch.tensor(reference, dtype=torch.float32)
    mirror = ours.mirror
    divergence = DIVERGENCES.get(name)
    if divergence is None:
        assert mirror is not None  # the map itself has a test of its own

        def divergence(y: float, y0: float) -> float:
            at = torch.tensor([y, y0], dtype=torch.float64)
            return float(mirror.divergence(at[0], at[1]))

    expected = by_hand(logprobs, old, reference, divergence)
    assert 0 < expected["clip_ratio"] < 1
    assert expected["mirror_loss"] > 1e-3

    found = trainer.compute_loss(model, given)
    assert 2 * found.item() == pytest.approx(expected["loss"], rel=1e-6, abs=1e-6)
    for term in ("policy_loss", "mirror_loss", "divergence", "clip_ratio"):
        said = trainer._metrics["train"][term][-1]
        assert said == pytest.approx(expected[term], rel=1e-6, abs=1e-6), term


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_without_the_divergence_it_is_a_hand_written_dr_grpo(
    make: Callable[..., Any], folder: Path, tmp_path: Path, adapter: bool
) -> None:
    """Over completions that serve two updates, each of two accumulated batches."""
    from peft import LoraConfig

    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        lora_alpha=8,
        lora_dropout=0.0,
        target_modules=["q_proj", "v_proj"],
    )
    rows = Dataset.from_json(str(folder / "rows.jsonl"), cache_dir=str(tmp_path / "cache"))
    set_seed(3)  # TRL 1.14 does not seed the adapter
    raw = trl.GRPOTrainer(
        model=str(folder / "model"),
        reward_funcs=lambda completions, **columns: [digits(text) for text in completions],
        args=trl.GRPOConfig(
            output_dir=str(tmp_path / "raw"),
            model_init_kwargs={"dtype": "float32"},
            max_steps=5,
            per_device_train_batch_size=8,
            gradient_accumulation_steps=2,
            num_generations=4,
            num_iterations=2,
            learning_rate=1e-2,
            weight_decay=0.01,
            lr_scheduler_type="constant",
            beta=0.0,
            epsilon=0.2,
            loss_type="dr_grpo",
            scale_rewards="none",
            temperature=0.9,
            top_p=0.95,
            max_completion_length=6,
            gradient_checkpointing=False,
            logging_steps=1,
            seed=3,
            data_seed=47,
            bf16=False,
            fp16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
        ),
        train_dataset=rows.select_columns(["prompt", "answer"]),
        peft_config=lora if adapter else None,
    )
    raw.train()
    found = logged(
        make(
            mirror_coef=0.0,
            max_steps=5,
            gradient_accumulation_steps=2,
            **(LORA if adapter else {}),
        ).train()
    )
    expected = [line for line in raw.state.log_history if "loss" in line]
    assert len(expected) == 5
    assert any(line["loss"] != 0 for line in expected)
    for ours, theirs in zip(found, expected, strict=True):
        for name in ("loss", "grad_norm", "entropy", "reward"):
            expected_number = pytest.approx(theirs.get(name, 0.0), abs=1e-6, rel=1e-5)
            assert ours.get(name, 0.0) == expected_number, name


def test_accumulated_batches_are_one_update(make: Callable[..., Any]) -> None:
    whole = logged(make(mirror_coef=0.5).train())
    parts = logged(
        make(mirror_coef=0.5, batch_size=4, gradient_accumulation_steps=2).train(overwrite=True)
    )
    assert any(line["mirror_loss"] > 1e-3 for line in whole)
    for part, one in zip(parts, whole, strict=True):
        for name in ("loss", "grad_norm", "mirror_loss", "policy_loss"):
            assert part[name] == pytest.approx(one[name], abs=1e-5), name


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_the_reference_is_what_training_starts_from(
    make: Callable[..., Any], adapter: bool
) -> None:
    lines = logged(make(mirror_coef=0.5, max_steps=6, **(LORA if adapter else {})).train())
    assert lines[0]["divergence"] == pytest.approx(0, abs=1e-9)
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-9)
    assert lines[-1]["divergence"] > 1e-4
    for line in lines:
        assert line["loss"] == pytest.approx(line["policy_loss"] + line["mirror_loss"], abs=1e-6)
        assert line["divergence"] >= 0


CHANGES: dict[str, Any] = {
    "mirror_coef": 2.0,
    "mirror_divergence": "squared_log_probability",
    "mirror_init_scale": 2.0,
    "mirror_map": "other.safetensors",
    "ent_coef": 0.5,
    "cliprange": 0.01,
    "cliprange_high": 0.01,
    "temperature": 1.3,
    "mask_truncated_completions": True,
    "max_completion_length": 5,
}


@pytest.fixture(scope="module")
def unchanged(folder: Path) -> dict[str, Logs]:
    return {}


@pytest.mark.parametrize("name", [*CHANGES, "squared_probability"])
def test_every_setting_changes_what_is_computed(
    make: Callable[..., Any], folder: Path, unchanged: dict[str, Logs], name: str
) -> None:
    if "logs" not in unchanged:
        unchanged["logs"] = logged(make(mirror_coef=0.5).train())
    MirrorMap.initial(1.0, 99).save(folder / "other.safetensors")
    given: dict[str, Any] = {"mirror_divergence": name}
    if name in CHANGES:
        given = {name: CHANGES[name]}
    if name == "mirror_map":
        given = {name: str(folder / CHANGES[name])}
    changed = logged(make(**{"mirror_coef": 0.5, **given}).train(overwrite=True))
    norms = [[line["grad_norm"] for line in lines] for lines in (changed, unchanged["logs"])]
    assert norms[0] != norms[1]


def test_a_larger_coefficient_keeps_the_policy_nearer_to_the_reference(
    make: Callable[..., Any],
) -> None:
    moved = []
    for coef in (1e-4, 1e-2, 1.0):
        settings = {"mirror_coef": coef, "max_steps": 40, "num_ppo_epochs": 1, "batch_size": 16}
        lines = logged(make(**settings, learning_rate=3e-3).train(overwrite=True))
        moved.append([sum(line[name] for line in lines[-5:]) / 5 for name in ("kl", "divergence")])
    for more, less in pairwise(moved):
        assert more[0] > 1.3 * less[0]
        assert more[1] > 2 * less[1]


def test_the_map_of_a_run_is_in_its_directory_and_repeats_it(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    run = make(mirror_coef=0.5, mirror_init_scale=1.0).train()
    saved = run.mirror_map
    assert torch.equal(MirrorMap.load(saved).vector(), MirrorMap.initial(1.0, 3).vector())
    settings: dict[str, Any] = {"mirror_coef": 0.5, "mirror_map": str(saved)}
    again = make(**settings, output_dir=str(tmp_path / "again")).train()
    assert logged(again) == logged(run)
    with pytest.raises(RunError, match="would be overwritten"):
        make(**settings).train(overwrite=True)
    make(mirror_divergence="squared_probability").train(overwrite=True)
    assert not saved.exists()


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_run_that_resumes_goes_on_exactly(
    make: Callable[..., Any], tmp_path: Path, adapter: bool
) -> None:
    settings: dict[str, Any] = {"mirror_coef": 0.5, **(LORA if adapter else {})}
    whole = logged(make(**settings, output_dir=str(tmp_path / "whole")).train())
    make(**settings, stop_after_steps=2).train()
    parts = logged(make(**settings).train(resume=True))
    assert len(whole) == 4
    assert parts == whole


def test_a_run_does_not_go_on_with_another_map(make: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "map.safetensors"
    MirrorMap.initial(1.0, 1).save(path)
    make(mirror_map=str(path), stop_after_steps=2).train()
    MirrorMap.initial(1.0, 2).save(path)
    with pytest.raises(RunError, match="holds another; resume with the same"):
        make(mirror_map=str(path)).train(resume=True)


def test_a_file_that_is_no_map_is_refused_before_the_model_loads(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file({"phi": torch.zeros(379)}, tmp_path / "short.safetensors")
    for name, said in (("short.safetensors", r"shape \(379,\)"), ("none", "No such file")):
        trainer = make(mirror_map=str(tmp_path / name))
        monkeypatch.setattr(trainer.backend, "load", lambda *given: pytest.fail("it was loaded"))
        with pytest.raises(ConfigError, match=rf"train\.mirror_map: .*{said}"):
            trainer.train()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rewards": []}, "reward"),
        ({"kl_coef": 0.1}, "its weight is `train.mirror_coef`"),
        ({"loss_type": "grpo"}, "Neural Mirror GRPO divides by"),
        ({"scale_rewards": "group"}, "by no standard deviation"),
        ({"mirror_map": "m", "mirror_init_scale": 0.1}, "not made at random"),
        ({"mirror_coef": 0.0, "mirror_map": "m"}, "the divergence does not count"),
        ({"mirror_coef": 0.0, "mirror_init_scale": 0.5}, "the divergence does not count"),
        ({"mirror_coef": -0.1}, "greater than or equal to 0"),
        ({"mirror_divergence": "kl"}, "mirror_divergence"),
        ({"mirror_divergence": "squared_probability", "mirror_map": "m"}, "mirror_divergence"),
        ({"mirror_coef": 0.0, "sync_ref_model": True}, "`train.mirror_coef` is 0"),
        ({"peft_enabled": True, "bias": "all"}, "set `train.mirror_coef: 0`"),
        ({"algorithm": "grpo", "mirror_coef": 0.1}, "it belongs to .*Neural Mirror GRPO"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(
    make: Callable[..., Any], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        make(model_name="no such model", **settings)


def test_its_short_name(make: Callable[..., Any]) -> None:
    assert make(algorithm="nmgrpo").plan.algorithm.name == "neural_mirror_grpo"


def test_evaluate_after_training(make: Callable[..., Any], folder: Path) -> None:
    trainer = make(eval_dataset=str(folder / "rows.jsonl"), per_device_eval_batch_size=8)
    trainer.train()
    found = trainer.evaluate()
    assert {"eval_loss", "eval_reward", "eval_divergence", "eval_policy_loss"} <= set(found)
