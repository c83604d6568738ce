"""What AlignTune's own code does with a field: for each, a test that changing it changes the run.

`effect` names the fields that a test is for. Fields that are tested elsewhere, because other code
uses them, are in `ELSEWHERE`. A field that goes to AlignTune's own code and is in neither fails.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from parameter_walk import KINDS, paths, table_of
from transformers import AutoModelForCausalLM

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.config import EvaluationConfig, load_config
from aligntune.errors import ConfigError
from aligntune.evaluation.switches import SWITCHES, switched_on
from aligntune.hardware import Hardware
from aligntune.plan import Plan, make_plan
from aligntune.plan.parameters import Ours
from aligntune.plan.resolved import resolved_values
from aligntune.run import RunDirectory
from aligntune.testing import Hub, addition_rows, make_model, write_jsonl
from aligntune_trl.arguments import trainer_arguments
from aligntune_trl.backend import load_kwargs, load_tokenizer, start
from aligntune_trl.fields.batch import prompt_limit

TESTS = Path(__file__).parents[1]
TOKEN = "hf_" + "a" * 34
GPU = Hardware("cuda", "a GPU", 1, True)

Test = TypeVar("Test", bound=Callable[..., None])
PROVEN: set[str] = set()
# Field (or pattern) -> the files of which one has a test that names it.
ELSEWHERE: dict[str, str] = {
    "algo": "core/test_plan.py",
    "backend": "core/test_plan.py",
    "model.use_unsloth": "core/test_plan.py",
    "model.peft_enabled": "trl/test_same_numbers.py",
    "model.num_labels": "trl/test_classification.py",
    "train.label_smoothing_factor": "trl/test_classification.py",
    "train.truncation_mode": "trl/test_classification.py",
    "train.pad_to_multiple_of": "trl/test_classification.py",
    "train.dataset_num_proc": "trl/test_classification.py",
    "model.loraplus_lr_ratio": "trl/test_lora.py",
    "datasets.*": "*/test_data*.py",
    "evaluation.dpo_*": "trl/test_dpo*.py",
    "evaluation.*": "*/test_*.py",
    # Of several algorithms that learn from preferences.
    "model.force_use_ref_model": "trl/test_kto.py",
    "model.ref_model_init_kwargs": "trl/test_dpo.py",
    "train.loss_type": "trl/test_dpo_loss.py",
    "train.max_target_length": "trl/test_kto.py",
    "train.completion_only_loss": "trl/test_without_reference.py",
    "train.missing_eos_penalty": "trl/test_online_dpo.py",
    "train.data_seed": "trl/test_kto.py",
    "train.ent_coef": "trl/test_ppo*.py",
    "train.max_completion_length": "trl/test_dpo.py",
    "train.temperature": "trl/test_dpo.py",
    "train.top_?": "trl/test_dpo.py",
    "chat_template": "trl/test_trainer.py",
    "logging.output_dir": "trl/test_trainer.py",
    "plugins.*": "core/test_plugins.py",
    "rewards.*": "core/test_scoring*.py",
    "model.reward_model_source.*": "trl/test_reward_models_from_texts.py",
}
# What only one algorithm uses is tested where that algorithm is.
OF_ONE = {
    "dapo": "trl/test_dapo.py",
    "dpo": "trl/test_dpo*.py",
    "kto": "trl/test_kto.py",
    "neural_mirror_grpo": "trl/test_neural_mirror_grpo.py",
    "ppo": "trl/test_ppo*.py",
    "reward_modeling": "trl/test_reward_modeling*.py",
    "meta_es": "trl/test_meta_es*.py",
}


def effect(*fields: str) -> Callable[[Test], Test]:
    PROVEN.update(fields)
    return lambda test: test


@cache
def names_in_tests(pattern: str) -> frozenset[str]:
    """Every name, keyword and string in the test functions of the files."""
    found: set[str] = set()
    files = [
        path for path in TESTS.glob("*/*.py") if fnmatch(str(path.relative_to(TESTS)), pattern)
    ]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg:
                found.add(node.arg)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(re.findall(r"\w+", node.value))
    return frozenset(found)


def proven(path: str, algorithms: list[str]) -> bool:
    path = path.replace("eval_datasets.", "datasets.")
    if path in PROVEN:
        return True
    patterns = [files for field, files in ELSEWHERE.items() if fnmatch(path, field)]
    if len(algorithms) == 1:
        patterns.append(OF_ONE.get(algorithms[0], ""))
    leaf = path.rpartition(".")[2]
    return any(leaf in names_in_tests(pattern) for pattern in patterns)


def test_every_field_that_our_own_code_uses_has_a_test_of_its_effect() -> None:
    users: dict[str, list[str]] = {}
    for algorithm in KINDS:
        table = table_of(algorithm, "aligntune_trl")
        for path in paths(algorithm):
            of_runs_inside = algorithm == "meta_es" and not path.startswith("meta_es.")
            if isinstance(table.use(path), Ours) and not of_runs_inside:
                users.setdefault(path, []).append(algorithm)
    assert len(users) > 100
    assert [path for path, algorithms in users.items() if not proven(path, algorithms)] == []


def test_fields_that_are_said_to_be_tested_are_fields_and_ours() -> None:
    ours = {
        path
        for algorithm in KINDS
        for path in paths(algorithm)
        if isinstance(table_of(algorithm, "aligntune_trl").use(path), Ours)
    }
    assert ours >= PROVEN


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("effects")
    make_model(folder / "model")
    make_model(folder / "other", seed=5)
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    return folder


@pytest.fixture
def common(folder: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": "trl",
        "output_dir": str(tmp_path / "run"),
        "precision": "fp32",
        "max_steps": 2,
        "logging_steps": 1,
        "save_strategy": "no",
        "loggers": "none",
        "max_seq_length": 32,
    }


def plan_of(hardware: Hardware | None = None, algorithm: str = "sft", **given: Any) -> Plan:
    settings = {"model": "m", "dataset": "d", "backend": "trl", "algorithm": algorithm, **given}
    settings = {name: value for name, value in settings.items() if value is not None}
    return make_plan(load_config(settings, kind=KINDS[algorithm]), hardware=hardware)


def arguments_of(plan: Plan, algorithm: str = "SFTConfig") -> dict[str, Any]:
    return trainer_arguments(plan, algorithm, RunDirectory(Path("run")), "cpu")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(run: RunDirectory) -> list[float]:
    return [line["loss"] for line in lines(run.metrics) if "loss" in line]


@effect("model.precision", "train.bf16", "train.fp16")
@pytest.mark.parametrize(
    ("given", "bf16", "fp16", "dtype"),
    [
        ({}, True, False, "bfloat16"),
        ({"precision": "auto"}, True, False, "bfloat16"),
        ({"precision": "fp16"}, False, True, "float32"),
        ({"fp16": True}, False, True, "float32"),
        ({"bf16": True}, True, False, "bfloat16"),
        ({"bf16": False}, False, False, "float32"),
        ({"precision": "bf16", "bf16": True}, True, False, "bfloat16"),
    ],
)
def test_precision(given: dict[str, Any], bf16: bool, fp16: bool, dtype: str) -> None:
    plan = plan_of(GPU, peft_enabled=True, loggers="none", **given)
    found = arguments_of(plan)
    assert (found["bf16"], found["fp16"]) == (bf16, fp16)
    assert load_kwargs(plan)["dtype"] == dtype
    assert (plan.config.train.bf16, plan.config.train.fp16) == (bf16, fp16)
    again = make_plan(load_config(resolved_values(plan)[0]))
    assert again.config.model.precision is plan.config.model.precision


@effect("train.use_flash_attention_2")
def test_flash_attention() -> None:
    assert load_kwargs(plan_of(use_flash_attention_2=True))["attn_implementation"] == (
        "flash_attention_2"
    )
    assert "attn_implementation" not in load_kwargs(plan_of(use_flash_attention_2=False))
    asked = plan_of(use_flash_attention_2=True, attn_implementation="auto")
    assert load_kwargs(asked)["attn_implementation"] == "flash_attention_2"


@effect("model.quantization")
def test_quantization() -> None:
    wanted = {"load_in_8bit": True, "llm_int8_threshold": 4.0}
    found = load_kwargs(plan_of(quantization=wanted, peft_enabled=True))["quantization_config"]
    assert (found.load_in_8bit, found.llm_int8_threshold) == (True, 4.0)
    assert "quantization_config" not in load_kwargs(plan_of())
    four = {"quantization": {"load_in_4bit": True}, "peft_enabled": True}
    found = load_kwargs(plan_of(**four, precision="bf16"))["quantization_config"]
    assert (found.bnb_4bit_quant_type, found.bnb_4bit_use_double_quant) == ("nf4", True)
    assert found.bnb_4bit_compute_dtype is torch.bfloat16
    four["quantization"] = {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}
    assert load_kwargs(plan_of(**four))["quantization_config"].bnb_4bit_quant_type == "fp4"


@effect("model.trust_remote_code", "model.model_init_kwargs")
def test_what_loads_the_model_is_told() -> None:
    assert load_kwargs(plan_of())["trust_remote_code"] is False
    found = load_kwargs(plan_of(trust_remote_code=True, model_init_kwargs={"tie": 1}))
    assert (found["trust_remote_code"], found["tie"]) == (True, 1)


@effect("model.name_or_path", "model.sft_path")
def test_policy_and_reference_start_from_the_checkpoint(
    common: dict[str, Any], folder: Path
) -> None:
    assert start(plan_of(algorithm="grpo", rewards=["accuracy"])) == "m"
    trainer: Any = create_rl_trainer(
        algorithm="grpo",
        sft_path=str(folder / "other"),
        peft_enabled=False,
        kl_coef=0.1,
        batch_size=2,
        max_completion_length=2,
        rewards=["length"],
        **common,
    )
    inner = trainer.setup()
    expected = AutoModelForCausalLM.from_pretrained(folder / "other").state_dict()
    for model in (inner.model, inner.ref_model):
        assert all(torch.equal(expected[name], w) for name, w in model.state_dict().items())


def test_an_sft_path_without_a_model_is_named(common: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    trainer = create_rl_trainer(
        algorithm="grpo",
        sft_path=str(tmp_path / "empty"),
        batch_size=2,
        max_completion_length=2,
        rewards=["length"],
        **common,
    )
    with pytest.raises(ConfigError, match=r"model\.sft_path: .* holds no model"):
        trainer.train()


@effect("train.use_trl")
def test_use_trl_chooses_the_backend() -> None:
    assert plan_of(backend="auto", use_trl=True).why == "it was asked for"
    with pytest.raises(ConfigError, match=r"`train.use_trl` says 'trl'"):
        plan_of(backend="unsloth", use_trl=True)


@effect("train.stop_after_steps")
def test_a_run_stops_before_its_end(common: dict[str, Any]) -> None:
    assert len(losses(create_sft_trainer(**common, stop_after_steps=1).train())) == 1


@effect("datasets.chat_template", "datasets.pad_token")
def test_what_a_data_set_says_of_the_tokenizer(folder: Path) -> None:
    given: dict[str, Any] = {"name": "d", "chat_template": "{{ messages }}", "pad_token": "a"}
    model = {"name_or_path": str(folder / "model")}
    plain = load_tokenizer(plan_of(model=model))
    told = load_tokenizer(plan_of(model=model, dataset=None, datasets=[given]))
    assert (told.chat_template, told.pad_token) == ("{{ messages }}", "a")
    assert (plain.chat_template, plain.pad_token) != ("{{ messages }}", "a")


@effect(
    *(f"evaluation.{field}" for field in SWITCHES),
    "evaluation.bertscore_model",
    "evaluation.semantic_similarity_model",
)
@pytest.mark.parametrize(("field", "evaluator"), SWITCHES.items())
def test_a_switch_of_the_evaluation_asks_for_its_evaluator(field: str, evaluator: str) -> None:
    named: dict[str, Any] = {"bertscore_model": "b", "semantic_similarity_model": "s"}
    settings: dict[str, Any] = dict.fromkeys(SWITCHES, False) | {field: True} | named
    given = EvaluationConfig(**settings)
    (asked,) = switched_on(given)[field]
    assert asked.type == evaluator
    models = {"bertscore": {"model": "b"}, "semantic_similarity": {"model": "s"}}
    assert asked.params == models.get(evaluator, {})
    assert list(switched_on(given)) == [field]


@effect("train.warmup_steps", "train.warmup_ratio")
def test_warmup() -> None:
    assert arguments_of(plan_of(warmup_steps=7))["warmup_steps"] == 7
    assert arguments_of(plan_of(warmup_ratio=0.25))["warmup_steps"] == 0.25


@effect("train.early_stopping_patience", "train.early_stopping_threshold")
@pytest.mark.parametrize(("threshold", "steps"), [(0.0, 4), (1e6, 2)])
def test_a_run_stops_when_it_no_longer_gets_better(
    common: dict[str, Any], threshold: float, steps: int
) -> None:
    run = create_sft_trainer(
        **common | {"max_steps": 4, "learning_rate": 1e-3, "warmup_ratio": 0.0},
        eval_dataset=common["dataset_name"],
        eval_interval=1,
        load_best_model_at_end=False,
        early_stopping_patience=1,
        early_stopping_threshold=threshold,
        evaluation={"compute_perplexity": False, "compute_rouge": False, "compute_bleu": False},
    ).train()
    assert len(losses(run)) == steps


def test_a_run_stops_by_what_an_evaluator_measures(common: dict[str, Any]) -> None:
    settings: dict[str, Any] = {
        "eval_dataset": common["dataset_name"],
        "eval_interval": 1,
        "load_best_model_at_end": False,
        "early_stopping_patience": 1,
        "evaluation": {"evaluators": ["perplexity"], "max_samples": 2},
    }
    common |= {"max_steps": 4, "learning_rate": 0.0}
    run = create_sft_trainer(**common, **settings, metric_for_best_model="eval_perplexity").train()
    assert len(losses(run)) == 2


@effect("logging.run_name", "logging.log_level")
def test_names_and_levels() -> None:
    found = arguments_of(plan_of(run_name="mine", log_level="error"))
    assert (found["run_name"], found["log_level"]) == ("mine", "error")
    assert arguments_of(plan_of())["run_name"] == "run"


@effect("logging.disable_tqdm", "logging.logging_dir")
def test_bars_and_tensorboard(common: dict[str, Any], tmp_path: Path) -> None:
    settings = common | {"max_steps": 1, "loggers": ["tensorboard"], "log_level": "ERROR"}
    trainer: Any = create_sft_trainer(**settings, logging_dir=str(tmp_path / "board"))
    run = trainer.train()
    assert logging.getLogger("aligntune").level == logging.ERROR
    assert list((tmp_path / "board").rglob("events.out.tfevents.*"))
    assert not run.logs.exists() or not list(run.logs.rglob("events.out.tfevents.*"))
    bars = [type(c).__name__ for c in trainer.setup().callback_handler.callbacks]
    assert bars.count("ProgressCallback") == 1
    quiet: Any = create_sft_trainer(**settings, disable_tqdm=True)
    bars = [type(c).__name__ for c in quiet.setup().callback_handler.callbacks]
    assert bars.count("ProgressCallback") == 0


@pytest.fixture(scope="module")
def unsampled(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return sampled_run(folder, tmp_path_factory.mktemp("unsampled") / "run")


def sampled_run(folder: Path, output: Path, **sampling: Any) -> RunDirectory:
    """A run that draws random numbers itself: dropout on an adapter."""
    return create_sft_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / "rows.jsonl"),
        backend="trl",
        output_dir=str(output),
        precision="fp32",
        max_steps=4,
        learning_rate=1e-2,
        logging_steps=1,
        save_strategy="no",
        loggers="none",
        peft_enabled=True,
        lora_dropout=0.5,
        max_seq_length=32,
        logging={"sample_logging": sampling},
    ).train()


@effect(
    "logging.sample_logging.enabled",
    "logging.sample_logging.prompts",
    "logging.sample_logging.interval_steps",
    "logging.sample_logging.percent_of_max_steps",
    "logging.sample_logging.max_new_tokens",
    "logging.sample_logging.temperature",
    "logging.sample_logging.top_p",
    "logging.sample_logging.num_samples",
)
@pytest.mark.parametrize(
    ("sampling", "lines_by_step", "texts"),
    [
        ({"interval_steps": 2, "max_new_tokens": 3}, {2: 12, 4: 12}, 6),
        ({"percent_of_max_steps": 0.75, "prompts": ["1+1="], "num_samples": 4}, {3: 4}, 2),
        ({"interval_steps": 4, "temperature": 0.0, "prompts": ["1+1="]}, {4: 3}, 1),
        ({"interval_steps": 4, "top_p": 1e-6, "prompts": ["1+1="]}, {4: 3}, 1),
    ],
)
def test_completions_are_written_down_and_change_nothing(  # noqa: PLR0917
    sampling: dict[str, Any],
    lines_by_step: dict[int, int],
    texts: int,
    folder: Path,
    tmp_path: Path,
    unsampled: RunDirectory,
) -> None:
    run = sampled_run(folder, tmp_path / "run", enabled=True, **sampling)
    found = lines(run.samples)
    assert Counter(line["step"] for line in found) == lines_by_step
    distinct = {line["completion"] for line in found}
    assert len(distinct) >= texts if texts > 1 else len(distinct) == 1
    if "max_new_tokens" in sampling:
        assert all(len(line["completion"]) <= 3 for line in found)
    assert losses(run) == losses(unsampled)
    assert not unsampled.samples.exists() or lines(unsampled.samples) == []


def test_rows_of_plain_text_have_no_prompt_to_complete(
    common: dict[str, Any], tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "text.jsonl", [{"text": "1+1=2"}] * 4)
    settings = common | {"dataset_name": str(tmp_path / "text.jsonl")}
    trainer = create_sft_trainer(**settings, logging={"sample_logging": {"enabled": True}})
    with pytest.raises(ConfigError, match="rows have no prompt to complete"):
        trainer.train()


HUB = """
import json, sys
from aligntune import create_sft_trainer
from aligntune.errors import AlignTuneError
for given in json.loads(sys.argv[1]):
    try:
        create_sft_trainer(**given).train()
        print("pushed")
    except AlignTuneError as error:
        print(f"{type(error).__name__}: {error}")
