"""Merged models say what their adapters said; what cannot be merged, or is in the way, is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)
from typer.testing import CliRunner

from aligntune import create_sft_trainer
from aligntune.errors import ConfigError, RunError
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_trl.lora.merge import merge
from aligntune_trl.plugin import aligntune_cli_commands

TOKENS = torch.arange(20, 44).reshape(2, 12)
LOADERS: dict[str, Any] = {
    "CAUSAL_LM": AutoModelForCausalLM,
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("merge") / "base")


def make_adapter(base: Path, folder: Path, task: Any = "CAUSAL_LM", **settings: Any) -> Any:
    """Save an adapter with random weights, and return its logits."""
    labels = {} if task == "CAUSAL_LM" else {"num_labels": 3}
    model = LOADERS[task].from_pretrained(base, dtype=torch.float32, **labels)
    model.config.pad_token_id = 0
    settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], **settings}
    adapted: Any = get_peft_model(model, LoraConfig(task_type=task, **settings))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    adapted.save_pretrained(folder)
    with torch.no_grad():
        return adapted.eval()(TOKENS).logits


def logits_of(folder: Path, task: str = "CAUSAL_LM") -> torch.Tensor:
    model = LOADERS[task].from_pretrained(folder).eval()
    with torch.no_grad():
        found: torch.Tensor = model(TOKENS).logits
    return found


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("CAUSAL_LM", {}),
        ("CAUSAL_LM", {"use_dora": True}),
        ("CAUSAL_LM", {"use_rslora": True, "r": 9}),
        ("CAUSAL_LM", {"init_lora_weights": "pissa"}),
        ("CAUSAL_LM", {"bias": "all"}),
        ("CAUSAL_LM", {"bias": "lora_only", "use_dora": True}),
        ("CAUSAL_LM", {"target_modules": ["q_proj", "lm_head"]}),
        ("CAUSAL_LM", {"target_modules": ["q_proj", "embed_tokens"]}),
        ("CAUSAL_LM", {"modules_to_save": ["embed_tokens"]}),
        ("CAUSAL_LM", {"modules_to_save": ["norm"], "target_modules": "all-linear"}),
        ("SEQ_CLS", {}),
        ("TOKEN_CLS", {"use_dora": True}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_merged_model_has_the_logits_of_the_adapter(
    base: Path, tmp_path: Path, task: str, settings: dict[str, Any]
) -> None:
    expected = make_adapter(base, tmp_path / "adapter", task, **settings)
    merge(tmp_path / "adapter", tmp_path / "merged")
    found = logits_of(tmp_path / "merged", task)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-5
    if task == "CAUSAL_LM":
        assert (logits_of(base) - expected).abs().max() > 1e-2


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with PiSSA by chance, whose base is without components that nothing can find again."""
    folder = tmp_path_factory.mktemp("run")
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    return (
        create_sft_trainer(
            model_name=str(base),
            dataset_name=str(folder / "rows.jsonl"),
            backend="trl",
            output_dir=str(folder / "run"),
            max_steps=2,
            save_interval=2,
            precision="fp32",
            loggers="none",
            max_seq_length=32,
            learning_rate=3e-2,
            lr_scheduler="constant",
            peft_enabled=True,
            lora_rank=4,
            init_lora_weights="pissa_niter_1",
            target_modules="all-linear",
            chat_template="{{ messages[0]['content'] }}!",
        )
        .train()
        .path
    )


def test_a_run_its_model_and_its_last_checkpoint_are_merged_alike(
    base: Path, run: Path, tmp_path: Path
) -> None:
    expected = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), run / "model"
    )(TOKENS).logits
    assert (logits_of(base) - expected).abs().max() > 1e-2
    for number, source in enumerate((run, run / "model", run / "checkpoints/checkpoint-2")):
        done = merge(source, tmp_path / str(number))
        assert (done.base, done.dtype, done.quantized) == (str(base), "float32", False)
        assert (logits_of(done.output) - expected).abs().max() < 1e-5
    (run / "checkpoints/checkpoint-2/pissa_start.safetensors").rename(tmp_path / "start")
    with pytest.raises(
        RunError, match=r"found by chance, and pissa_start.safetensors.* is missing"
    ):
        merge(run / "checkpoints/checkpoint-2", tmp_path / "no")
    (tmp_path / "start").rename(run / "checkpoints/checkpoint-2/pissa_start.safetensors")


