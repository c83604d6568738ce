"""Runs in which nothing can be learned say so while they run, each by name; healthy ones do not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.config import load_config
from aligntune.errors import DataError
from aligntune.plan import Plan, make_plan
from aligntune.plan.parameters import Fixed, Refused
from aligntune.run import RunDirectory
from aligntune.testing import addition_rows, make_model, make_tokenizer, write_jsonl
from aligntune_trl.watch import GRADIENT, STEPS, mends, watches
from aligntune_trl.watching import MOST, WatchCallback

Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warnings")
    make_model(folder / "model")
    make_model(folder / "sure", initializer_range=0.6)
    rows = addition_rows(64)
    write_jsonl(folder / "rows.jsonl", rows)
    write_jsonl(folder / "long.jsonl", [{"prompt": "1+1=" * 30, "completion": "2"}] * 16)
    pairs = [{**row, "chosen": row["completion"], "rejected": "x"} for row in rows]
    write_jsonl(
        folder / "pairs.jsonl", [{k: p[k] for k in ("prompt", "chosen", "rejected")} for p in pairs]
    )
    return folder


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """A run sets the level of the log."""
    before = logging.getLogger("aligntune").level
    yield
    logging.getLogger("aligntune").setLevel(before)


@pytest.fixture
def train(folder: Path, tmp_path: Path) -> Callable[..., RunDirectory]:
    def to(algorithm: str, reward: Any = None, *, resume: bool = False, **more: Any) -> Any:
        given: dict[str, Any] = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / "rows.jsonl"),
            "backend": "trl",
            "output_dir": str(tmp_path / "run"),
            "max_steps": 12,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "lr_scheduler": "constant",
            "peft_enabled": False,
            "precision": "fp32",
            "max_seq_length": 64,
            "logging_steps": 5,
            "save_strategy": "no",
            "loggers": "none",
        }
        if algorithm == "sft":
            return create_sft_trainer(**given | more).train(resume=resume)
        given |= {"algorithm": algorithm}
        if reward is not None:
            # A model of random weights ends a completion by chance.
            given |= {
                "max_completion_length": 4,
                "temperature": 1.0,
                "rewards": [{"type": "custom", "params": {"reward_function": reward}}],
            }
        return create_rl_trainer(**given | more).train(resume=resume)

    return to


def warned(run: RunDirectory) -> list[str]:
    return [record["name"] for record in run.read_jsonl(run.warnings)]


def same(text: str, **columns: Any) -> float:
    return 1.0


def digits(text: str, **columns: Any) -> float:
    return float(sum(character.isascii() and character.isdigit() for character in text))


def half(completions: list[str], **columns: Any) -> list[float]:
    """Half of the completions are right, whatever they say."""
    return [float(number % 2) for number in range(len(completions))]


def endless() -> dict[str, Any]:
    """Settings under which no completion ends; padding is an end too."""
    tokenizer = make_tokenizer()
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    return {"generation_kwargs": {"suppress_tokens": ends}}


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "dapo", "online_dpo", "ppo"])
def test_equal_rewards(
    train: Callable[..., RunDirectory], algorithm: str, caplog: pytest.LogCaptureFixture
) -> None:
    more = {"max_resampling": 1, "mask_truncated_completions": False} if algorithm == "dapo" else {}
    run = train(algorithm, same, max_completion_length=24, **more)  # some come to their end
    records = {record["name"]: record for record in run.read_jsonl(run.warnings)}
    found = records.pop("equal-rewards")
    assert set(records) == ({"unfilled-batches"} if algorithm == "dapo" else set())
    assert (found["since"], found["step"]) == (1, 10)
    assert "the same reward" in found["seen"]
    assert "rewards.type" in found["mends"]
    assert ("train.num_generations" in found["mends"]) == (algorithm not in {"ppo", "online_dpo"})
    assert caplog.text.count("equal-rewards at steps 1 to 10") == 1


def of_the_prompt(completions: list[str], prompts: list[str], **columns: Any) -> list[float]:
    return [float(len(set(str(prompt)))) for prompt in prompts]


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_rewards_that_differ_between_groups_alone_are_equal(
    train: Callable[..., RunDirectory], algorithm: str
) -> None:
    settings = {"scale_rewards": "batch", "batch_size": 16, "num_generations": 4}
    run = train(algorithm, of_the_prompt, max_completion_length=24, **settings)
    assert max(line.get("rewards/total/std", 0) for line in run.read_jsonl(run.metrics)) > 0
    assert warned(run) == ["equal-rewards"]


def test_a_run_shorter_than_what_is_waited_for_says_so_when_it_ends(
    train: Callable[..., RunDirectory],
) -> None:
    run = train("grpo", same, max_steps=3, logging_steps=1)
    (found,) = run.read_jsonl(run.warnings)
    assert (found["name"], found["since"], found["step"]) == ("equal-rewards", 1, 3)


@pytest.mark.parametrize(
    ("masked", "name"), [(False, "all-truncated"), (True, "all-masked")], ids=["counted", "masked"]
)
def test_no_completion_ends(train: Callable[..., RunDirectory], masked: bool, name: str) -> None:
    settings = {"mask_truncated_completions": masked, **endless()}
    run = train("grpo", half, max_completion_length=1, num_generations=4, **settings)
    assert warned(run) == [name]
    (found,) = run.read_jsonl(run.warnings)
    assert next(iter(found["mends"])) == "train.max_completion_length"
    losses = [line["grad_norm"] for line in run.read_jsonl(run.metrics) if "grad_norm" in line]
    assert (set(losses) == {0}) == masked


@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_no_token_has_no_entropy(train: Callable[..., RunDirectory], algorithm: str) -> None:
    """Not in the steps that go on with completions that were made before, either."""
    settings = {"num_ppo_epochs": 4, "mask_truncated_completions": True, "logging_steps": 1}
    run = train(algorithm, half, max_completion_length=1, **settings, **endless())
    assert {line["entropy"] for line in run.read_jsonl(run.metrics) if "entropy" in line} == {0}
    assert warned(run) == ["all-masked"]


def cut_groups(completions: list[str], **columns: Any) -> list[float]:
    """In groups of four of which none has ended, half of the completions are right."""
    found: list[float] = []
    for at in range(0, len(completions), 4):
        cut = min(len(text) for text in completions[at : at + 4]) == 3
        found += [float(cut and number % 2) for number in range(4)]
    return found


def test_dapo_may_keep_nothing_but_completions_that_are_cut(
    train: Callable[..., RunDirectory],
) -> None:
    settings = {"max_completion_length": 3, "num_generations": 4, "logging_steps": 1}
    run = train("dapo", cut_groups, overlong_cache_length=0, learning_rate=0.0, **settings)
    lines = [line for line in run.read_jsonl(run.metrics) if "reward" in line]
    assert min(line["completions/clipped_ratio"] for line in lines) < 1  # of all that were made
    assert warned(run) == ["all-masked"]


def test_completions_that_are_cut_and_get_better_are_no_reason_to_warn(
    train: Callable[..., RunDirectory],
) -> None:
    run = train("grpo", digits, learning_rate=1e-2, max_steps=20, logging_steps=2, **endless())
    lines = run.read_jsonl(run.metrics)
    assert {line["completions/clipped_ratio"] for line in lines if "reward" in line} == {1.0}
    assert lines[-2]["reward"] > lines[0]["reward"]
    assert "all-truncated" not in warned(run)


def test_prompts_that_fill_packed_rows_leave_nothing_to_train_on(
    train: Callable[..., RunDirectory], folder: Path
) -> None:
    rows = [json.loads(line) for line in (folder / "long.jsonl").read_text().splitlines()]
    some = str(write_jsonl(folder / "some.jsonl", [*rows, {"prompt": "1+1=", "completion": "2"}]))
    run = train(
        "sft", dataset_name=some, packing=True, batch_size=1, max_steps=17, logging_steps=17
    )
    assert warned(run) == ["no-label-tokens"]
    (found,) = run.read_jsonl(run.warnings)
    assert next(iter(found["mends"])) == "model.max_seq_length"
    assert found["seen"].startswith("94% of the batches")


def test_packed_rows_of_prompts_alone_are_refused(
    train: Callable[..., RunDirectory], folder: Path
) -> None:
    given: dict[str, Any] = {"dataset_name": str(folder / "long.jsonl"), "packing": True}
    with pytest.raises(DataError, match=r"of 16 of 16 rows nothing .* fits into 64 tokens; raise"):
        train("sft", **given, max_steps=1)
    whole = {"packing_strategy": "wrapped", "output_dir": str(folder / "wrapped")}  # cuts nothing
    assert warned(train("sft", **given, **whole, max_steps=1)) == []


def test_a_policy_that_is_sure_of_everything(train: Callable[..., RunDirectory]) -> None:
    settings = {"learning_rate": 0.5, "max_steps": 24, "logging_steps": 2, "max_grad_norm": 0.0}
    run = train("grpo", digits, **settings)
    (found,) = [r for r in run.read_jsonl(run.warnings) if r["name"] == "entropy-collapsed"]
    assert found["step"] - found["since"] + 1 >= STEPS
    assert next(iter(found["mends"])) == "train.learning_rate"


def test_a_policy_that_leaves_its_reference(
    train: Callable[..., RunDirectory], folder: Path
) -> None:
    settings = {"learning_rate": 0.5, "logging_steps": 1, "max_completion_length": 8}
    run = train("grpo", digits, model_name=str(folder / "sure"), **settings)
    assert "kl-exploding" in warned(run)
    assert warned(run).count("kl-exploding") <= MOST
    largest = max(line["kl"] for line in run.read_jsonl(run.metrics) if "kl" in line)
    assert largest > 10


def test_a_gradient_that_is_not_finite_is_told_at_its_step(
    train: Callable[..., RunDirectory],
) -> None:
    """Before anything is logged, and before what follows may fail."""
    settings = {"learning_rate": 1e30, "max_grad_norm": 0.0, "warmup_ratio": 0.0}
    run = train("sft", **settings)
    (found,) = run.read_jsonl(run.warnings)
    assert (found["name"], found["step"]) == ("gradient-not-finite", 2)


def test_rewards_whose_mean_is_not_finite_in_32_bits(
    train: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    run = train("grpo", lambda text, **columns: 3e38 - 1e38 * (len(text) % 2))
    assert warned(run) == ["rewards-not-finite"]
    with pytest.raises(RuntimeError, match="nan"):  # with a critic, they reach the gradient
        train(
            "ppo",
            lambda text, **columns: 3e38 - 1e38 * (len(text) % 2),
            output_dir=str(tmp_path / "ppo"),
        )
    assert warned(RunDirectory(tmp_path / "ppo")) == ["gradient-not-finite"]


@pytest.mark.parametrize("algorithm", ["sft", "dpo", "grpo", "ppo", "dapo"])
def test_a_healthy_run_has_no_warning(
    train: Callable[..., RunDirectory], folder: Path, algorithm: str
) -> None:
    more: dict[str, Any] = {}
    if algorithm == "dpo":
        more = {"dataset_name": str(folder / "pairs.jsonl")}
    reward = digits if algorithm not in ("sft", "dpo") else None
    if algorithm == "dapo":
        more = {"mask_truncated_completions": False, "num_generations": 4}
    run = train(algorithm, reward, **more)
    assert warned(run) == []


def test_a_run_that_resumes_keeps_the_warnings_of_its_steps(
    train: Callable[..., RunDirectory],
) -> None:
    settings: dict[str, Any] = {"logging_steps": 1, "save_strategy": "steps", "save_interval": 12}
    run = train("grpo", same, stop_after_steps=12, max_steps=24, **settings)
    run.append_jsonl(run.warnings, {"step": 13, "name": "of a step that is done again"})
    train("grpo", same, resume=True, max_steps=24, **settings)
    assert [record["step"] for record in run.read_jsonl(run.warnings)] == [10, 22]


# The callback, with metrics made by hand


@pytest.fixture
def plan() -> Plan:
    given = {"model": "m", "dataset": "d", "backend": "trl", "algorithm": "grpo"}
    return make_plan(load_config({**given, "rewards": ["length"]}, kind="rl"))


class Told:
    """What a run with these metrics would be told, by step."""

    def __init__(self, plan: Plan, path: Path) -> None:
        self.run = RunDirectory.create(path)
        self.callback = WatchCallback(plan, self.run, lambda: True)
        self.state = TrainerState()
        self.given: Any = (TrainingArguments(str(path / "out"), report_to=[]), self.state)
        self.callback.on_train_begin(*self.given, TrainerControl())

    def log(self, step: int, **logs: Any) -> None:
        self.state.global_step = step
        self.callback.on_log(*self.given, TrainerControl(), logs=logs)

    def end(self) -> list[tuple[str, int]]:
        self.callback.on_train_end(*self.given, TrainerControl())
        return [
            (record["name"], record["step"]) for record in self.run.read_jsonl(self.run.warnings)
        ]


def test_a_warning_is_given_again_where_it_recurs_but_not_for_ever(
    plan: Plan, tmp_path: Path
) -> None:
    told = Told(plan, tmp_path / "run")
    for step in range(1, 10 * STEPS):
        told.log(step, frac_reward_zero_std=float(step % (STEPS + 2) != 0), reward=1.0)
    expected = [STEPS, 2 * STEPS + 2, 3 * STEPS + 4]
    assert len(expected) == MOST
    assert told.end() == [("equal-rewards", step) for step in expected]


def test_metrics_that_say_nothing_change_nothing(plan: Plan, tmp_path: Path) -> None:
    told = Told(plan, tmp_path / "run")
    for step in range(1, 3 * STEPS):
        told.log(step, loss=1.0, reward_std=None, kl="NaN")
    assert told.end() == []
    told = Told(plan, tmp_path / "other")
    for step in range(1, 3 * STEPS):
        told.log(step, **({"frac_reward_zero_std": 1.0} if step % 3 == 0 else {"loss": 0.0}))
    assert told.end() == [("equal-rewards", 12)]


@pytest.mark.parametrize("shown", [3, STEPS - 1])
def test_what_ended_before_the_run_did_is_not_told(plan: Plan, tmp_path: Path, shown: int) -> None:
    told = Told(plan, tmp_path / "run")
    for step in range(1, 2 * STEPS):
        told.log(step, frac_reward_zero_std=float(step <= shown))
    assert told.end() == []


def test_every_mend_is_a_field_of_some_algorithm_and_those_refused_are_left_out() -> None:
    given = {"model": "m", "dataset": "d", "backend": "trl", "rewards": ["length"]}
    shown: set[str] = set()
    everything: set[str] = set()
    group = ("grpo", "ppo", "dapo", "rloo", "neural_mirror_grpo", "online_dpo")
    for algorithm in (*group, "sft"):
        kind = "sft" if algorithm == "sft" else "rl"
        settings = given | {"algorithm": algorithm}
        if algorithm == "sft":
            settings.pop("rewards")
        plan = make_plan(load_config(settings, kind=kind))
        for watch in (*watches(plan), GRADIENT):
            everything |= set(watch.mends)
            shown |= set(mends(watch, plan))
            for path in mends(watch, plan):
                assert not isinstance(plan.table.use(path), Refused | Fixed), (algorithm, path)
            assert mends(watch, plan), f"{algorithm}: {watch.name} says nothing that mends it"
    assert shown == everything
