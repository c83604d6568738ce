"""Online DPO: which completion is chosen, the loss of pairs, and runs of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from aligntune.config import load_config
from aligntune.errors import ConfigError, DataError
from aligntune.plan import make_plan
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_trl.online_dpo.loss import choose, pair_loss

Make = Callable[..., Any]
STEPS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("online")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(24))
    write_jsonl(folder / "held.jsonl", addition_rows(4, seed=1))
    return folder


def mixed(text: str, **columns: Any) -> float:
    """A number in which no two different texts agree."""
    return sum(ord(character) * 0.37**place for place, character in enumerate(text))


def rewarded(reward: Any) -> list[dict[str, Any]]:
    return [{"type": "custom", "params": {"reward_function": reward}}]


@pytest.fixture
def make(short_run: Make) -> Make:
    own = {"rewards": rewarded(mixed), "temperature": 1.0, "top_p": 1.0}
    return partial(short_run, "online_dpo", **own)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines_of(run: Any) -> list[dict[str, Any]]:
    # Whole numbers of tokens and seconds begin anew in a run that resumes.
    kept = ("loss", "grad_norm", "reward", "rewards/margins", "logps/chosen", "kl_of_completion")
    lines = read(run.metrics)
    return [{name: line[name] for name in kept} for line in lines if "loss" in line]


# The loss


def test_the_better_of_two_is_chosen_and_a_tie_decides_nothing() -> None:
    scores = torch.tensor([1.0, 2.0, 3.0, -1.0, 0.5, 0.5])
    chosen, rejected, decided = choose(scores)
    assert chosen.tolist() == [1, 2, 4]
    assert rejected.tolist() == [0, 3, 5]
    assert decided.tolist() == [True, True, False]


def test_the_losses_of_pairs_are_the_formulas() -> None:
    x, beta = [-3.0, -0.2, 0.0, 1.7, 40.0], 0.3
    found = {k: pair_loss(torch.tensor(x, dtype=torch.float64), beta, k) for k in KINDS}
    for kind, formula in KINDS.items():
        expected = [formula(value, beta) for value in x]
        assert found[kind].tolist() == pytest.approx(expected, rel=1e-12)


KINDS: dict[str, Callable[[float, float], float]] = {
    "sigmoid": lambda x, beta: math.log1p(math.exp(-beta * x)),
    "ipo": lambda x, beta: (x - 1 / (2 * beta)) ** 2,
    "hinge": lambda x, beta: max(0.0, 1 - beta * x),
}


def log_probability(model: Any, prompt: list[int], said: list[int]) -> float:
    ids = torch.tensor([prompt + said])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0].log_softmax(-1)
    places = range(len(prompt), len(prompt) + len(said))
    return math.fsum(float(logits[i - 1, ids[0, i]]) for i in places)


def present(ids: torch.Tensor, mask: torch.Tensor) -> list[int]:
    return [int(i) for i, there in zip(ids, mask, strict=True) if there]


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_has_the_loss_of_the_formula(
    make: Make, folder: Path, adapter: bool, kind: str
) -> None:
    """From prompts to the loss: what is sampled, scored, chosen and compared with the reference."""
    beta, penalty = 0.3, 5.0
    trainer = make(
        beta=beta, loss_type=kind, missing_eos_penalty=penalty, peft_enabled=adapter
    ).setup()
    generator = torch.Generator().manual_seed(1)
    model = trainer.model
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not adapter or "lora_B" in name:
                weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    model.eval()
    rows = [{"prompt": row["prompt"], "answer": row["answer"]} for row in addition_rows(6)]
    batch = trainer._generate_and_score_completions([row for row in rows for _ in range(2)])
    with torch.no_grad():
        found = float(trainer.compute_loss(model, batch))

    reference = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
    policy: Any = reference
    if adapter:
        model.save_pretrained(folder / f"adapter-{kind}")
        from peft import PeftModel

        policy = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
        policy = PeftModel.from_pretrained(policy, folder / f"adapter-{kind}").double().eval()
    else:
        policy = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float64")
        policy.load_state_dict(model.state_dict())
    tokenizer, losses, ties = trainer.processing_class, [], 0
    for index in range(6):
        prompt = present(batch["prompt_ids"][index], batch["prompt_mask"][index])
        both = zip(batch["completion_ids"][index], batch["completion_mask"][index], strict=True)
        said = [present(ids, mask) for ids, mask in both]
        scores = [
            mixed(tokenizer.decode(ids, skip_special_tokens=True))
            - penalty * (tokenizer.eos_token_id not in ids)
            for ids in said
        ]
        assert scores[0] >= scores[1]
        ties += scores[0] == scores[1]
        ratios = [
            log_probability(policy, prompt, ids) - log_probability(reference, prompt, ids)
            for ids in said
        ]
        decided = scores[0] != scores[1]
        losses.append(decided * KINDS[kind](ratios[0] - ratios[1], beta))
    assert ties < 6
    assert found == pytest.approx(sum(losses) / 6, rel=1e-6)


def test_ties_teach_nothing(make: Make) -> None:
    lines = lines_of(make(rewards=rewarded(lambda text, **columns: 1.0)).train())
    assert {(line["loss"], line["grad_norm"]) for line in lines} == {(0.0, 0.0)}


# Runs


def test_accumulated_passes_are_averaged(make: Make, tmp_path: Path) -> None:
    """TRL's OnlineDPOTrainer adds them up."""
    at_once = lines_of(make(output_dir=str(tmp_path / "a"), batch_size=8).train())
    parts = make(output_dir=str(tmp_path / "b"), batch_size=4, gradient_accumulation_steps=2)
    for one, other in zip(at_once[:1], lines_of(parts.train())[:1], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_a_run_that_stopped_goes_on_as_if_it_had_not(
    make: Make, tmp_path: Path, adapter: bool
) -> None:
    common = {"save_interval": 2, "peft_enabled": adapter}
    whole = lines_of(make(output_dir=str(tmp_path / "whole"), **common).train())
    make(**common, stop_after_steps=2).train()
    assert lines_of(make(**common).train(resume=True)) == whole
    assert len({line["loss"] for line in whole}) == STEPS


def test_it_evaluates(make: Make, folder: Path) -> None:
    held = {"eval_datasets": [str(folder / "held.jsonl")], "eval_strategy": "epoch"}
    trainer = make(**held)
    run = trainer.train()
    (line,) = [line for line in read(run.metrics) if "eval_loss" in line]
    assert {"eval_reward", "eval_rewards/margins", "eval_rewards/accuracies"} <= set(line)
    assert len(read(run.samples)) > 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"beta": 0.0}, "does not depend on the policy"),
        ({"batch_size": 3}, "3 completions are no whole pairs"),
        ({"num_generations": 4}, "a pair is two completions"),
        ({"loss_type": "dapo"}, "'dapo' is no loss of this algorithm"),
        ({"kl_coef": 0.2}, "`train.beta`"),
        ({"scale_rewards": "none"}, "it belongs to"),
        ({"cliprange": 0.1}, "it belongs to"),
        ({"mask_truncated_completions": True}, "would leave no pair"),
        ({"bias": "lora_only"}, "stay when the adapter is switched off"),
        ({"max_seq_length": 64, "max_completion_length": 64}, "leave no room for a prompt"),
    ],
)
def test_what_cannot_be_is_refused_in_the_plan(settings: dict[str, Any], says: str) -> None:
    given = {"model": "m", "dataset": "d", "algorithm": "online_dpo", "rewards": ["length"]}
    with pytest.raises(ConfigError) as caught:
        make_plan(load_config({**given, **settings}))
    assert says in str(caught.value)


def test_prompts_that_are_too_long_are_refused_before_the_model_loads(
    make: Make, tmp_path: Path
) -> None:
    model = make_model(tmp_path / "model")
    (model / "model.safetensors").unlink()
    with pytest.raises(DataError, match="all 24 prompts are longer than 3 tokens"):
        make(model_name=str(model), max_prompt_length=3).train()