def test_a_merged_classifier_knows_its_labels(base: Path, tmp_path: Path) -> None:
    kinds = {"pos": "good", "neg": "bad"}
    rows = [
        {"text": f"{word} {n}", "label": kind} for kind, word in kinds.items() for n in range(8)
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    trainer = create_sft_trainer(
        algorithm="text_classification",
        model_name=str(base),
        dataset_name=str(tmp_path / "rows.jsonl"),
        backend="trl",
        output_dir=str(tmp_path / "run"),
        max_steps=2,
        save_interval=2,
        num_labels=2,
        precision="fp32",
        loggers="none",
        max_seq_length=32,
        learning_rate=1e-2,
        peft_enabled=True,
        init_lora_weights="pissa",
    )
    run = trainer.train()
    with torch.no_grad():
        expected = trainer.trainer.model.eval()(TOKENS).logits
    for source in (run.path, run.checkpoints / "checkpoint-2"):
        merge(source, tmp_path / "merged", overwrite=True)
        assert (logits_of(tmp_path / "merged", "SEQ_CLS") - expected).abs().max() < 1e-5
        names = json.loads((tmp_path / "merged/config.json").read_text())["id2label"]
        assert names == {"0": "neg", "1": "pos"}


def test_what_is_written_is_a_whole_model_in_the_format_that_is_asked_for(
    base: Path, run: Path, tmp_path: Path
) -> None:
    merge(run, tmp_path / "merged", dtype="bf16")
    weights = load_file(tmp_path / "merged/model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    assert set(weights) == set(load_file(base / "model.safetensors"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.chat_template == "{{ messages[0]['content'] }}!"
    there = {path.name for path in (tmp_path / "merged").iterdir()}
    assert {"config.json", "generation_config.json", "tokenizer.json"} <= there
    assert not [name for name in there if "adapter" in name]


def test_nothing_is_written_over_unless_it_is_a_model_and_that_is_asked_for(
    base: Path, tmp_path: Path
) -> None:
    make_adapter(base, tmp_path / "adapter")
    output = tmp_path / "merged"
    merge(tmp_path / "adapter", output)
    with pytest.raises(RunError, match="already holds a model; replace it with --overwrite"):
        merge(tmp_path / "adapter", output)
    expected = make_adapter(base, tmp_path / "other", use_rslora=True)
    merge(tmp_path / "other", output, overwrite=True)
    assert (logits_of(output) - expected).abs().max() < 1e-5
    (output / "mine.txt").write_text("of somebody else")
    with pytest.raises(RunError, match=r"merged holds mine.txt, which is no part of a model"):
        merge(tmp_path / "adapter", output, overwrite=True)
    (output / "mine.txt").unlink()
    for read in (base, tmp_path / "adapter", tmp_path):
        with pytest.raises(RunError, match=r"which is to be merged; choose another --output"):
            merge(tmp_path / "adapter", read, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "merged", "other"]


def test_a_merge_that_fails_leaves_what_was_there(base: Path, tmp_path: Path) -> None:
    make_adapter(base, tmp_path / "adapter")
    merge(tmp_path / "adapter", tmp_path / "merged")
    before = logits_of(tmp_path / "merged")
    (tmp_path / "adapter/tokenizer.json").write_text("{")
    with pytest.raises(RunError, match=r"tokenizer of .*adapter cannot be loaded"):
        merge(tmp_path / "adapter", tmp_path / "merged", overwrite=True)
    assert torch.equal(logits_of(tmp_path / "merged"), before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "merged"]


def test_what_cannot_be_merged_is_told(base: Path, run: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    make_adapter(base, adapter)

    def refused(said: str, source: Path = adapter, **arguments: Any) -> None:
        with pytest.raises(RunError, match=said):
            merge(source, tmp_path / "merged", **arguments)
        assert not (tmp_path / "merged").exists()

    refused("there is no folder", tmp_path / "nowhere")
    refused("holds a whole model, and no adapter", base)
    refused("holds no adapter", tmp_path)
    refused("there is no dtype 'bf61'; did you mean 'bf16'", dtype="bf61")
    refused(
        "base '/nowhere' cannot be loaded: there is no such folder; .*name it with --base",
        base="/nowhere",
    )
    small = make_model(tmp_path / "small", hidden_size=16)
    refused("adapter does not fit on .*small", base=small)
    quantized = make_model(tmp_path / "quantized")
    edit_json(quantized / "config.json", quantization_config={"quant_method": "bitsandbytes"})
    refused("are quantized; name the model that they were made from", base=quantized)
    edit_json(adapter / "adapter_config.json", base_model_name_or_path=None)
    refused("names no base: name it with --base")
    edit_json(adapter / "adapter_config.json", peft_type="IA3")
    refused("of the kind IA3, not LORA")
    (adapter / "adapter_config.json").write_text("{")
    refused("adapter_config.json cannot be read")
    (run / "model").rename(tmp_path / "model")
    refused("holds no adapter .*its last checkpoint is .*checkpoint-2", run)
    (tmp_path / "model").rename(run / "model")


def test_the_command_says_what_it_did(base: Path, tmp_path: Path) -> None:
    make_adapter(base, tmp_path / "adapter")
    app = typer.Typer()
    app.callback()(lambda: None)
    aligntune_cli_commands(app)
    common = ["merge", str(tmp_path / "adapter"), "--output"]
    result = CliRunner().invoke(app, [*common, str(tmp_path / "one")], catch_exceptions=False)
    expected = f"{tmp_path / 'one'}: {tmp_path / 'adapter'} in {base}, float32"
    assert result.stdout.replace("\n", "") == expected
    more = [*common, str(tmp_path / "two"), "--dtype", "fp16", "--base", str(base), "--json"]
    result = CliRunner().invoke(app, more, catch_exceptions=False)
    assert json.loads(result.stdout) == {
        "output": str(tmp_path / "two"),
        "adapter": str(tmp_path / "adapter"),
        "base": str(base),
        "dtype": "float16",
        "quantized": False,
    }


def test_a_run_that_starts_from_an_adapter_is_told_the_command(base: Path, tmp_path: Path) -> None:
    make_adapter(base, tmp_path / "adapter")
    write_jsonl(tmp_path / "rows.jsonl", addition_rows(4))
    trainer = create_sft_trainer(
        model_name=str(tmp_path / "adapter"),
        dataset_name=str(tmp_path / "rows.jsonl"),
        backend="trl",
        output_dir=str(tmp_path / "run"),
    )
    with pytest.raises(ConfigError, match=r"aligntune merge .*adapter --output FOLDER"):
        trainer.train()
