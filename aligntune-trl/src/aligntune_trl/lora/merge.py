"""Merges a LoRA adapter into the model that it was trained on, and writes a whole model.

The sum is made in float32 and rounded once, to the number format that is asked for. Nothing is
there under the name of the output before all of it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import RunError, did_you_mean
from aligntune.run.files import reported_errors
from aligntune_trl.backend import is_path
from aligntune_trl.lora.adapters import Adapter, find_adapter

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["DTYPES", "Merged", "merge"]

DTYPES = {"auto": None, "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_LOADERS = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
}
# What a folder that may be replaced holds: a model and its tokenizer, and nothing of anybody else.
_MODEL_FILE = re.compile(
    r"(generation_|tokenizer_|preprocessor_)?config\.json|model.*\.safetensors(\.index\.json)?|"
    r"tokenizer\.(json|model)|(special_tokens_map|added_tokens|vocab)\.json|(vocab|merges)\.txt|"
    r"chat_template\.(jinja|json)|additional_chat_templates|(configuration|modeling)_\w+\.py"
)
_BROKEN = (OSError, ValueError, RuntimeError, KeyError)  # what libraries raise for broken files


@dataclass(frozen=True)
class Merged:
    """What was merged into what, and where it is.

    `dtype`: number format of the weights. `quantized`: whether training saw the base quantized.
    """

    output: Path
    adapter: Path
    base: str
    dtype: str
    quantized: bool = False


def merge(
    source: str | Path,
    output: str | Path,
    *,
    base: str | Path | None = None,
    dtype: str = "auto",
    overwrite: bool = False,
    trust_remote_code: bool = False,
) -> Merged:
    """Merge an adapter into its base and write the whole model, with its tokenizer, to a folder.

    Args:
        source: a run directory, its model folder, a checkpoint, or another folder of an adapter.
        output: the folder to write.
        base: the model to merge into; unset, the one that the adapter names.
        dtype: `fp32`, `bf16`, `fp16`, or `auto`: that of the base.
        overwrite: replace a model that is at `output`.
        trust_remote_code: run Python code that comes with the base.

    Raises:
        RunError: if there is no adapter, its base is not there, is quantized or does not fit, or
            something is in the way of the output.
    """
    if dtype not in DTYPES:
        hint = did_you_mean(dtype, DTYPES) or f"there are: {', '.join(DTYPES)}"
        raise RunError(f"there is no dtype {dtype!r}; {hint}")
    adapter = find_adapter(Path(source).expanduser(), None if base is None else str(base))
    target = Path(output).expanduser()
    _check_target(target, adapter, overwrite)
    options = {"trust_remote_code": trust_remote_code, **adapter.options}
    model, written = _merged(adapter, DTYPES[dtype], options)
    tokenizer = _tokenizer(adapter, options)
    with _written_aside(target) as aside:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
    return Merged(target, adapter.folder, adapter.base, written, adapter.quantized)


def _merged(
    adapter: Adapter, dtype: str | None, options: dict[str, Any]
) -> tuple[PreTrainedModel, str]:
    """The merged model, and its number format."""
    import torch
    from peft import PeftModel

    model: Any = _load_base(adapter, options)
    stored = str(model.config.dtype or "float32").removeprefix("torch.")
    if adapter.touches_embeddings:
        _untie(model)
    with tempfile.TemporaryDirectory() as scratch:
        folder = adapter.on_base(Path(scratch))
        try:
            adapted: Any = PeftModel.from_pretrained(model.float(), folder)
            merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
        except _BROKEN as error:
            raise RunError(f"{adapter.folder} does not fit on {adapter.base!r}: {error}") from error
    wanted = dtype or stored
    return merged.to(getattr(torch, wanted)), wanted


def _load_base(adapter: Adapter, options: dict[str, Any]) -> PreTrainedModel:
    import transformers

    task = adapter.config.get("task_type") or "CAUSAL_LM"
    if task not in _LOADERS:
        raise RunError(f"{adapter.folder} is for models of the kind {task}, which merge lacks")
    hint = "where the base is elsewhere, name it with --base (Python: base=...)"
    try:
        config = transformers.AutoConfig.from_pretrained(adapter.base, **options)
        if getattr(config, "quantization_config", None) is not None:
            raise RunError(
                f"the weights of {adapter.base!r} are quantized; name the model that they were "
                "made from with --base (Python: base=...)"
            )
        for name, value in adapter.labels.items():
            setattr(config, name, value)
        loader: Any = getattr(transformers, _LOADERS[task])
        # In the format in which it is stored, which is what `auto` then means.
        model: PreTrainedModel = loader.from_pretrained(
            adapter.base, config=config, dtype="auto", **options
        )
    except _BROKEN as error:
        said = str(error).strip().partition("\n")[0]
        if is_path(adapter.base) and not Path(adapter.base).exists():
            said = "there is no such folder"
        raise RunError(f"the base {adapter.base!r} cannot be loaded: {said}; {hint}") from error
    return model


def _untie(model: Any) -> None:
    """Give input and output embeddings weights of their own: the adapter changes one of them."""
    import torch

    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    if outputs is None or outputs.weight is not inputs.weight:
        return
    outputs.weight = torch.nn.Parameter(outputs.weight.detach().clone())
    model.config.tie_word_embeddings = False
    model.all_tied_weights_keys = {}


def _tokenizer(adapter: Adapter, options: dict[str, Any]) -> Any:
    """The adapter's own tokenizer, with the chat template it was trained with; else the base's."""
    from transformers import AutoTokenizer

    own = any(adapter.folder.glob("tokenizer*"))
    source = str(adapter.folder) if own else adapter.base
    try:
        return AutoTokenizer.from_pretrained(source, **({} if own else options))
    except _BROKEN as error:
        raise RunError(f"the tokenizer of {source} cannot be loaded: {error}") from error


def _check_target(target: Path, adapter: Adapter, overwrite: bool) -> None:
    """Refuse to write over what is there, or over what is read."""
    for read in (adapter.folder, Path(adapter.base).expanduser()):
        if read.exists() and target.resolve() in (read.resolve(), *read.resolve().parents):
            raise RunError(f"{target} holds {read}, which is to be merged; choose another --output")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if target.is_file():
        raise RunError(f"{target} is a file; choose another --output")
    foreign = [path.name for path in target.iterdir() if not _MODEL_FILE.fullmatch(path.name)]
    if foreign:
        raise RunError(
            f"{target} holds {', '.join(sorted(foreign)[:3])}, which is no part of a model; choose "
            "another --output"
        )
    if not overwrite:
        raise RunError(
            f"{target} already holds a model; replace it with --overwrite (Python: "
            "overwrite=True), or choose another --output"
        )


@contextmanager
def _written_aside(target: Path) -> Iterator[Path]:
    """A folder beside `target`, which takes its place once all is written."""
    aside = target.parent / f".{target.name}.{os.getpid()}.partial"
    old = target.parent / f".{target.name}.{os.getpid()}.old"
    with reported_errors(f"write {target}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
    try:
        yield aside
        _check_written(aside)
        with reported_errors(f"write {target}"):
            if target.exists():
                target.rename(old)
            aside.rename(target)
    finally:
        for leftover in (aside, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _check_written(folder: Path) -> None:
    json.loads((folder / "config.json").read_text(encoding="utf-8"))
