"""Runs of PPO: the numbers of each step, every setting, resuming, and what is left when it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from aligntune import create_rl_trainer
from aligntune.errors import ConfigError, DataError
from aligntune.testing import addition_rows, make_model, write_jsonl

Logs = list[dict[str, Any]]
ROLLOUT, EPOCHS, TEMPERATURE = 6, 2, 0.7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ppo")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(32))
    return folder


def digits(text: str, **columns: Any) -> float:
    return sum(character.isascii() and character.isalnum() for character in text) / 4


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    def to(**settings: Any) -> Any:
        given: dict[str, Any] = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "algorithm": "ppo",
            "backend": "trl",
            "output_dir": str(tmp_path / "run"),
            "max_steps": 4,
            "batch_size": ROLLOUT,
            "num_ppo_epochs": EPOCHS,
            "learning_rate": 1e-2,
            "lr_scheduler": "constant",
            "temperature": TEMPERATURE,
            "max_completion_length": 5,
            "peft_enabled": False,
            "precision": "fp32",
            "logging_steps": 1,
            "save_interval": EPOCHS,
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


class Recorder:
    """A reward written for TRL, which keeps what it was asked to score."""

    __name__ = "digits"

    def __init__(self) -> None:
        self.rollouts: list[list[tuple[str, list[int], float]]] = []

    def __call__(
        self, prompts: list[str], completions: list[str], completion_ids: Any, **columns: Any
    ) -> list[float]:
        scores = [digits(text) for text in completions]
        self.rollouts.append(list(zip(prompts, completion_ids, scores, strict=True)))
        return scores


def read(model: Any, head: dict[str, torch.Tensor] | None, tokenizer: Any, row: Any) -> Any:
    """Log-probabilities, entropies and values of one completion, which no padding stands beside."""
    prompt, completion, _ = row
    ids = tokenizer(prompt)["input_ids"]
    with torch.no_grad():
        out = model(torch.tensor([ids + list(completion)]), output_hidden_states=True)
    before = slice(len(ids) - 1, -1)
    logits = out.logits[0, before].numpy() / TEMPERATURE
    logprobs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    entropies = -(np.exp(logprobs) * logprobs).sum(axis=-1)
    chosen = logprobs[np.arange(len(completion)), list(completion)]
    hidden = out.hidden_states[-1][0, before].numpy()
    values = np.zeros(len(completion))
    if head is not None:
        values = hidden @ head["weight"].double().numpy() + head["bias"].double().numpy()
    return chosen, entropies, values


@pytest.mark.parametrize("step", [1, 3], ids=["first rollout", "second rollout"])
def test_a_step_has_the_numbers_of_a_straightforward_implementation(
    make: Callable[..., Any], folder: Path, step: int
) -> None:
    """In double precision, completion by completion, from what lay on disk before the step."""
    recorder = Recorder()
    settings = {"kl_coef": 0.2, "gamma": 0.9, "lam": 0.8, "vf_coef": 0.5, "ent_coef": 0.02}
    reward = [{"type": "custom", "params": {"reward_function": recorder}}]
    run = make(**settings, missing_eos_penalty=0.3, rewards=reward).train()
    found = logged(run)[step - 1]

    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    reference = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    policy, head = reference, None
    if step > 1:
        checkpoint = run.checkpoints / f"checkpoint-{step - 1}"
        policy = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="float64")
        head = load_file(checkpoint / "critic.safetensors")

    advantages, returns, values, entropies, divergences = [], [], [], [], []
    for row in recorder.rollouts[(step - 1) // EPOCHS]:
        logprobs, entropy, value = read(policy, head, tokenizer, row)
        kl = logprobs - read(reference, None, tokenizer, row)[0]
        rewards = -0.2 * kl
        rewards[-1] += row[2] - (0.0 if tokenizer.eos_token_id in row[1] else 0.3)
        advantage, following = np.zeros_like(value), 0.0
        for t in reversed(range(len(value))):
            expected = value[t + 1] if t + 1 < len(value) else 0.0
            following = rewards[t] + 0.9 * expected - value[t] + 0.9 * 0.8 * following
            advantage[t] = following
        advantages.extend(advantage)
        returns.extend(advantage + value)
        values.extend(value)
        entropies.extend(entropy)
        divergences.append(kl.sum())

    white = (np.array(advantages) - np.mean(advantages)) / np.sqrt(np.var(advantages) + 1e-8)
    policy_loss, value_loss = -white.mean(), ((np.array(values) - returns) ** 2).mean() / 2
    assert found["policy_loss"] == pytest.approx(policy_loss, abs=1e-5)
    assert found["value_loss"] == pytest.approx(value_loss, rel=1e-5)
    assert found["entropy"] == pytest.approx(np.mean(entropies), rel=1e-5)
    assert found["advantages"] == pytest.approx(np.mean(advantages), abs=1e-5)
    assert found["returns"] == pytest.approx(np.mean(returns), abs=1e-5)
    assert found["kl_of_completion"] == pytest.approx(np.mean(divergences), abs=1e-5)
    expected_loss = policy_loss + 0.5 * value_loss - 0.02 * np.mean(entropies)
    assert found["loss"] == pytest.approx(expected_loss, abs=1e-5)
    if step > 1:
        assert abs(np.mean(divergences)) > 0.05, "a policy that did not move proves little"
        assert np.std(values) > 0.01


def test_the_first_epoch_of_a_rollout_clips_nothing(make: Callable[..., Any]) -> None:
    lines = logged(make().train())
    assert [line["approx_kl"] == pytest.approx(0, abs=1e-6) for line in lines] == [1, 0, 1, 0]
    assert [line["clip_ratio"] == 0 for line in lines][::2] == [True, True]


def test_accumulated_minibatches_are_one_update(make: Callable[..., Any]) -> None:
    """Of completions of one token, so that a mean of means is the mean."""
    whole = logged(make(max_completion_length=1).train())
    parts = make(max_completion_length=1, batch_size=2, gradient_accumulation_steps=3)
    for part, one in zip(logged(parts.train(overwrite=True)), whole, strict=True):
        for name in ("loss", "grad_norm", "value_loss", "approx_kl"):
            assert part[name] == pytest.approx(one[name], abs=1e-5), name


def test_minibatches_divide_a_rollout(make: Callable[..., Any]) -> None:
    lines = logged(make(batch_size=2, rollout_batch_size=6, max_steps=7, save_interval=6).train())
    assert ["reward" in line for line in lines] == [True, *[False] * 5, True]


CHANGES = {
    "gamma": 0.5,
    "lam": 0.1,
    "vf_coef": 2.0,
    "cliprange": 0.01,
    "cliprange_high": 0.01,
    "cliprange_value": 0.001,
    "ent_coef": 0.5,
    "kl_coef": 1.0,
    "kl_estimator": "k3",
    "whiten_rewards": True,
    "missing_eos_penalty": 0.0,
    "temperature": 1.3,
    "top_p": 0.2,
    "top_k": 2,
    "max_grad_norm": 0.01,
    "mask_truncated_completions": True,
    "stop_token": "1",
}


@pytest.fixture(scope="module")
def unchanged(folder: Path) -> dict[str, Logs]:
    return {}


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_changes_what_is_computed(
    make: Callable[..., Any], unchanged: dict[str, Logs], name: str
) -> None:
    if "logs" not in unchanged:
        unchanged["logs"] = logged(make().train())
    changed = logged(make(**{name: CHANGES[name]}).train(overwrite=True))
    assert [line["loss"] for line in changed] != [line["loss"] for line in unchanged["logs"]]


def test_clipping_the_gradient_counts_the_critic_in(make: Callable[..., Any]) -> None:
    norms = [
        [line["grad_norm"] for line in logged(make(vf_coef=coef).train(overwrite=True))]
        for coef in (0.1, 10.0)
    ]
    assert norms[1][0] > 2 * norms[0][0]


def test_completions_end_at_the_stop_token(make: Callable[..., Any]) -> None:
    recorder = Recorder()
    reward = [{"type": "custom", "params": {"reward_function": recorder}}]
    trainer = make(stop_token="1", max_completion_length=40, rewards=reward)
    trainer.train()
    stop = trainer.tokenizer.convert_tokens_to_ids("1")
    completions = [list(ids) for rollout in recorder.rollouts for _, ids, _ in rollout]
    assert any(stop in ids for ids in completions)
    assert all(stop not in ids[:-1] for ids in completions)


def test_an_adaptive_coefficient_follows_the_divergence(make: Callable[..., Any]) -> None:
    lines = logged(make(adap_kl_ctrl=True, init_kl_coef=0.2, target_kl=6.0, max_steps=8).train())
    coefs = [line["kl_coef"] for line in lines if "kl_coef" in line]
    divergences = [line["kl_of_completion"] for line in lines if "kl_coef" in line]
    expected = [0.2]
    for kl in divergences[:-1]:
        expected.append(expected[-1] * (1 + 0.1 * float(np.clip((kl - 6) / 6, -0.2, 0.2))))
    assert coefs == pytest.approx(expected, rel=1e-6)
    assert len(set(coefs)) == 4


def test_updates_end_once_the_policy_moved_enough(make: Callable[..., Any]) -> None:
    settings = {"num_ppo_epochs": 4, "max_steps": 8, "save_interval": 4}
    lines = logged(make(**settings, target_kl=1e-3).train())
    moved = [line.get("approx_kl", 0.0) for line in lines]
    for rollout in (moved[:4], moved[4:]):
        stopped = next(i for i, kl in enumerate(rollout) if kl > 1e-3)
        assert stopped < 3
        assert rollout[stopped + 1 :] == [0.0] * (3 - stopped)
    idle = [line["grad_norm"] for line in lines if "approx_kl" not in line]
    assert idle
    assert set(idle) == {0.0}
    free = logged(make(**settings).train(overwrite=True))
    assert all("approx_kl" in line for line in free)


@pytest.mark.parametrize("critic", ["head", "model"])
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_run_that_resumes_goes_on_exactly(
    make: Callable[..., Any], folder: Path, tmp_path: Path, adapter: bool, critic: str
) -> None:
    settings: dict[str, Any] = {"adap_kl_ctrl": True, "peft_enabled": adapter}
    if critic == "model":
        settings["reward_value_model"] = str(folder / "model")
    whole = logged(make(**settings, output_dir=str(tmp_path / "whole")).train())
    make(**settings, stop_after_steps=2).train()
    parts = logged(make(**settings).train(resume=True))
    assert len(whole) == 4
    assert parts == whole


def test_the_critic_may_be_a_model_of_its_own(
    make: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    judge = AutoModelForTokenClassification.from_pretrained(folder / "model", num_labels=1)
    with torch.no_grad():
        judge.score.weight.zero_()
        judge.score.bias.fill_(0.25)
    judge.save_pretrained(tmp_path / "judge")
    run = make(reward_value_model=str(tmp_path / "judge")).train()
    lines = logged(run)
    assert lines[0]["values"] == pytest.approx(0.25)
    assert lines[2]["values"] != pytest.approx(0.25)
    trained = load_file(run.checkpoints / "checkpoint-2" / "critic.safetensors")
    given = judge.state_dict()
    assert {name.removeprefix("model.") for name in trained} != set()
    moved = [n for n in given if not torch.equal(given[n], trained[f"model.{n}"])]
    assert "score.weight" in moved
    assert any("layers.0" in name for name in moved)


def test_what_is_saved_is_the_policy_alone(make: Callable[..., Any], folder: Path) -> None:
    run = make().train()
    given = AutoModelForCausalLM.from_pretrained(folder / "model").state_dict()
    saved = load_file(run.model / "model.safetensors")
    assert set(saved) <= set(given)
    loaded = AutoModelForCausalLM.from_pretrained(run.model).state_dict()
    assert any(not torch.equal(loaded[name], given[name]) for name in given)
    assert not list(run.model.glob("critic*"))


def test_evaluate_and_save_after_training(make: Callable[..., Any], folder: Path) -> None:
    trainer = make(eval_dataset=str(folder / "rows.jsonl"), per_device_eval_batch_size=4)
    trainer.train()
    found = trainer.evaluate()
    assert {"eval_loss", "eval_reward", "eval_kl", "eval_returns"} <= set(found)
    assert Path(trainer.save_model()).is_dir()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rewards": []}, "reward"),
        ({"stop_token": None}, "a completion ends at a token, and none is named"),
        ({"num_generations": 4}, "no groups"),
        ({"loss_type": "grpo"}, "PPO has one loss"),
        ({"scale_rewards": "batch"}, "whiten_rewards"),
        ({"value_model_quantization": {"load_in_4bit": True}}, "quantized weights cannot be"),
        ({"reward_value_loading_type": "standard"}, "there is no value model"),
        ({"reward_value_loading_type": "unsloth"}, "loaded by transformers"),
        ({"batch_size": 4, "rollout_batch_size": 6}, "cannot be split into batches of 4"),
        ({"save_interval": 3}, "use a multiple of 2"),
        ({"adap_kl_ctrl": True, "kl_coef": 0.0}, "0 stays 0"),
        ({"adap_kl_ctrl": True, "kl_coef": 0.1, "init_kl_coef": 0.2}, "is set too"),
        ({"init_kl_coef": 0.2}, "adap_kl_ctrl"),
        ({"kl_coef": 0.0, "kl_estimator": "k2"}, "`train.kl_coef` is 0"),
        (
            {"peft_enabled": True, "lora_dropout": 0.1, "disable_dropout": True},
            "would make it 0, not 0.1",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(
    make: Callable[..., Any], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        make(model_name="no such model", **settings)


def test_a_stop_token_or_a_critic_of_another_vocabulary_is_refused_before_weights_load(
    make: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "small").mkdir()
    config = json.loads((folder / "model" / "config.json").read_text())
    (tmp_path / "small" / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    for settings, said in (
        ({"stop_token": "<stop>"}, "no token of this model's tokenizer"),
        ({"reward_value_model": str(tmp_path / "small")}, "knows 100 tokens"),
        ({"reward_value_model": str(tmp_path / "none")}, "there is no such folder"),
    ):
        trainer = make(**settings)
        with pytest.raises(ConfigError, match=said):
            trainer.setup()
        assert trainer.trainer is None


def test_too_few_prompts_for_a_rollout(make: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match="32 prompts are fewer than the 60"):
        make(rollout_batch_size=60, save_interval=20).setup()


def test_a_dropout_that_somebody_set_stays(make: Callable[..., Any]) -> None:
    def dropouts(**settings: Any) -> set[float]:
        trainer = make(peft_enabled=True, **settings).setup()
        modules = trainer.model.modules()
        return {module.p for module in modules if isinstance(module, torch.nn.Dropout)}

    assert 0.1 in dropouts(lora_dropout=0.1)
    assert dropouts() <= {0.0}


def test_equal_rewards_are_logged_too(make: Callable[..., Any]) -> None:
    reward = {"type": "custom", "params": {"reward_function": lambda text, **columns: 1.0}}
    trainer = make(rewards=[reward], missing_eos_penalty=0.0, kl_coef=0.0)
    lines = logged(trainer.train())
    assert lines[0]["returns"] == pytest.approx(1.0, abs=0.2)
    assert all("kl" not in line for line in lines)
    assert trainer.evaluate()["train_reward"] == 1.0


def test_evaluating_without_evaluation_data_says_what_it_is_of(
    make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    found = make(per_device_eval_batch_size=8).evaluate()
    assert "what is measured is the training data" in caplog.text
    assert {"train_loss", "train_reward", "train_kl", "train_returns"} <= set(found)
    assert all(name.startswith("train_") for name in found)
