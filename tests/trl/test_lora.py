"""DoRA, rsLoRA, PiSSA and LoRA+: what each trains, against scripts on peft and TRL alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trl
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, set_seed

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.config import load_config
from aligntune.errors import ConfigError
from aligntune.hardware import Hardware
from aligntune.plan import make_plan
from aligntune.testing import addition_rows, make_model, preference_rows, write_jsonl
from aligntune_trl.lora.pissa import starting_factors
from aligntune_trl.lora.plus import learn_faster

RATE = 1e-2
RATIO = 16.0
LORA: dict[str, Any] = {
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "v_proj"],
}
TOKENS = torch.arange(20, 44).reshape(2, 12)
REWARDS = [{"type": "length", "params": {"min_length": 1, "max_length": 4}}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", addition_rows(32))
    write_jsonl(folder / "pairs.jsonl", preference_rows(16))
    make_model(folder / "strong", initializer_range=0.3)
    return folder


def sft(folder: Path, output: Path, **settings: Any) -> Any:
    given = {**COMMON, "max_seq_length": 32, "peft_enabled": True, **settings}
    return create_sft_trainer(
        model_name=str(folder / "model"),
        dataset_name=str(folder / "rows.jsonl"),
        output_dir=str(output),
        **given,
    )


COMMON: dict[str, Any] = {
    "backend": "trl",
    "max_steps": 3,
    "batch_size": 4,
    "gradient_accumulation_steps": 1,
    "learning_rate": RATE,
    "weight_decay": 0.1,
    "lr_scheduler": "linear",
    "warmup_ratio": 0.0,
    "logging_steps": 1,
    "seed": 7,
    "precision": "fp32",
    "loggers": "none",
    "lora_rank": 4,
    **LORA,
}


def losses(run: Any) -> list[float]:
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(TOKENS).logits
    return found


def base_of(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)


def by_hand(folder: Path, output: Path, ratio: float | None = None, **settings: Any) -> list[float]:
    """What somebody writes who uses TRL and peft alone."""
    arguments = trl.SFTConfig(
        output_dir=str(output),
        max_steps=3,
        per_device_train_batch_size=4,
        learning_rate=RATE,
        weight_decay=0.1,
        optim="adamw_torch",
        lr_scheduler_type="linear",
        max_length=32,
        gradient_checkpointing=True,
        logging_steps=1,
        seed=7,
        bf16=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
    )
    rows = Dataset.from_json(str(folder / "rows.jsonl"), cache_dir=str(output / "cache"))
    set_seed(7)
    adapter = LoraConfig(task_type="CAUSAL_LM", r=4, **LORA, **settings)
    model: Any = get_peft_model(base_of(folder), adapter)
    optimizer = None
    if ratio is not None:
        optimizer = create_loraplus_optimizer(
            model, torch.optim.AdamW, lr=RATE, loraplus_lr_ratio=ratio, loraplus_weight_decay=0.1
        )
    trainer = trl.SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=rows.select_columns(["prompt", "completion"]),
        optimizers=(optimizer, None),
    )
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dora": True},
        {"use_rslora": True},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "pissa"},
        {"loraplus_lr_ratio": RATIO},
        {"loraplus_lr_ratio": RATIO, "use_dora": True},
    ],
    ids=str,
)
def test_each_has_the_losses_of_a_hand_written_script(
    folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    of_peft = {name: value for name, value in settings.items() if name != "loraplus_lr_ratio"}
    ratio = settings.get("loraplus_lr_ratio")
    expected = by_hand(folder, tmp_path / "raw", ratio, **of_peft)
    assert len(set(expected)) == 3
    plain = by_hand(folder, tmp_path / "plain")
    assert expected != plain
    assert losses(sft(folder, tmp_path / "ours", **settings).train()) == expected


def test_rslora_scales_by_the_root_of_the_rank(folder: Path, tmp_path: Path) -> None:
    model: Any = sft(folder, tmp_path / "run", use_rslora=True).setup().model
    scales = [layer.self_attn.q_proj.scaling for layer in model.base_model.model.model.layers]
    assert scales == [{"default": 8 / math.sqrt(4)}] * 2


def test_dora_trains_the_length_of_every_row(folder: Path, tmp_path: Path) -> None:
    trainer = sft(folder, tmp_path / "run", use_dora=True)
    trainer.setup()
    base = base_of(folder)
    run = trainer.train()
    saved = load_file(run.model / "adapter_model.safetensors")
    lengths = {name: saved[name] for name in saved if "lora_magnitude_vector" in name}
    assert len(lengths) == 2 * 2
    first = next(name for name in lengths if "layers.0.self_attn.q_proj" in name)
    before = base.model.layers[0].self_attn.q_proj.weight.norm(dim=1)
    moved = (lengths[first] - before).abs()
    assert moved.min() > 0
    assert moved.max() < 4 * RATE
    live = logits(trainer.trainer.model)
    assert torch.equal(logits(PeftModel.from_pretrained(base_of(folder), run.model)), live)


def test_loraplus_moves_b_faster_by_the_ratio(folder: Path, tmp_path: Path) -> None:
    """Adam's first step moves weights by their learning rate; with PiSSA A has a gradient too."""
    more = {"init_lora_weights": "pissa", "weight_decay": 0.0, "lr_scheduler": "constant"}
    trainer = sft(folder, tmp_path / "run", max_steps=1, loraplus_lr_ratio=RATIO, **more)
    trainer.setup()
    start = trainer.pissa_start
    trainer.train()
    after = starting_factors(trainer.trainer.model)
    for name, before in start.items():
        moved = (after[name] - before).abs().median().item()
        expected = RATE * (RATIO if "lora_B" in name else 1)
        assert moved == pytest.approx(expected, rel=1e-2), name


