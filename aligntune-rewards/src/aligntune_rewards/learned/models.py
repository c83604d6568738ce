"""Loads the model behind a reward, once, however many rewards of the process use it.

Nothing is made up where weights are missing: a classifier whose head is not among the saved weights
is refused, since transformers would fill it with random numbers.
"""

from __future__ import annotations

import importlib.util
import json
import re
import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aligntune.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EXTRA", "Kind", "Loaded", "Weights", "load"]

EXTRA = 'pip install "aligntune-rewards[models]"'
EMBEDDINGS = 'pip install "aligntune-rewards[embeddings]"'
Kind = Literal["classifier", "language model", "encoder", "embedder"]

_DTYPES = ("auto", "float32", "bfloat16", "float16")
_DEFAULT_POSITIONS = 2048


@dataclass(frozen=True)
class Weights:
    """Which model, and how it is loaded.

    `model`: a local folder or the name of a model on the hub. `revision`: branch, tag or commit on
    the hub. `device`: `"auto"` (a GPU if there is one), `"cpu"`, `"cuda"`, `"cuda:1"`. `dtype`:
    `"auto"` is the one the weights were saved in. `quantization`: keywords of transformers'
    `BitsAndBytesConfig`. `cache_dir`: where downloads are kept.

    Raises:
        ValueError: for a dtype or device that there is not.
    """

    model: str
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    quantization: Mapping[str, Any] = field(default_factory=dict)
    cache_dir: str | None = None

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("model is empty; it is a local folder or the name of a model")
        if self.dtype not in _DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; it is one of {', '.join(_DTYPES)}")
        if not re.fullmatch("auto|cpu|cuda(:[0-9]+)?", str(self.device)):
            raise ValueError(f"device is {self.device!r}; it is auto, cpu, cuda or cuda:<number>")

    @property
    def source(self) -> str:
        """The model as transformers takes it, which knows no `~`."""
        local = self.model.startswith("~")
        return str(Path(self.model).expanduser()) if local else self.model

    def key(self, kind: Kind) -> str:
        """The same for two that load the same."""
        options = dict(sorted(self.quantization.items()))
        given = (kind, self.model, self.revision, self.device, self.dtype, options, self.cache_dir)
        return json.dumps(given, default=str)


@dataclass(eq=False)
class Loaded:
    """A model in evaluation mode on its device, its tokenizer, and the most tokens it reads.

    `lock` is held while the tokenizer is used, which is not made for several threads.
    """

    model: Any
    tokenizer: Any
    positions: int
    lock: threading.RLock = field(default_factory=threading.RLock)


_loaded: weakref.WeakValueDictionary[str, Loaded] = weakref.WeakValueDictionary()


def load(weights: Weights, kind: Kind, said_by: str) -> Loaded:
    """The model that `weights` name; those in use already are shared.

    `said_by` names the reward in messages.

    Raises:
        UnavailableError: if torch, transformers or bitsandbytes is not installed.
        ConfigError: if there is no such model or device, or the model is not of this kind.
    """
    key = weights.key(kind)
    found = _loaded.get(key)
    if found is None:
        _loaded[key] = found = _load(weights, kind, said_by)
    return found


def _load(weights: Weights, kind: Kind, said_by: str) -> Loaded:
    try:
        import torch
        import transformers
    except ImportError as error:
        extra = EMBEDDINGS if kind == "embedder" else EXTRA
        raise UnavailableError(f"{said_by} uses a model and needs {error.name}: {extra}") from error
    if kind == "embedder" and importlib.util.find_spec("sentence_transformers") is None:
        raise UnavailableError(f"{said_by} needs sentence_transformers: {EMBEDDINGS}")
    device = _device(weights, said_by, cuda=torch.cuda.is_available())
    kept = None if weights.cache_dir is None else str(Path(weights.cache_dir).expanduser())
    where = {"revision": weights.revision or "main", "cache_dir": kept}
    more: dict[str, Any] = {"dtype": weights.dtype, "trust_remote_code": False, **where}
    if weights.quantization:
        more["quantization_config"] = _quantization(weights, said_by, device)
        more["device_map"] = {"": device}
    _check_folder(weights, said_by)
    if kind == "embedder":
        return _embedder(weights, said_by, device, more)
    auto: Any = {
        "classifier": transformers.AutoModelForSequenceClassification,
        "language model": transformers.AutoModelForCausalLM,
        "encoder": transformers.AutoModel,
    }[kind]
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(
            weights.source, trust_remote_code=False, **where
        )
        model, info = auto.from_pretrained(weights.source, output_loading_info=True, **more)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise _cannot_load(weights, said_by, error) from error
    _check_keys(info["missing_keys"], weights, kind, said_by)
    _pad(model, tokenizer, weights, said_by)
    tokenizer.truncation_side = "left"  # what was said last decides
    model.eval().requires_grad_(requires_grad=False)
    if not weights.quantization:
        model.to(device)
    return Loaded(model, tokenizer, _positions(model, tokenizer))


