"""The model that another one is compared with: one that is loaded beside it, or its own base.

`base` is the model under an adapter that is switched off, so that no second one is in memory. Any
other name or folder is loaded to where the measured model is, in its precision, and both stay in
memory until the evaluation of that model ends.
"""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune_eval.models.load import LoadedModel, load_model
from aligntune_eval.models.sources import find_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aligntune.evaluation import EvaluationContext

__all__ = ["BASE", "ReferenceModel"]

BASE = "base"

# With these, an adapter that is switched off leaves another model than the one it began with.
_MOVES_BASE = ("pissa", "olora", "corda", "loftq")


class ReferenceModel:
    """`source`: a folder, a name on the hub, or `base`. `who`: the evaluator that asks for it.

    `trust_remote_code`: run Python code that comes with the model.
    """

    def __init__(self, source: str, who: str, *, trust_remote_code: bool = False) -> None:
        self.source = source
        self.who = who
        self.trust_remote_code = trust_remote_code
        self._label = f"/{BASE}" if source == BASE else ""

    def __repr__(self) -> str:
        # Results are kept by this, so it changes with the weights once `check_source` has run.
        return f"ReferenceModel({self.source!r}{self._label})"

    def check_source(self) -> None:
        """See that there is such a model, and what identifies it; loads nothing.

        Raises:
            EvaluationError: if there is none.
        """
        if self._label:
            return
        try:
            (found,) = find_models([self.source])
        except EvaluationError as error:
            raise EvaluationError(f"evaluator {self.who!r}: reference_model: {error}") from error
        said = json.dumps(found.parts, sort_keys=True).encode()
        self._label = f"/{hashlib.sha256(said).hexdigest()}"

    @property
    def label(self) -> str:
        """What a store knows the answers of this model by."""
        self.check_source()
        return self._label

    def check_against(self, context: EvaluationContext, *, same_size: bool) -> None:
        """See that the two models can be compared; the reference is loaded for it.

        Args:
            context: with the measured model.
            same_size: whether both must give a probability to the same number of tokens.

        Raises:
            EvaluationError: if `base` is asked for and there is no adapter, or its base is another
                model than the one it began with; if the vocabularies differ.
        """
        if self.source == BASE:
            self._check_adapter(context.model)
            return
        loaded = self._loaded(context)
        self._check_tokens(context.tokenizer.get_vocab(), loaded.tokenizer.get_vocab())
        sizes = [_size(model) for model in (context.model, loaded.model)]
        if same_size and sizes[0] != sizes[1]:
            raise EvaluationError(
                f"evaluator {self.who!r}: the reference model {self.source} gives probabilities to "
                f"{sizes[1]} tokens, and the model to {sizes[0]}; they can be compared only over "
                "one vocabulary of one size"
            )

    @contextmanager
    def used(self, context: EvaluationContext) -> Iterator[Any]:
        """The reference model, within a `with`, once `check_against` has found it fit."""
        if self.source == BASE:
            with context.model.disable_adapter():
                yield context.model
        else:
            yield self._loaded(context).model

    def _loaded(self, context: EvaluationContext) -> LoadedModel:
        key = ("aligntune_eval.models.reference_model", self.label)
        if key not in context.memo:
            model = context.model
            context.progress("loading the reference model", 0, 1)
            loaded = load_model(
                self.source, device=str(model.device), trust_remote_code=self.trust_remote_code
            )
            loaded.model.to(dtype=model.dtype)
            context.memo[key] = loaded
        found: LoadedModel = context.memo[key]
        return found

    def _check_adapter(self, model: Any) -> None:
        if not _is_adapter(model):
            raise EvaluationError(
                f"evaluator {self.who!r}: reference_model is {BASE!r}, the model under an adapter, "
                "and this model has no adapter; name the folder of the reference model"
            )
        for config in model.peft_config.values():
            init, bias = getattr(config, "init_lora_weights", True), getattr(config, "bias", "none")
            moved = isinstance(init, str) and init.lower().startswith(_MOVES_BASE)
            if moved or bias != "none":
                what = f"init_lora_weights is {init!r}" if moved else f"bias is {bias!r}"
                raise EvaluationError(
                    f"evaluator {self.who!r}: reference_model is {BASE!r}, and the adapter's "
                    f"{what}, so that switching it off does not leave the model that training "
                    "began with; name the folder of that model"
                )

    def _check_tokens(self, ours: dict[str, int], theirs: dict[str, int]) -> None:
        """Tokens that both know must have one number; one of them may know more."""
        here, there = ({number: token for token, number in v.items()} for v in (ours, theirs))
        other = [n for n in sorted(here.keys() & there.keys()) if here[n] != there[n]]
        if other or not here.keys() & there.keys():
            example = (
                f": token {other[0]} is {there[other[0]]!r} there and {here[other[0]]!r} here"
                if other
                else ""
            )
            raise EvaluationError(
                f"evaluator {self.who!r}: the reference model {self.source} has another vocabulary "
                f"than the model{example}; name a model with the same tokenizer"
            )


def _is_adapter(model: Any) -> bool:
    if "peft" not in sys.modules:  # then nothing can be one
        return False
    from peft import PeftModel

    return isinstance(model, PeftModel)


def _size(model: Any) -> int:
    """How many tokens a model gives a probability to."""
    return int(model.get_output_embeddings().weight.shape[0])