def test_loraplus_keeps_decay_and_leaves_the_critic_of_ppo_alone(
    folder: Path, tmp_path: Path
) -> None:
    loop = rl(
        folder, tmp_path / "run", "ppo", rewards=REWARDS, loraplus_lr_ratio=RATIO, use_dora=True
    ).setup()
    loop.create_optimizer()
    assert loop.create_optimizer() is loop.optimizer  # a second call does not split again
    names = {id(p): name for name, p in loop.model.named_parameters()}
    seen = {}
    for group in loop.optimizer.param_groups:
        for parameter in group["params"]:
            name = names.get(id(parameter), "critic")
            kind = next((k for k in ("lora_A", "lora_B", "magnitude") if k in name), "critic")
            seen.setdefault(kind, set()).add((group["lr"], group["weight_decay"]))
    assert seen == {
        "lora_A": {(RATE, 0.1)},
        "lora_B": {(RATE * RATIO, 0.1)},
        "magnitude": {(RATE * RATIO, 0.1)},
        "critic": {(RATE, 0.0)},
    }


def test_matrices_of_embeddings_count_as_the_others(folder: Path) -> None:
    adapter = LoraConfig(r=2, target_modules=["embed_tokens"])
    model: Any = get_peft_model(base_of(folder), adapter)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=RATE)
    learn_faster(optimizer, model, 2.0)
    shapes = [([tuple(p.shape) for p in g["params"]], g["lr"]) for g in optimizer.param_groups]
    assert shapes == [([(2, 261)], RATE), ([(32, 2)], 2 * RATE)]


# PiSSA


def test_pissa_begins_with_the_principal_components_of_the_model(
    folder: Path, tmp_path: Path
) -> None:
    trainer = sft(folder, tmp_path / "run", init_lora_weights="pissa")
    model: Any = trainer.setup().model
    base = base_of(folder)
    assert (logits(model) - logits(base)).abs().max() < 1e-6
    with model.disable_adapter():  # why that is no reference
        assert (logits(model) - logits(base)).abs().max() > 1e-3
    layer = model.base_model.model.model.layers[1].self_attn.v_proj
    weight = base.model.layers[1].self_attn.v_proj.weight.detach().double().numpy()
    left, values, right = np.linalg.svd(weight)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    taken = 2.0 * (b @ a).detach().double().numpy()  # alpha 8, rank 4
    assert np.abs(taken - left[:, :4] * values[:4] @ right[:4]).max() < 1e-6
    assert np.abs(layer.base_layer.weight.detach().numpy() - (weight - taken)).max() < 1e-6


