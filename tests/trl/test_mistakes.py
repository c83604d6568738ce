"""Mistakes that a trainer answers before it trains, and what it does not lose on the way."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.errors import ConfigError, DataError, RunError
from aligntune.testing import addition_rows, make_model, write_jsonl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    return folder


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": "trl",
        "output_dir": str(tmp_path / "run"),
        "precision": "fp32",
        "max_steps": 1,
        "loggers": "none",
        "logging_steps": 1,
    }


def first_loss(run: Any) -> float:
    return json.loads(run.metrics.read_text().splitlines()[0])["loss"]


def test_overwriting_loses_nothing_to_a_run_that_cannot_start(settings: dict[str, Any]) -> None:
    run = create_sft_trainer(**settings).train()
    with pytest.raises(DataError, match="there is no such file"):
        create_sft_trainer(**settings | {"dataset_name": "./no.jsonl"}).train(overwrite=True)
    assert (run.model / "model.safetensors").is_file()
    with pytest.raises(RunError, match="would be overwritten"):
        create_sft_trainer(**settings | {"model_name": str(run.model)}).train(overwrite=True)
    assert (run.model / "model.safetensors").is_file()


def test_a_second_run_starts_from_the_model_on_disk(settings: dict[str, Any]) -> None:
    settings |= {"learning_rate": 0.1, "eval_dataset": settings["dataset_name"]}
    trainer = create_sft_trainer(**settings)
    trainer.evaluate()
    loss = first_loss(trainer.train())
    assert first_loss(trainer.train(overwrite=True)) == loss


def test_a_run_is_not_resumed_as_another_one(settings: dict[str, Any]) -> None:
    create_sft_trainer(**settings).train()
    changed = settings | {"learning_rate": 0.5, "max_steps": 2}
    with pytest.raises(RunError, match=r"train.learning_rate: 1e-05 before, 0.5 now"):
        create_sft_trainer(**changed).train(resume=True)
    create_sft_trainer(**settings | {"max_steps": 2}).train(resume=True)


@pytest.mark.parametrize(("stop", "warned"), [(1, True), (2, False)])
def test_a_run_that_resumes_amid_a_generation_says_what_it_loses(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture, stop: int, warned: bool
) -> None:
    settings |= {"algorithm": "grpo", "rewards": ["length"], "max_completion_length": 2}
    settings |= {"batch_size": 2, "rollout_batch_size": 4, "num_generations": 2, "max_steps": 3}
    create_rl_trainer(**settings, stop_after_steps=stop).train()
    create_rl_trainer(**settings).train(resume=True)
    assert (f"step {stop} is amid the 2 steps that completions serve" in caplog.text) is warned


def test_rows_that_do_not_fit_are_counted_and_none_left_is_an_error(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    run = create_sft_trainer(**settings, max_seq_length=6).train()
    found = re.search(r"of (\d+) of 16 rows nothing to train on fits into 6 tokens", caplog.text)
    assert found is not None
    assert json.loads(run.data.read_text())["too_long"] == int(found[1])
    with pytest.raises(DataError, match="of 16 of 16 rows nothing to train on fits into 3 tokens"):
        create_sft_trainer(**settings, max_seq_length=3).setup()


def test_the_data_set_that_lacks_what_a_reward_needs_is_named(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    asks = write_jsonl(tmp_path / "asks.jsonl", [{"prompt": "1+1="}])
    data = [{"name": settings.pop("dataset_name")}, {"name": str(asks)}]
    trainer = create_rl_trainer(
        algorithm="grpo", rewards=[{"type": "accuracy"}], datasets=data, **settings
    )
    with pytest.raises(DataError, match=r"needs a reference.*asks.jsonl lacks answer"):
        trainer.setup()


def test_fewer_prompts_than_are_completed_at_once_are_no_run(settings: dict[str, Any]) -> None:
    settings |= {"batch_size": 8, "num_generations": 4, "max_samples": 1}
    trainer = create_rl_trainer(algorithm="grpo", rewards=[{"type": "length"}], **settings)
    with pytest.raises(DataError, match="1 prompts are fewer than the 2"):
        trainer.setup()


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_weights_that_are_trained_are_float32_under_bf16(
    settings: dict[str, Any], adapter: bool
) -> None:
    trainer = create_sft_trainer(**settings | {"precision": "bf16", "peft_enabled": adapter})
    model = trainer.setup().model
    assert trainer.trainer.args.bf16 is True
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    frozen = {p.dtype for p in model.parameters() if not p.requires_grad}
    assert frozen == ({torch.bfloat16} if adapter else set())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"loss_type": "nlll"}, "is no loss of this algorithm"),
        ({"eval_strategy": "steps"}, "there is no evaluation data"),
        ({"evaluation": {"evaluators": ["perplexity"]}}, "there is no data to evaluate on"),
        ({"model_init_kwargs": {"dtype": "bfloat16"}}, "it is set by `model.precision`"),
        ({"warmup_steps": 5, "warmup_ratio": 0.2}, "both say how long the warmup is"),
        ({"chat_template": "{% if %}"}, "chat_template: it is no Jinja template: Expected an"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    settings: dict[str, Any], folder: Path, given: dict[str, Any], says: str
) -> None:
    if "chat_template" in given:
        given["dataset_name"] = str(write_jsonl(folder / "chat.jsonl", addition_rows(8, chat=True)))
    with pytest.raises(ConfigError, match=says):
        create_sft_trainer(**settings | given).setup()


@pytest.mark.parametrize(("given", "expected"), [({}, 0.1), ({"warmup_steps": 0}, 0.0)])
def test_a_warmup_that_was_set_to_none_is_none(
    settings: dict[str, Any], given: dict[str, Any], expected: float
) -> None:
    assert create_sft_trainer(**settings, **given).setup().args.warmup_steps == expected


@pytest.mark.parametrize(
    ("metric", "evaluators", "higher"),
    [
        ("eval_loss", [], False),
        ("mean_token_accuracy", [], True),
        ("eval_perplexity", [], False),
        ("eval_bits_per_byte", [], False),
        ("rougeL", [], True),
        ("bleu", [], True),
        ("accuracy", ["accuracy"], True),
        ("eval_ter", ["ter"], False),
        ("reward/length", [{"type": "reward", "params": {"reward": "length"}}], True),
        ("mine", [{"type": "perplexity", "params": {"name": "mine"}}], False),
    ],
)
def test_which_of_two_values_is_better_goes_by_the_metric(
    settings: dict[str, Any], metric: str, evaluators: list[Any], higher: bool
) -> None:
    given = {"eval_dataset": settings["dataset_name"], "metric_for_best_model": metric}
    evaluation = {"evaluation": {"evaluators": evaluators}} if evaluators else {}
    trainer = create_sft_trainer(**settings, **given, **evaluation)
    assert trainer.config.train.greater_is_better is higher


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"metric_for_best_model": "eval_rougel"}, "did you mean 'rougeL'?; among others, it mea"),
        ({"metric_for_best_model": "accuracy"}, "no evaluation of this run measures 'accuracy'"),
        ({"metric_for_best_model": "entropy"}, "train.greater_is_better: it is unset, and neither"),
    ],
)
def test_a_metric_that_cannot_choose_is_refused_before_anything_loads(
    settings: dict[str, Any], given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as error:
        create_sft_trainer(**settings, **given, eval_dataset=settings["dataset_name"])
    assert says in " ".join(str(error.value).split())


def test_a_model_without_tokenizer_or_with_broken_weights_is_named(
    settings: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(folder / "model", tmp_path / "bare")
    for file in bare.glob("*token*"):
        file.unlink()
    with pytest.raises(ConfigError, match="brings no tokenizer"):
        create_sft_trainer(**settings | {"model_name": str(bare)}).setup()
    broken = shutil.copytree(folder / "model", tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ConfigError, match="cannot be set up"):
        create_sft_trainer(**settings | {"model_name": str(broken)}).setup()


def test_an_adapter_is_no_whole_model(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="is a LoRA adapter"):
        create_sft_trainer(**settings | {"model_name": str(tmp_path / "adapter")}).setup()


def test_predict_takes_a_list(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not the one string '3"):
        create_sft_trainer(**settings).predict("3+4=")


def test_without_a_reward_accuracy_is_used_and_needs_a_reference(
    settings: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings |= {"algorithm": "grpo", "batch_size": 4, "max_completion_length": 4}
    with caplog.at_level(logging.INFO, "aligntune"):
        run = create_rl_trainer(**settings).train()
    assert "no reward is set; accuracy is the default" in caplog.messages
    assert "rewards/accuracy/mean" in json.loads(run.metrics.read_text().splitlines()[0])
    assert "type: accuracy\n" in (run.path / "config.yaml").read_text()
    bare = write_jsonl(tmp_path / "bare.jsonl", [{"prompt": f"{n}+1="} for n in range(16)])
    trainer = create_rl_trainer(**settings | {"dataset_name": str(bare)})
    with pytest.raises(DataError) as caught:
        trainer.setup()
    assert "needs a reference" in str(caught.value)
    assert "grpo learns from rewards, and none is set" in str(caught.value)
    assert "'accuracy' is the default; set `rewards: [{type: ...}]`" in str(caught.value)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["q_proj", "v_porj"], r"no module 'v_porj'\n    did you mean 'v_proj'"),
        (["nope"], r"no module 'nope'\n    name modules such as q_proj"),
        ("nope.*", r"no module 'nope\.\*'\n    name modules such as q_proj"),
    ],
)
def test_every_target_module_is_one_of_the_model(
    settings: dict[str, Any], targets: list[str] | str, message: str
) -> None:
    adapter = {"peft_enabled": True, "target_modules": targets}
    with pytest.raises(ConfigError, match=f"model.target_modules: the model has {message}"):
        create_sft_trainer(**settings | adapter).setup()


def test_a_head_that_trains_whole_is_no_target(settings: dict[str, Any]) -> None:
    adapter = {"peft_enabled": True, "target_modules": ["q_proj", "score"]}
    rows = write_jsonl(
        Path(settings["output_dir"]).parent / "texts.jsonl",
        [{"text": "a" * length, "label": length % 2} for length in range(1, 9)],
    )
    given = {"dataset_name": str(rows), "task_type": "text_classification", "num_labels": 2}
    with pytest.raises(ConfigError, match=r"'score' takes no LoRA matrices here\n    leave it out"):
        create_sft_trainer(**settings | adapter | given).setup()


def test_target_modules_may_be_ends_of_names(settings: dict[str, Any]) -> None:
    adapter = {"peft_enabled": True, "target_modules": ["self_attn.q_proj", "v_proj"]}
    create_sft_trainer(**settings | adapter).setup()


def test_a_path_of_folders_is_no_name_on_the_hub(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="there is no folder 'runs/lora/model'"):
        create_sft_trainer(**settings | {"model_name": "runs/lora/model"}).setup()
