"""Where a model comes from: what was given, the folder that holds it, and what identifies it.

All that can be known without loading weights is found out here, so that a mistake in the last of
five models shows before the first one loads.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aligntune.errors import EvaluationError
from aligntune.redact import redact
from aligntune_eval.models.load import LoadedModel, check_model, folder_of_run, what_it_is

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ModelSource", "find_models", "libraries"]

_SMALL = 64 * 2**20  # bytes; of larger files the ends are hashed, with size and time
_END = 2**20
_WEIGHTS = ("model", "pytorch_model", "adapter_model")
_NO_RESULT = ("training_args", "trainer_state", "optimizer", "scheduler", "rng_state", "README")
_RESULTS = re.compile(r"results_.*\.json|\w+_results\.json")  # ours, lm-eval's, the Trainer's
_TOKENIZER = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "chat_template")


@dataclass(frozen=True)
class ModelSource:
    """One model as it was given.

    `name`: what results call it. `place`: the folder or hub name that is loaded. `base`: the base
    model of an adapter. `parts`: what identifies it, by what it is; empty for a loaded model, of
    which nothing is kept or read back. `loaded`: the model, where it was given loaded.
    """

    name: str
    place: str
    base: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    loaded: LoadedModel | None = None


def find_models(models: Sequence[str | Path | LoadedModel]) -> list[ModelSource]:
    """Check every model as far as that goes without loading one.

    Raises:
        EvaluationError: if there is none, one holds no model, or two have one name.
    """
    if isinstance(models, (str, Path, LoadedModel)):
        raise EvaluationError(f"models is a list, also of one model: [{_said(models)!r}]")
    if not models:
        raise EvaluationError("no models are given")
    found = [_source(model) for model in models]
    for place, source in enumerate(found):
        if any(other.name == source.name for other in found[:place]):
            raise EvaluationError(f"the model {source.name} is given twice")
    return found


def _said(model: str | Path | LoadedModel) -> str:
    return redact(model.source if isinstance(model, LoadedModel) else str(model))


def _source(model: str | Path | LoadedModel) -> ModelSource:
    if isinstance(model, LoadedModel):
        return ModelSource(redact(model.source), model.source, model.base, loaded=model)
    if not isinstance(model, (str, Path)):
        raise EvaluationError(
            f"a {type(model).__name__} is no model here: give a folder or a hub name, or, of a "
            'model in memory, LoadedModel(model, tokenizer, "a name for it")'
        )
    given = str(model)
    place = folder_of_run(given)
    base = check_model(place)
    parts = _parts(place)
    if base is not None:
        parts |= {f"base model: {name}": value for name, value in _parts(base).items()}
        parts["peft"] = importlib.metadata.version("peft")
    return ModelSource(redact(_name(given)), place, base, parts)


def _name(given: str) -> str:
    """One name for a folder, whether it is written `model`, `./model` or `model/`."""
    folder = Path(given)
    if not folder.expanduser().is_dir():
        return given
    # The folder of results is called like the model, and must not be `..`.
    return str(folder if folder.name not in ("", "..") else folder.resolve())


def _parts(place: str) -> dict[str, str]:
    folder = Path(place).expanduser()
    if not folder.is_dir():
        return {"commit": _commit(place)}
    kinds: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and (kind := _kind(path.name)):
            kinds.setdefault(kind, []).append(f"{path.name} {_digest(path)}")
    return {kind: _hash("\n".join(lines).encode()) for kind, lines in kinds.items()}


def _kind(name: str) -> str:
    """What a file of a model folder is, or nothing where no result depends on it."""
    if name.startswith(_NO_RESULT) or _RESULTS.fullmatch(name):
        return ""
    if name.endswith((".safetensors", ".gguf", ".index.json")):
        return "weights"
    if name.endswith((".bin", ".pt")) and name.startswith(_WEIGHTS):
        return "weights"
    if name.startswith(_TOKENIZER) or name.endswith((".model", ".jinja")):
        return "tokenizer"
    return "configuration" if name.endswith((".json", ".py")) else ""


def _digest(path: Path) -> str:
    """A digest of a file: of all of it, or of its size, time and ends where it is large."""
    about = path.stat()
    with path.open("rb") as file:
        if about.st_size <= _SMALL:
            return hashlib.file_digest(file, "sha256").hexdigest()
        start = file.read(_END)
        file.seek(-_END, 2)
        ends = start + file.read(_END)
    return _hash(f"{about.st_size} {about.st_mtime_ns}".encode() + ends)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _commit(name: str) -> str:
    """The commit of a model on the hub that would be loaded now.

    Raises:
        EvaluationError: if there is no such model, or the hub cannot be reached.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for file in ("config.json", "adapter_config.json"):
        try:
            return Path(hf_hub_download(name, file)).parent.name
        except LocalEntryNotFoundError as error:
            raise EvaluationError(
                f"{what_it_is(name)} cannot be loaded: the hub cannot be reached, and the model is "
                "not in its cache"
            ) from error
        except EntryNotFoundError:
            continue
        except (OSError, ValueError) as error:
            said = str(error).strip().splitlines()[0]
            raise EvaluationError(f"{what_it_is(name)} cannot be loaded: {said}") from error
    raise EvaluationError(f"{name} on the hub has neither config.json nor adapter_config.json")


def libraries() -> dict[str, str]:
    """The versions that numbers can depend on."""
    names = ("aligntune-core", "aligntune-eval", "torch", "transformers")
    return {name: importlib.metadata.version(name) for name in names}
