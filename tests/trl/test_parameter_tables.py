"""No silent parameter on TRL: every field has a row, every row a field, and a real argument."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from parameter_walk import (
    BESIDE,
    FALLBACK,
    GPU,
    KINDS,
    REWARDS,
    arguments_of,
    other,
    owners,
    paths,
    planned,
    rows_without_a_field,
    sent,
    settings,
    table_of,
)
from transformers import PreTrainedModel
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.training_args import OptimizerNames

from aligntune.config import load_config
from aligntune.errors import ConfigError
from aligntune.hardware import Hardware
from aligntune.plan import make_plan
from aligntune.plan.parameters import Refused, To
from aligntune.plan.resolved import resolved_values
from aligntune.plugins import Plugins, Switches
from aligntune_trl.arguments import _RENAMED, argument_values, build_config
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.names import (
    _READERS,
    GENERATION,
    LOGGERS,
    OPTIMIZERS,
    QUANTIZATION,
    SCHEDULERS,
)

TABLES = {algorithm: table_of(algorithm, "aligntune_trl") for algorithm in KINDS}

each_algorithm = pytest.mark.parametrize("algorithm", KINDS)


@each_algorithm
def test_every_field_has_a_row_of_its_own(algorithm: str) -> None:
    found = paths(algorithm)
    assert len(found) > 200
    assert [path for path in found if TABLES[algorithm].use(path) == FALLBACK] == []


@each_algorithm
def test_every_row_belongs_to_a_field(algorithm: str) -> None:
    assert rows_without_a_field(algorithm, TABLES[algorithm]) == set()


@each_algorithm
def test_every_row_of_a_backend_names_an_argument_that_is_there(algorithm: str) -> None:
    there = {name: arguments_of(owner) for name, owner in owners().items()}
    there["LoraConfig"] = arguments_of(peft.LoraConfig)
    # from_pretrained documents its further arguments and lists only some in its signature.
    documented = f"{PreTrainedModel.from_pretrained.__doc__} use_kernels"
    for _, use in sent(algorithm, TABLES[algorithm]):
        if use.owner == "model_init_kwargs":
            assert use.argument in documented
        else:
            names = there[use.owner]
            assert use.argument in names or _RENAMED.get(use.argument) in names, str(use)


@each_algorithm
def test_no_two_fields_set_one_argument(algorithm: str) -> None:
    targets = [str(use) for _, use in sent(algorithm, TABLES[algorithm])]
    assert len(targets) == len(set(targets))


@each_algorithm
def test_what_is_refused_has_a_reason_and_the_machine_is_checked(algorithm: str) -> None:
    table = TABLES[algorithm]
    assert all(use.because for use in table.uses.values() if isinstance(use, Refused))
    assert check_machine in table.here


@pytest.fixture(scope="module")
def plugins() -> Iterator[Plugins]:
    # Every plan reads the versions of what is installed; here they are read once.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, "version", functools.cache(importlib.metadata.version))
        yield Plugins(Switches.make(only=["trl"]))


CASES = [(a, path, use) for a, table in TABLES.items() for path, use in sent(a, table)]


@pytest.mark.parametrize(
    ("algorithm", "path", "use"), CASES, ids=[f"{algorithm}-{path}" for algorithm, path, _ in CASES]
)
def test_a_value_that_is_set_reaches_its_argument(
    algorithm: str, path: str, use: To, plugins: Plugins
) -> None:
    value = other(algorithm, path)
    plan = planned(settings(algorithm, path, value, use), plugins, "trl")
    found = argument_values(plan, use.owner)
    expected = value if use.convert is None else use.convert(value)
    assert found[use.argument] == expected
    assert str(use) == next(v.destination for v in plan.values if v.path == path)


def test_what_else_must_be_set_is_for_fields_that_are_there() -> None:
    assert set(BESIDE) <= {path for algorithm in KINDS for path in paths(algorithm)}


def test_an_argument_that_the_installed_release_calls_otherwise_gets_its_name() -> None:
    @dataclasses.dataclass
    class Newer:
        activation_checkpointing: bool = True
        max_steps: int = 1

    @dataclasses.dataclass
    class Older:
        gradient_checkpointing: bool = True

    assert build_config(Newer, {"gradient_checkpointing": False, "max_steps": 2}) == Newer(False, 2)
    assert build_config(Older, {"gradient_checkpointing": False}) == Older(False)


UNDEFINED = "no paper and no implementation defines it"
# Algorithm, what is set, what the error says.
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("sft", {"num_generations": 4}, "it belongs to"),
    ("sft", {"beta": 0.2}, "it belongs to DPO"),
    ("sft", {"gamma": 0.9}, "it belongs to PPO"),
    ("sft", {"sft_path": "x"}, "it belongs to DAPO, DPO"),
    ("sft", {"reward_model_name": "x"}, "it belongs to DAPO, DPO"),
    ("sft", {"rewards": REWARDS}, "does not learn from rewards"),
    ("sft", {"packing_strategy": "wrapped"}, "only when `train.packing` is true"),
    ("sft", {"lora_rank": 4}, "only when `model.peft_enabled` is true"),
    ("sft", {"num_labels": 2}, "text classification and token classification"),
    ("sft", {"model_adapter_name": "mine"}, "the adapter that is trained is called `default`"),
    ("sft", {"use_liger_loss": True}, "TRL has no Liger loss any more"),
    ("sft", {"label_pad_token_id": 0}, "always -100"),
    ("sft", {"grpo_alpha": 0.2}, UNDEFINED),
    ("sft", {"fp16": True, "bf16": True}, "True, and `model.precision` is bf16"),
    ("sft", {"precision": "fp32", "bf16": True}, "True, and `model.precision` is fp32"),
    ("sft", {"precision": "bf16", "bf16": False}, "False, and `model.precision` is bf16"),
    (
        "sft",
        {"attn_implementation": "eager", "use_flash_attention_2": True},
        "True, and `model.attn_implementation` is eager",
    ),
    ("sft", {"quantization": {"load_in_4bits": True}}, "did you mean 'load_in_4bit'?"),
    ("sft", {"quantization": {"load_in_4bit": True}}, "quantized weights cannot be trained"),
    (
        "sft",
        {"quantization": {"load_in_4bit": True, "load_in_8bit": True}, "peft_enabled": True},
        "it says both 4 and 8 bits",
    ),
    (
        "sft",
        {"quantization": {"bnb_4bit_quant_type": "nf4"}, "peft_enabled": True},
        "it says neither 4 nor 8 bits",
    ),
    ("sft", {"early_stopping_patience": 2}, "it goes by evaluations, and there are none"),
    ("sft", {"early_stopping_threshold": 0.1}, "there is no early stopping for it"),
    ("sft", {"dataset_kwargs": {"add_special_tokens": False}}, "TRL has no such argument"),
    ("sft", {"dataset_kwargs": {"skip_prepare_dataset": True}}, "rows are text"),
    ("sft", {"padding_free": True}, "nothing would cut rows"),
    ("sft", {"packing": True, "truncation_mode": "keep_end"}, "packing cuts rows at their end"),
    ("sft", {"loss_type": "dft", "label_smoothing_factor": 0.1}, "smooths the loss nll alone"),
    ("sft", {"optimizer": "adamw_torhc"}, "did you mean 'adamw_torch'?"),
    ("sft", {"optimizer": "sgd", "adam_beta1": 0.5}, "'sgd' does not read it"),
    ("sft", {"optimizer": "lion_32bit", "adam_epsilon": 0.5}, "'lion_32bit' does not read it"),
    ("sft", {"optimizer": "grokadamw", "adam_beta2": 0.5}, "'grokadamw' does not read it"),
    ("sft", {"lr_scheduler": "constant", "warmup_steps": 5}, "'constant' has no warmup"),
    ("sft", {"lr_scheduler": "constant", "warmup_ratio": 0.2}, "'constant' has no warmup"),
    ("sft", {"logging_strategy": "epoch", "logging_steps": 5}, "`train.logging_strategy` is steps"),
    ("sft", {"save_strategy": "no", "save_total_limit": 5}, "`train.save_strategy` is steps or"),
    ("sft", {"metric_for_best_model": "eval_accuracy"}, "`train.eval_strategy` is steps or epoch"),
    ("grpo", {"greater_is_better": True}, "`train.eval_strategy` is steps or epoch"),
    ("grpo", {"ds3_gather_for_generation": False}, "it is for DeepSpeed ZeRO-3"),
    ("grpo", {"loss_type": "cispo", "cliprange": 0.3}, "cispo does not clip the ratio there"),
    ("grpo", {"loss_type": "sapo", "cliprange_high": 0.3}, "sapo does not clip the ratio there"),
    ("sft", {"optimizer": "galore_adamw"}, "for which modules, which has no field"),
    ("sft", {"lr_scheduler": "cosin"}, "did you mean 'cosine'?"),
    ("sft", {"lr_scheduler": "cosine_with_min_lr"}, "needs arguments, which have no field"),
    ("sft", {"lr_scheduler": "reduce_lr_on_plateau"}, "goes by evaluations, and there are none"),
    ("sft", {"loggers": ["wandbb"]}, "did you mean 'wandb'?"),
    ("sft", {"sample_logging": {"enabled": True, "prompts": []}}, "there is none"),
    ("sft", {"sample_logging": {"num_samples": 2}}, "only when `logging.sample_logging.enabled`"),
    (
        "sft",
        {"sample_logging": {"enabled": True, "interval_steps": 2, "percent_of_max_steps": 0.5}},
        "both say how often",
    ),
    ("sft", {"hub_model_id": "a/b"}, "only when `logging.push_to_hub` is true"),
    ("sft", {"distributed": {"master_port": 1}}, "torchrun or accelerate starts the processes"),
    ("sft", {"distributed": {"fsdp_config": {"a": 1}}}, "this backend trains in one process"),
    ("grpo", {"packing": True}, "it belongs to SFT"),
    ("grpo", {"train": {"beta": 0.2}}, "the weight of the KL here is `train.kl_coef`"),
    ("grpo", {"whiten_rewards": True}, "it belongs to PPO"),
    ("grpo", {"truncation_mode": "keep_start"}, "over-long prompts are left out"),
    ("grpo", {"group_by_length": True}, "whole groups of one prompt"),
    ("grpo", {"train": {"remove_unused_columns": True}}, "rewards read the columns"),
    ("grpo", {"use_logits_to_keep": False}, "TRL computes no other logits"),
    ("grpo", {"force_use_ref_model": True}, "TRL loads a reference wherever"),
    ("grpo", {"ref_model_init_kwargs": {"a": 1}}, "TRL loads the reference as it loads"),
    ("grpo", {"ref_adapter_name": "a"}, "a run starts from a whole model"),
    ("grpo", {"gspo_gamma": 0.2}, UNDEFINED),
    ("grpo", {"gspo_delta": 0.2}, UNDEFINED),
    ("grpo", {"grpo_alpha": 0.2}, "`train.cliprange`, `train.cliprange_high` and `train.ent_coef`"),
    ("grpo", {"generation_kwargs": {"min_new_token": 1}}, "did you mean 'min_new_tokens'?"),
    ("grpo", {"generation_kwargs": {"num_return_sequences": 2}}, "set by `train.num_generations`"),
    ("grpo", {"generation_kwargs": {"output_scores": True}}, "the trainer reads the tokens"),
    ("sft", {"lr_scheduler": "polynomial", "learning_rate": 1e-8}, "ends at 1e-07, and begins at"),
    ("grpo", {"sync_ref_model": True}, "with a LoRA adapter the reference is the model beneath"),
    (
        "grpo",
        {"sync_ref_model": True, "peft_enabled": False, "kl_coef": 0.0},
        "there is no reference",
    ),
    (
        "grpo",
        {"disable_dropout": True, "lora_dropout": 0.1},
        "`model.disable_dropout` would make it 0, not 0.1",
    ),
    ("grpo", {"sft_path": "x", "model": {"revision": "r"}}, "the run starts from `model.sft_path`"),
    ("grpo", {"bias": "all"}, "which stay when the adapter is switched off"),
    ("ppo", {"vf_coef": 0.0, "cliprange_value": 0.3}, "the value loss does not count"),
    ("ppo", {"bias": "lora_only"}, "which stay when the adapter is switched off"),
    ("grpo", {"save_strategy": "epoch", "save_interval": 7}, "`train.save_strategy` is steps"),
    ("grpo", {"reward_weights": [1, 2]}, "2 weights, and the rewards are: custom"),
    ("grpo", {"reward_device": "cpu"}, "no reward model is set"),
]


def wrong(algorithm: str, given: dict[str, Any]) -> dict[str, Any]:
    rewards = {} if algorithm == "sft" else {"rewards": REWARDS}
    model = {"model": {"name_or_path": "m", **given.get("model", {})}}
    return {"dataset": "d", "algorithm": algorithm, "backend": "trl", **rewards, **given, **model}


@pytest.mark.parametrize(("algorithm", "given", "says"), WRONG, ids=range(len(WRONG)))
def test_what_is_refused_says_why(
    algorithm: str, given: dict[str, Any], says: str, plugins: Plugins
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(load_config(wrong(algorithm, given)), plugins=plugins)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "given", "path", "expected"),
    [
        ("sft", {"lr_scheduler": "constant"}, "warmup_ratio", 0.0),
        ("grpo", {"loss_type": "cispo"}, "cliprange_high", 5.0),
        ("grpo", {"seed": 3}, "data_seed", 3),
        ("grpo", {"seed": 3, "data_seed": 47}, "data_seed", 47),
    ],
)
def test_defaults_bend_and_stay_so_in_the_resolved_configuration(
    algorithm: str, given: dict[str, Any], path: str, expected: Any, plugins: Plugins
) -> None:
    plan = make_plan(load_config(wrong(algorithm, given)), plugins=plugins)
    assert getattr(plan.config.train, path) == expected
    again = make_plan(load_config(resolved_values(plan)[0], kind=KINDS[algorithm]), plugins=plugins)
    assert again.config.train == plan.config.train


def test_the_optimizers_that_read_a_field_are_those_of_transformers() -> None:
    """Of the optimizers that torch brings; the others need packages of their own."""
    model = torch.nn.Linear(1, 1)
    read = {}
    for name in ("adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop"):
        args = transformers.TrainingArguments(optim=name, adam_beta1=0.5, adam_epsilon=0.25)
        taken = transformers.Trainer.get_optimizer_cls_and_kwargs(args, model)[1]
        read[name] = (taken.get("betas") == (0.5, 0.999), taken.get("eps") == 0.25)
    found = {n: (n in _READERS["adam_beta1"], n in _READERS["adam_epsilon"]) for n in read}
    assert found == read


# What is set, what a machine without a GPU says, what one with a GPU and without the package says.
MACHINE: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "sft",
        {"quantization": {"load_in_4bit": True}, "peft_enabled": True},
        "needs bitsandbytes, which is not installed",
        'pip install "aligntune-trl[quantization]"',
    ),
    ("sft", {"precision": "fp16"}, "fp16 needs a GPU, and this machine has none: CPU", ""),
    ("sft", {"use_flash_attention_2": True}, "flash_attention_2 needs a GPU", "flash-attn"),
    ("sft", {"use_liger_kernel": True}, "it needs a GPU", "pip install kernels"),
    ("sft", {"activation_offloading": True}, "it needs a GPU", ""),
    ("grpo", {"fast_inference": True}, "vLLM needs a GPU", "pip install vllm"),
    ("sft", {"optimizer": "adamw_8bit"}, "pip install bitsandbytes", "pip install bitsandbytes"),
    ("sft", {"loggers": ["clearml"]}, "pip install clearml", "pip install clearml"),
]


@pytest.mark.parametrize(("algorithm", "given", "on_cpu", "on_gpu"), MACHINE)
def test_what_this_machine_lacks_is_said_before_anything_loads(
    algorithm: str, given: dict[str, Any], on_cpu: str, on_gpu: str, plugins: Plugins
) -> None:
    config = load_config(wrong(algorithm, given))
    make_plan(config, plugins=plugins)  # elsewhere it may be right
    with pytest.raises(ConfigError) as caught:
        make_plan(config, hardware=Hardware(), plugins=plugins)
    assert on_cpu in str(caught.value)
    if not on_gpu:
        make_plan(config, hardware=GPU, plugins=plugins)
        return
    with pytest.raises(ConfigError) as caught:
        make_plan(config, hardware=GPU, plugins=plugins)
    assert on_gpu in str(caught.value)


def test_names_are_those_of_the_installed_release() -> None:
    assert set(OPTIMIZERS) == {name.value for name in OptimizerNames}
    assert set(SCHEDULERS) == {name.value for name in transformers.SchedulerType}
    assert set(LOGGERS) == set(INTEGRATION_TO_CALLBACK)
    generation: Any = transformers.GenerationConfig
    there = set(vars(generation())) - {"transformers_version"}
    assert set(GENERATION) == {name for name in there if not name.startswith("_")}
    takes = set(inspect.signature(transformers.BitsAndBytesConfig.__init__).parameters)
    assert set(QUANTIZATION) == takes - {"self", "kwargs"}


def test_validating_a_run_on_trl_imports_no_library_of_it(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    config = {"algorithm": "grpo", "model": "m", "dataset": "d", "rewards": REWARDS}
    path.write_text(json.dumps(config))
    code = (
        f"import sys; sys.argv = ['aligntune', 'validate', {str(path)!r}]\n"
        "from aligntune.cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'peft', 'accelerate'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ALIGNTUNE_PLUGINS": "trl"},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "valid: grpo on trl" in done.stdout