def _embedder(weights: Weights, said_by: str, device: str, more: dict[str, Any]) -> Loaded:
    """A model of sentence-transformers: it knows how it makes one vector of a text.

    Of an encoder that says nothing of that, the mean of its last hidden states is taken.
    """
    import transformers
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            weights.source,
            device=device,
            revision=more.pop("revision"),
            cache_folder=more.pop("cache_dir"),
            trust_remote_code=more.pop("trust_remote_code"),
            model_kwargs=more,
        )
        if (Path(weights.model).expanduser() / "config.json").is_file():
            # sentence-transformers would fill up what is missing, and not say so.
            _, info = transformers.AutoModel.from_pretrained(
                weights.source, output_loading_info=True, device_map="meta"
            )
            _check_keys(info["missing_keys"], weights, "embedder", said_by)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise _cannot_load(weights, said_by, error, EMBEDDINGS) from error
    model.eval().requires_grad_(requires_grad=False)
    tokenizer: Any = model.tokenizer
    if not isinstance(tokenizer, transformers.PreTrainedTokenizerBase):
        raise ConfigError(
            f"{said_by}: {weights.model!r} is no transformer (its tokenizer is a "
            f"{type(tokenizer).__name__}); set params.model to one that is"
        )
    tokenizer.truncation_side = "left"
    longest = int(model.get_max_seq_length() or _DEFAULT_POSITIONS)
    return Loaded(model, tokenizer, min(longest, _table(model, longest)))


def _check_keys(missing: Any, weights: Weights, kind: Kind, said_by: str) -> None:
    """Refuse a model that lacks weights; the pooler of an encoder is not used."""
    encoder = kind in ("encoder", "embedder")
    lacks = sorted(key for key in missing if not (encoder and key.startswith("pooler.")))
    if lacks:
        raise ConfigError(
            f"{said_by}: {weights.model!r} is no trained {kind}: it lacks {', '.join(lacks[:3])};"
            " set params.model to one that is"
        )


def _device(weights: Weights, said_by: str, *, cuda: bool) -> str:
    if weights.device == "auto":
        return "cuda" if cuda else "cpu"
    if weights.device.startswith("cuda") and not cuda:
        raise ConfigError(
            f"{said_by}: params.device is {weights.device!r} and there is no GPU here; "
            "set it to cpu or auto"
        )
    return weights.device


def _quantization(weights: Weights, said_by: str, device: str) -> Any:
    from transformers import BitsAndBytesConfig

    if not device.startswith("cuda"):
        raise ConfigError(
            f"{said_by}: params.quantization needs a GPU, and the reward would run on {device}; "
            "leave it out"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UnavailableError(
            f"{said_by}: params.quantization needs bitsandbytes: pip install bitsandbytes"
        )
    try:
        return BitsAndBytesConfig(**weights.quantization)  # type: ignore[no-untyped-call]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{said_by}: params.quantization: {error}") from error


def _check_folder(weights: Weights, said_by: str) -> None:
    """Refuse a path that is no folder of a model, which the hub would take for a strange name."""
    path = Path(weights.model).expanduser()
    described = (path / "config.json").is_file() or (path / "modules.json").is_file()
    if path.exists() and not described:
        if (path / "adapter_config.json").is_file():
            raise ConfigError(
                f"{said_by}: {weights.model!r} holds an adapter; make one model of it and its base "
                f"(aligntune merge {weights.model} --output FOLDER), and name that"
            )
        raise ConfigError(f"{said_by}: {weights.model!r} holds no model: config.json is missing")
    local = path.is_absolute() or weights.model.startswith((".", "~")) or len(path.parts) > 2
    if local and not path.exists():
        raise ConfigError(
            f"{said_by}: there is no folder {weights.model!r}; set params.model to a local folder "
            "or to the name of a model on the hub"
        )


def _cannot_load(
    weights: Weights, said_by: str, error: Exception, extra: str = EXTRA
) -> ConfigError:
    lines = [line for line in str(error).splitlines() if line.strip()]
    said = lines[0].strip() if lines else type(error).__name__
    return ConfigError(
        f"{said_by} needs the model {weights.model!r}, which cannot be loaded: {said} "
        "Set params.model to a local folder, or to the name of a model that can be reached from "
        f"here (model-based rewards need: {extra})"
    )


def _pad(model: Any, tokenizer: Any, weights: Weights, said_by: str) -> None:
    """Give both the padding token that batches need; as TRL does, the end token where none is."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise ConfigError(
            f"{said_by}: the tokenizer of {weights.model!r} has neither a padding nor an end token"
        )
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _positions(model: Any, tokenizer: Any) -> int:
    # A tokenizer that knows no limit says 1e30.
    known = getattr(model.config, "max_position_embeddings", None) or _DEFAULT_POSITIONS
    return int(min(known, _table(model, known), tokenizer.model_max_length))


def _table(model: Any, known: int) -> int:
    """Tokens that the table of positions has room for: RoBERTa counts from after the padding."""
    for name, part in model.named_modules():
        padding = getattr(part, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return int(part.num_embeddings) - int(padding) - 1
    return known
