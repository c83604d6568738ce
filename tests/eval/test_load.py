"""Models, adapters, and folders that are neither."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from aligntune.errors import EvaluationError
from aligntune_eval.models.load import load_model, precision_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def saved(tmp_path: Path, model: Any, tokenizer: Any) -> Path:
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_loads_in_the_precision_asked_for(saved: Path) -> None:
    loaded = load_model(saved, device="cpu")
    assert loaded.model.dtype == torch.float32
    assert not loaded.model.training
    assert loaded.tokenizer.eos_token == "<|end|>"
    assert load_model(saved, precision="bf16", device="cpu").model.dtype == torch.bfloat16


def test_an_adapter_loads_on_its_base(saved: Path, tmp_path: Path, model: Any) -> None:
    base = copy.deepcopy(model)
    base.config._name_or_path = base.name_or_path = str(saved)
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"]))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    tuned.save_pretrained(tmp_path / "adapter")
    loaded = load_model(tmp_path / "adapter", device="cpu")
    assert loaded.base == str(saved)
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        assert torch.allclose(loaded.model(ids).logits, tuned(ids).logits, atol=1e-6)
    assert loaded.tokenizer.eos_token == "<|end|>"


def test_a_checkpoint_whose_adapter_is_for_other_weights_is_refused(
    saved: Path, tmp_path: Path
) -> None:
    adapter = {"base_model_name_or_path": str(saved), "init_lora_weights": "pissa"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    (tmp_path / "pissa_start.safetensors").touch()
    with pytest.raises(EvaluationError, match=r"aligntune merge .* --output FOLDER"):
        load_model(tmp_path)


def test_what_is_no_model_is_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="there is no folder"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(EvaluationError, match=r"holds no model .*these folders in it do: .*model"):
        load_model(tmp_path)
    with pytest.raises(EvaluationError, match="is a file"):
        load_model(saved / "config.json")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    with pytest.raises(EvaluationError, match="cannot be loaded"):
        load_model(tmp_path / "broken")
    (tmp_path / "orphan").mkdir()
    orphan = {"base_model_name_or_path": str(tmp_path / "gone"), "peft_type": "LORA"}
    (tmp_path / "orphan" / "adapter_config.json").write_text(json.dumps(orphan))
    with pytest.raises(EvaluationError, match=r"base model of the adapter .*no folder .*gone"):
        load_model(tmp_path / "orphan")


def test_a_misspelt_folder_may_be_a_hub_name(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    with pytest.raises(EvaluationError, match=r"modell is no local folder \(did you mean 'model'"):
        load_model("modell")


def cut_off(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def test_a_model_that_lacks_weights_is_refused(saved: Path) -> None:
    """The library gives them random values; a classifier, which has no head, is such a model."""
    path = saved / "model.safetensors"
    weights = load_file(path)
    del weights["lm_head.weight"], weights["model.norm.weight"]
    save_file(weights, path, {"format": "pt"})
    said = r"lacks weights of Qwen3ForCausalLM: lm_head\.weight and 1 more; save the whole model"
    with pytest.raises(EvaluationError, match=said):
        load_model(saved, device="cpu")


def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    path = saved / "model.safetensors"
    weights = load_file(path)
    weights["lm_head.weight"] = weights["lm_head.weight"][:200].clone()
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(EvaluationError, match="cannot be loaded"):
        load_model(saved, device="cpu")


def test_weights_that_are_cut_off_are_refused(saved: Path) -> None:
    cut_off(saved / "model.safetensors")
    with pytest.raises(EvaluationError, match="model cannot be loaded"):
        load_model(saved, device="cpu")


def test_an_adapter_that_lacks_weights_is_refused(saved: Path, tmp_path: Path, model: Any) -> None:
    base = copy.deepcopy(model)
    base.config._name_or_path = base.name_or_path = str(saved)
    folder = tmp_path / "adapter"
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(folder)
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({f"other.{name}": value for name, value in weights.items()}, path)
    with pytest.raises(EvaluationError, match=r"adapter .* lacks weights: .*q_proj"):
        load_model(folder, device="cpu")
    cut_off(path)
    with pytest.raises(EvaluationError, match=r"the adapter .* cannot be loaded"):
        load_model(folder, device="cpu")


def test_a_model_without_a_tokenizer_is_an_error(tmp_path: Path, model: Any) -> None:
    model.save_pretrained(tmp_path)
    with pytest.raises(EvaluationError, match="holds no tokenizer"):
        load_model(tmp_path, device="cpu")


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="unknown precision 'fp8'; there are: auto, fp32"):
        precision_of("fp8")