@pytest.mark.parametrize(
    "settings",
    [
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "pissa_niter_1", "use_rslora": True},
        {"init_lora_weights": "pissa", "bias": "all"},
    ],
    ids=str,
)
def test_pissa_is_saved_as_an_adapter_of_the_model_it_began_with(
    folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    trainer = sft(folder, tmp_path / "run", target_modules="all-linear", **settings)
    run = trainer.train()
    live = logits(trainer.trainer.model)
    assert (logits(base_of(folder)) - live).abs().max() > 1e-3
    loaded = PeftModel.from_pretrained(base_of(folder), run.model)
    assert (logits(loaded) - live).abs().max() < 1e-5
    with loaded.disable_adapter():
        bias = 0 if settings.get("bias") is None else 1e-3
        assert (logits(loaded) - logits(base_of(folder))).abs().max() <= bias
    config = json.loads((run.model / "adapter_config.json").read_text())
    assert (config["r"], config["init_lora_weights"]) == (8, True)


def rl(folder: Path, output: Path, algorithm: str, data: str = "rows", **settings: Any) -> Any:
    given = {"model_name": str(folder / "model"), **COMMON, "max_completion_length": 4, **settings}
    return create_rl_trainer(
        dataset_name=str(folder / f"{data}.jsonl"),
        algorithm=algorithm,
        output_dir=str(output),
        **given,
    )


@pytest.mark.parametrize(
    "settings", [{}, {"precompute_ref_log_probs": True}], ids=["loaded", "precomputed"]
)
def test_dpo_on_pissa_starts_at_the_loss_of_equal_models(
    folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    run = rl(
        folder,
        tmp_path / "run",
        "dpo",
        "pairs",
        model_name=str(folder / "strong"),
        max_seq_length=64,
        init_lora_weights="pissa",
        **settings,
    ).train()
    first, second, *_ = losses(run)
    assert first == pytest.approx(math.log(2), abs=1e-6)
    assert abs(second - math.log(2)) > 1e-4


def test_pissa_and_a_reference_that_is_the_model_without_adapter_are_refused() -> None:
    given = {"model": "m", "dataset": "d", "init_lora_weights": "pissa", "rewards": REWARDS}
    for algorithm in ("grpo", "ppo", "rloo"):
        config = load_config({**given, "algorithm": algorithm, "kl_coef": 0.1}, kind="rl")
        with pytest.raises(ConfigError, match="switching the adapter off does not give the ref"):
            make_plan(config)
        make_plan(load_config({**given, "algorithm": algorithm, "kl_coef": 0.0}, kind="rl"))


def test_grpo_on_pissa_trains_without_a_reference(folder: Path, tmp_path: Path) -> None:
    trainer = rl(
        folder,
        tmp_path / "run",
        "grpo",
        rewards=REWARDS,
        kl_coef=0.0,
        num_generations=4,
        max_steps=2,
        init_lora_weights="pissa",
    )
    run = trainer.train()
    loaded = PeftModel.from_pretrained(base_of(folder), run.model)
    assert (logits(loaded) - logits(trainer.trainer.model)).abs().max() < 1e-5


@pytest.mark.parametrize(
    "settings",
    [
        {"init_lora_weights": "pissa_niter_1"},
        {"use_dora": True, "loraplus_lr_ratio": RATIO},
    ],
    ids=str,
)
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    more = {**settings, "max_steps": 4, "save_interval": 2, "lora_dropout": 0.1}
    whole = sft(folder, tmp_path / "whole", **more).train()
    sft(folder, tmp_path / "parts", **more, stop_after_steps=2).train()
    parts = sft(folder, tmp_path / "parts", **more).train(resume=True)
    expected = load_file(whole.model / "adapter_model.safetensors")
    found = load_file(parts.model / "adapter_model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert losses(parts) == losses(whole)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"init_lora_weights": "pisa"}, r"there is no 'pisa'\n *did you mean 'pissa'"),
        ({"init_lora_weights": "pissa_niter_0"}, "there is no 'pissa_niter_0'"),
        ({"init_lora_weights": "false"}, "starts from a random update"),
        ({"init_lora_weights": "pissa", "use_dora": True}, "model.use_dora: with PiSSA"),
        (
            {"init_lora_weights": "pissa", "quantization": {"load_in_4bit": True}},
            "principal components of quantized weights",
        ),
        ({"loraplus_lr_ratio": 0}, "greater than 0"),
        ({"loraplus_lr_ratio": 2, "optimizer": "lomo"}, "'lomo' has one learning rate for all"),
        ({"peft_enabled": False, "use_dora": True}, "model.use_dora.*`model.peft_enabled` is true"),
        ({"peft_enabled": False, "loraplus_lr_ratio": 2}, "model.loraplus_lr_ratio"),
    ],
    ids=str,
)
def test_what_an_adapter_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    given = {"model": "m", "dataset": "d", "peft_enabled": True, "backend": "trl", **settings}
    with pytest.raises(ConfigError, match=said):
        make_plan(load_config(given, kind="sft"))


@pytest.mark.parametrize(
    ("release", "device", "settings", "said"),
    [
        ("0.46.1", "cpu", {}, "bitsandbytes 0.46.1 lacks kernels for a CPU"),
        ("0.50.2", "mps", {}, "bitsandbytes does not train on this device: Apple GPU"),
        ("0.50.2", "cpu", {"use_dora": True}, "peft cannot read the 8-bit weights"),
        ("0.50.2", "cpu", {}, None),
        ("0.46.1", "cuda", {"use_dora": True}, None),
    ],
)
def test_quantized_weights_need_what_reads_them_here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    release: str,
    device: str,
    settings: dict[str, Any],
    said: str | None,
) -> None:
    (tmp_path / "bitsandbytes.py").touch()
    (tmp_path / f"bitsandbytes-{release}.dist-info").mkdir()
    metadata = f"Metadata-Version: 2.1\nName: bitsandbytes\nVersion: {release}\n"
    (tmp_path / f"bitsandbytes-{release}.dist-info/METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(str(tmp_path))
    given = {"model": "m", "dataset": "d", "backend": "trl", "peft_enabled": True, **settings}
    config = load_config({**given, "quantization": {"load_in_8bit": True}}, kind="sft")
    machine = Hardware(device, "Apple GPU" if device == "mps" else device.upper())
    if said is None:
        make_plan(config, hardware=machine)
        return
    with pytest.raises(ConfigError, match=said):
        make_plan(config, hardware=machine)
