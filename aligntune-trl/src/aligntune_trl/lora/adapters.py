"""Finds the adapter that a run, a checkpoint or another folder holds, and says what it is for."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligntune.errors import RunError
from aligntune.run.paths import RunPaths
from aligntune_trl.lora.checks import is_pissa

__all__ = ["LABELS", "Adapter", "find_adapter"]

LABELS = "labels.json"  # beside the adapter of a classifier: what its labels are called, in order
_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_HEAD = re.compile(r"\.(score|classifier)(\.out_proj)?\.weight$")
_EMBEDDINGS = re.compile(r"\.(lm_head|embed_tokens|embed_out|wte|output_embeddings)\.")


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter in a folder.

    Attributes:
        folder: where `adapter_config.json` is.
        config: what that says.
        base: name or folder of the model that it is merged into.
        options: further arguments with which the base is loaded.
        labels: what the configuration of a base with a head must say.
        shapes: the shape of each of its weights.
        quantized: whether the run that trained it had the base quantized.
    """

    folder: Path
    config: dict[str, Any]
    base: str
    options: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    quantized: bool = False

    @property
    def touches_embeddings(self) -> bool:
        return any(_EMBEDDINGS.search(name) for name in self.shapes)

    def on_base(self, scratch: Path) -> Path:
        """A folder with the adapter as one of the base as it is stored.

        Args:
            scratch: an empty folder.

        Raises:
            RunError: if what PiSSA took out of the base is not known.
        """
        init = self.config.get("init_lora_weights")
        if not is_pissa(init):
            return self.folder
        from safetensors.torch import load_file

        from aligntune_trl.lora.pissa import START, on_original

        if (self.folder / START).is_file():
            for name in (_CONFIG, _WEIGHTS):
                shutil.copyfile(self.folder / name, scratch / name)
            on_original(scratch, load_file(self.folder / START))
            return scratch
        if init == "pissa":  # peft takes the same components out again
            return self.folder
        raise RunError(
            f"{self.folder} is for a model without components that {init} found by chance, and "
            f"{START}, which holds them, is missing"
        )


def find_adapter(source: Path, base: str | None = None) -> Adapter:
    """The adapter that a folder holds.

    Args:
        source: a run directory, its model folder, a checkpoint, or another folder of an adapter.
        base: what it is merged into; None for what it names.

    Raises:
        RunError: if there is none, or it is of another kind than LoRA.
    """
    folder = _folder(source)
    config = _read(folder / _CONFIG)
    if config.get("peft_type") != "LORA":
        raise RunError(f"{folder} is an adapter of the kind {config.get('peft_type')}, not LORA")
    shapes = _shapes(folder)
    named = base or config.get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise RunError(f"{folder / _CONFIG} names no base: name it with --base (Python: base=...)")
    run = _run_of(folder)
    model: dict[str, Any] = {} if run is None else run.get("model", {})
    options: dict[str, Any] = {}
    if base is None and (revision := config.get("revision") or model.get("revision")):
        options["revision"] = revision
    labels = _labels(config, shapes, folder)
    quantized = bool(model.get("quantization"))
    return Adapter(folder, config, named, options, labels, shapes, quantized)


def _folder(source: Path) -> Path:
    if not source.is_dir():
        raise RunError(f"there is no folder {source}")
    paths = RunPaths(source)
    for folder in (source, paths.model):
        if (folder / _CONFIG).is_file():
            return folder
    if (source / "config.json").is_file() or (paths.model / "config.json").is_file():
        raise RunError(f"{source} holds a whole model, and no adapter to merge into one")
    last = paths.last_checkpoint()
    hint = "" if last is None else f"; the run has not ended, and its last checkpoint is {last}"
    raise RunError(f"{source} holds no adapter ({_CONFIG} is missing){hint}")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise RunError(f"{path} holds no JSON object")
    return found


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    path = folder / _WEIGHTS
    if not path.is_file():
        raise RunError(f"{folder} holds no weights of its adapter ({_WEIGHTS} is missing)")
    try:
        with safe_open(path, framework="pt") as weights:
            return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _labels(
    config: dict[str, Any], shapes: dict[str, tuple[int, ...]], folder: Path
) -> dict[str, Any]:
    """The number of labels, which is that of the head that was trained, and their names."""
    if config.get("task_type") not in ("SEQ_CLS", "TOKEN_CLS"):
        return {}
    heads = [shape for name, shape in shapes.items() if _HEAD.search(name)]
    if not heads:
        raise RunError(f"{folder} holds no head that gives labels")
    for place in (folder, RunPaths(folder.parent.parent).model):  # of a run, if a checkpoint
        if (place / LABELS).is_file():
            names = json.loads((place / LABELS).read_text(encoding="utf-8"))
            return {
                "id2label": dict(enumerate(names)),
                "label2id": {name: number for number, name in enumerate(names)},
            }
    return {"num_labels": heads[-1][0]}


def _run_of(folder: Path) -> dict[str, Any] | None:
    """The configuration of the run that a folder is part of, if it is of one."""
    import yaml

    for parent in (folder.parent, folder.parent.parent):
        path = RunPaths(parent).config
        if RunPaths(parent).status.is_file() and path.is_file():
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else None
    return None
