"""What rewards with a model of their own share: its settings, and when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch, RewardFunction
from aligntune_rewards.checks import whole
from aligntune_rewards.learned.models import Kind, Loaded, Weights, load

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ModelReward"]


@dataclass(eq=False, repr=False)
class ModelReward(RewardFunction):
    """A reward with a model of its own, which `load` loads, or else the first batch.

    Args:
        model: a local folder, or the name of a model on the hub.
        batch_size: completions in one forward pass; it does not change the values.
        max_length: most tokens the model reads at once; unset, as many as it has positions, and no
            more than these.
        device: `"auto"` (a GPU if there is one), `"cpu"`, `"cuda"` or `"cuda:1"`.
        dtype: `"auto"` (as saved), `"float32"`, `"bfloat16"` or `"float16"`.
        revision: branch, tag or commit of a model on the hub; unset, `main`, or of a default model
            the one commit that the reward names.
        quantization: keywords of transformers' `BitsAndBytesConfig`; needs a GPU.
        cache_dir: where downloads are kept.

    Raises:
        ValueError: for a value that makes no sense.
    """

    model: str
    batch_size: int = 8
    max_length: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None
    quantization: dict[str, Any] = field(default_factory=dict)
    cache_dir: str | None = None

    cost = "model"
    kind: ClassVar[Kind] = "classifier"
    # Default models -> the commit that is loaded unless `revision` is set.
    pinned: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_length"):
            if (value := getattr(self, name)) is not None or name == "batch_size":
                whole(name, value, 1)
        if self.revision is None:
            self.revision = self.pinned.get(self.model)
        elif Path(self.model).expanduser().is_dir():
            raise ValueError(
                f"revision is {self.revision!r}, and model a local folder, which has none; leave "
                "revision out"
            )
        self._weights = Weights(
            self.model, self.revision, self.device, self.dtype, self.quantization, self.cache_dir
        )
        self._loaded: Loaded | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy in another process loads its weights there.
        return self.__dict__ | {"_loaded": None}

    @property
    def said_by(self) -> str:
        """How messages name this reward."""
        return f"reward {self.name!r}"

    @property
    def loaded(self) -> Loaded:
        """The model, loaded now if it was not."""
        if self._loaded is None:
            loaded = load(self._weights, self.needed_kind, self.said_by)
            if self.max_length is not None and self.max_length > loaded.positions:
                raise ConfigError(
                    f"{self.said_by}: params.max_length is {self.max_length}, and {self.model!r} "
                    f"reads {loaded.positions} tokens at most; leave it out, or set it lower"
                )
            self.check(loaded)
            self._loaded = loaded
        return self._loaded

    @property
    def needed_kind(self) -> Kind:
        """The kind of model that is loaded."""
        return self.kind

    @property
    def longest(self) -> int:
        """The most tokens that are read at once."""
        return self.max_length or self.loaded.positions

    def load(self) -> None:
        """Load the model.

        Raises:
            UnavailableError: if a package is missing. ConfigError: if the model cannot be used.
        """
        _ = self.loaded

    def check(self, loaded: Loaded) -> None:
        """Refuse a model that this reward cannot use; called once, when it is loaded."""

    def compute(self, text: str, prompt: Any = None) -> float | None:
        """Score one completion; `compute_batch` is faster for many."""
        return self.compute_batch(RewardBatch.one(text, prompt))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        raise NotImplementedError