"""


@effect("logging.push_to_hub", "logging.hub_model_id", "logging.hub_token")
def test_the_model_is_uploaded_when_the_run_ends(common: dict[str, Any], tmp_path: Path) -> None:
    good = common | {
        "max_steps": 1,
        "push_to_hub": True,
        "hub_model_id": "ada/tuned",
        "hub_token": TOKEN,
    }
    bad = good | {
        "hub_model_id": "ada/other",
        "hub_token": "hf_" + "b" * 34,
        "output_dir": str(tmp_path / "second"),
    }
    with Hub(tmp_path / "hub", tokens={TOKEN: "ada"}) as hub:
        done = subprocess.run(
            [sys.executable, "-c", HUB, json.dumps([good, bad])],
            env=os.environ | hub.environment(tmp_path / "cache"),
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        )
    first, second = done.stdout.splitlines()[0], done.stdout.splitlines()[1]
    assert first == "pushed"
    names = {path.name for path in (tmp_path / "hub" / "models" / "ada" / "tuned").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
    assert second.startswith("RunError: pushing to 'ada/other' failed")
    assert not (tmp_path / "second").exists(), "a refused token is told before the run begins"
    written = [path for path in Path(common["output_dir"]).rglob("*") if path.is_file()]
    assert written
    assert not any(TOKEN.encode() in path.read_bytes() for path in written)


@effect("distributed.backend", "distributed.num_processes")
@pytest.mark.parametrize("given", [{"backend": "ddp"}, {"num_processes": 2}])
def test_more_than_one_process_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="this backend trains in one process"):
        plan_of(distributed=given)


@effect(
    "model.reward_model_name",
    "model.reward_device",
    "model.reward_model_quantization",
    "model.reward_model_source.source_type",
    "model.reward_model_source.model_name",
    "model.reward_model_source.model_path",
)
@pytest.mark.parametrize(
    ("given", "params"),
    [
        ({"reward_model_name": "a/b"}, {"model": "a/b"}),
        (
            {"reward_model_source": {"source_type": "pretrained_hf", "model_name": "a/b"}},
            {"model": "a/b"},
        ),
        (
            {"reward_model_source": {"source_type": "pretrained_local", "model_path": "./r"}},
            {"model": "./r"},
        ),
        (
            {
                "reward_model_name": "a/b",
                "reward_device": "cpu",
                "reward_model_quantization": {"load_in_4bit": True},
            },
            {"model": "a/b", "device": "cpu", "quantization": {"load_in_4bit": True}},
        ),
    ],
)
def test_a_reward_model_becomes_a_reward(given: dict[str, Any], params: dict[str, Any]) -> None:
    plan = plan_of(algorithm="grpo", rewards=["length"], model={"name_or_path": "m", **given})
    assert [entry.type for entry in plan.config.rewards] == ["length", "reward_model"]
    assert plan.config.rewards[1].params == params
    shown = {value.path: value.origin for value in plan.values}
    assert shown["rewards.1.type"].startswith("`model.reward_model_")
    again = make_plan(load_config(resolved_values(plan)[0]))
    assert [entry.params for entry in again.config.rewards] == [{}, params]


def test_two_reward_models_contradict_each_other() -> None:
    model = {
        "name_or_path": "m",
        "reward_model_name": "c/d",
        "reward_model_source": {"source_type": "pretrained_hf", "model_name": "a/b"},
    }
    with pytest.raises(ConfigError, match=r"names 'a/b', and `model.reward_model_name` 'c/d'"):
        plan_of(algorithm="grpo", model=model)


@effect("train.reward_weights")
def test_weights_of_rewards() -> None:
    plan = plan_of(
        algorithm="grpo",
        rewards=["length", "accuracy"],
        reward_model_name="a/b",
        reward_weights=[0.5, 2, 0],
    )
    assert [entry.weight for entry in plan.config.rewards] == [0.5, 2, 0]
    again = make_plan(load_config(resolved_values(plan)[0]))
    assert [entry.weight for entry in again.config.rewards] == [0.5, 2, 0]
    with pytest.raises(ConfigError, match=r"0.5 for 'length', and `rewards.0.weight` is 3"):
        plan_of(algorithm="grpo", rewards=[{"type": "length", "weight": 3}], reward_weights=[0.5])


@effect("train.max_prompt_length", "model.max_seq_length")
def test_the_longest_prompt() -> None:
    given: dict[str, Any] = {"algorithm": "grpo", "max_completion_length": 10}
    assert prompt_limit(plan_of(**given, max_prompt_length=7).config) == 7
    assert prompt_limit(plan_of(**given, max_seq_length=15).config) == 5


@effect("train.enable_thinking")
@pytest.mark.parametrize("thinking", [False, True])
def test_thinking(common: dict[str, Any], thinking: bool) -> None:
    trainer: Any = create_rl_trainer(
        algorithm="grpo",
        enable_thinking=thinking,
        batch_size=2,
        max_completion_length=2,
        rewards=["length"],
        **common,
    )
    assert trainer.template_arguments == {"enable_thinking": thinking}


def test_what_is_said_beside_training_is_asked_for_as_in_training(
    common: dict[str, Any], tmp_path: Path
) -> None:
    """Samples, evaluators and `predict` render a prompt as the rollouts do."""
    template = (
        "{% for m in messages %}{{ m['content'] }}{% endfor %}"
        "{{ '<think>' if enable_thinking is not defined or enable_thinking else '<empty>' }}"
    )
    rows = write_jsonl(tmp_path / "chat.jsonl", addition_rows(8, chat=True))
    common |= {"dataset_name": str(rows), "eval_dataset": str(rows), "max_steps": 1}
    trainer: Any = create_rl_trainer(
        algorithm="grpo",
        chat_template=template,
        batch_size=2,
        max_completion_length=2,
        max_seq_length=None,
        rewards=["length"],
        evaluation={"evaluators": ["exact_match"], "max_samples": 1, "max_new_tokens": 2},
        sample_logging={"enabled": True, "interval_steps": 1, "max_new_tokens": 2},
        **{name: value for name, value in common.items() if name != "max_seq_length"},
    )
    asked: list[str] = []
    setup = trainer.setup()
    generate = setup.model.generate

    def heard(*args: Any, **given: Any) -> Any:
        asked.extend(trainer.tokenizer.batch_decode(given["input_ids"]))
        return generate(*args, **given)

    setup.model.generate = heard
    trainer.train()
    trainer.predict([[{"role": "user", "content": "1+1="}]], max_new_tokens=1)
    assert len(asked) >= 2 + 4 + 1 + 1
    assert [text for text in asked if not text.endswith("<empty>")] == []


def test_the_order_of_prompts_has_a_seed_of_its_own(common: dict[str, Any], tmp_path: Path) -> None:
    def prompts(name: str, **given: Any) -> list[str]:
        settings = common | {"output_dir": str(tmp_path / name), **given}
        run = create_rl_trainer(
            algorithm="grpo", rewards=["length"], batch_size=2, max_completion_length=2, **settings
        ).train()
        return [json.loads(line)["prompt"] for line in run.samples.read_text().splitlines()]

    assert prompts("seed", seed=1) == prompts("both", seed=1, data_seed=1)
    assert prompts("other", seed=1, data_seed=2) == prompts("moved", seed=2)
    assert prompts("seed again", seed=1) != prompts("moved again", seed=2)


def test_long_prompts_are_left_out_of_the_rows_to_evaluate_on_too(
    common: dict[str, Any], tmp_path: Path
) -> None:
    rows = [{"prompt": "1+1=" * 40, "completion": "2"}, *addition_rows(3)]
    trainer: Any = create_rl_trainer(
        algorithm="grpo",
        batch_size=2,
        max_completion_length=2,
        max_prompt_length=16,
        eval_dataset=str(write_jsonl(tmp_path / "long.jsonl", rows)),
        rewards=["length"],
        **common,
    )
    assert len(trainer.setup().eval_dataset) == 3


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """A run sets the level of the log."""
    before = logging.getLogger("aligntune").level
    yield
    logging.getLogger("aligntune").setLevel(before)
