"""Loads a saved model to evaluate: a full model or a LoRA adapter, with its tokenizer."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from aligntune.errors import EvaluationError, UnavailableError, did_you_mean
from aligntune.redact import redact
from aligntune_eval.models.devices import device_of

__all__ = [
    "LoadedModel",
    "Precision",
    "check_model",
    "folder_of_run",
    "load_model",
    "load_tokenizer",
    "precision_of",
    "what_it_is",
]

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode on its device, and its tokenizer.

    `source`: where it came from. `base`: the base model of an adapter, else None.
    """

    model: Any
    tokenizer: Any
    source: str
    base: str | None = None


def load_model(
    source: str | Path,
    *,
    precision: Precision = "auto",
    device: str | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load a causal language model from a local folder or the hub.

    Args:
        source: a folder with `config.json` (a model) or `adapter_config.json` (an adapter, whose
            base model is loaded first), the directory of a training run, or the name of a model on
            the hub.
        precision: number format of the weights; `auto` is the one they were saved in.
        device: a torch device; unset, the first GPU if there is one, else the CPU.
        trust_remote_code: run Python code that comes with the model.

    Raises:
        EvaluationError: if there is no such folder or device, it holds no model, or it cannot be
            loaded.
        UnavailableError: if it is an adapter and peft is not installed.
    """
    place = folder_of_run(str(source))
    base = check_model(place)
    device = device_of(device)
    options = {"trust_remote_code": trust_remote_code}
    model = _from_pretrained(base or place, precision, options)
    if base is not None:
        model = _with_adapter(model, place)
    model.eval().to(device)
    tokenizer = load_tokenizer(place, base, trust_remote_code=trust_remote_code)
    return LoadedModel(model, tokenizer, str(source), base)


def folder_of_run(source: str) -> str:
    """The folder of the trained model, where `source` is the directory of a training run.

    Raises:
        EvaluationError: if the run has saved no model; names its checkpoints.
    """
    folder = Path(source).expanduser()
    if not (folder / "run.json").is_file() or (folder / "config.json").is_file():
        return source
    model = folder / "model"
    if any((model / name).is_file() for name in ("config.json", "adapter_config.json")):
        return str(model)
    checkpoints = sorted(str(path) for path in (folder / "checkpoints").glob("checkpoint-*"))
    hint = f"; its checkpoints can be evaluated: {', '.join(checkpoints)}" if checkpoints else ""
    raise EvaluationError(f"the run {source} has saved no model in {model}{hint}")


def check_model(source: str) -> str | None:
    """Refuse what cannot be a model, from its files alone; the base of an adapter, else None.

    Raises:
        EvaluationError: if there is no such folder, or it holds no model.
        UnavailableError: if it is an adapter and peft is not installed.
    """
    adapter = _adapter_config(source)
    if adapter is None:
        _check_folder(source, "the model")
        return None
    if (Path(source).expanduser() / "pissa_start.safetensors").is_file():
        raise EvaluationError(
            f"{source} is a checkpoint of PiSSA, whose adapter is for a changed base model; make "
            f"one model of them: aligntune merge {source} --output FOLDER"
        )
    if importlib.util.find_spec("peft") is None:
        raise UnavailableError(
            f"{source} is an adapter, and peft is not installed: pip install peft"
        )
    base = adapter.get("base_model_name_or_path")
    if not isinstance(base, str):
        raise EvaluationError(f"{source}/adapter_config.json does not name its base model")
    _check_folder(base, f"the base model of the adapter {source}")
    return base


def precision_of(text: str) -> Precision:
    """`text` as a precision.

    Raises:
        EvaluationError: if it is none.
    """
    for known in get_args(Precision):
        if text == known:
            return cast("Precision", known)
    raise EvaluationError(f"unknown precision {text!r}; there are: {', '.join(_DTYPES)}")


def _adapter_config(source: str) -> dict[str, Any] | None:
    path = Path(source).expanduser() / "adapter_config.json"
    if not path.is_file():
        return None
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise EvaluationError(f"{path} is no JSON: {error}") from error
    return read


def _check_folder(source: str, what: str) -> None:
    folder = Path(source).expanduser()
    if not folder.exists():
        if _HUB_NAME.fullmatch(source) and not source.startswith("."):
            return
        raise EvaluationError(f"{what}: there is no folder {redact(source)}")
    if not folder.is_dir():
        raise EvaluationError(f"{what}: {source} is a file; give the folder that holds the model")
    if (folder / "config.json").is_file():
        return
    inside = sorted(
        str(path.parent)
        for pattern in ("*/config.json", "*/adapter_config.json")
        for path in folder.glob(pattern)
    )
    hint = f"; these folders in it do: {', '.join(inside)}" if inside else ""
    raise EvaluationError(
        f"{what}: {source} holds no model (neither config.json nor adapter_config.json){hint}"
    )


def _from_pretrained(source: str, precision: Precision, options: dict[str, Any]) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        made: Any = AutoModelForCausalLM.from_pretrained(
            source, dtype=_DTYPES[precision], output_loading_info=True, **options
        )
    except _unreadable() as error:
        raise EvaluationError(f"{what_it_is(source)} cannot be loaded: {error}") from error
    model, info = made
    # transformers gives random values to what the files lack, and only warns of it.
    if missing := sorted(info["missing_keys"]):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise EvaluationError(
            f"{what_it_is(source)} lacks weights of {type(model).__name__}: {missing[0]}{more}; "
            "save the whole model, and one that writes text (no classifier or reward model)"
        )
    return model


def _unreadable() -> tuple[type[Exception], ...]:
    """What is raised for files of weights that are cut off, damaged or of another shape."""
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    return OSError, ValueError, RuntimeError, EOFError, UnpicklingError, SafetensorError


def what_it_is(source: str) -> str:
    """The model as an error names it; a hub name may be a folder that is misspelt."""
    folder = Path(source).expanduser()
    if folder.exists():
        return f"the model {source}"
    near = [path.name for path in folder.parent.glob("*/")] if folder.parent.is_dir() else []
    hint = did_you_mean(folder.name, near)
    return f"{source} is no local folder{f' ({hint})' if hint else ''}, and as a hub name it"


def _with_adapter(model: Any, source: str) -> Any:
    import warnings

    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            # Without its weights an adapter changes nothing, and the base would be measured.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            return PeftModel.from_pretrained(model, source)
    except UserWarning as warning:
        said = str(warning)
        shown = said if len(said) < 300 else f"{said[:300]} ..."
        raise EvaluationError(f"the adapter {source} lacks weights: {shown}") from warning
    except _unreadable() as error:
        raise EvaluationError(f"the adapter {source} cannot be loaded: {error}") from error


def _has_tokenizer(source: str) -> bool:
    """Whether a folder holds a tokenizer, in any of the forms that transformers writes."""
    folder = Path(source).expanduser()
    return any(any(folder.glob(pattern)) for pattern in ("tokenizer*", "vocab.*", "*.model"))


def load_tokenizer(source: str, base: str | None = None, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model; of an adapter that has none, that of its base.

    Raises:
        EvaluationError: if there is none, or it cannot be loaded.
    """
    if base is not None and not _has_tokenizer(source):
        source = base
    # Without this, transformers makes an empty tokenizer of the model's own kind.
    if Path(source).expanduser().is_dir() and not _has_tokenizer(source):
        raise EvaluationError(f"{source} holds no tokenizer; save it beside the model")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"the tokenizer of {source} cannot be loaded: {error}") from error
