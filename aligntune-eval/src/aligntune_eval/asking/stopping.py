"""When a completion ends: at a token that ends texts, or where one of the `stop` texts appears.

A stop text is looked for in what the tokens say, so it may begin and end within tokens. Text is
only decoded where the newest token could hold the end of a stop text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import StoppingCriteria

from aligntune.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

__all__ = ["Ends", "Finished"]

_BYTES = 4  # of a character, at most; a token has at least one byte
_SLACK = 16  # tokens without text that may stand among those of a stop text


class Ends:
    """What ends a completion of one model.

    `ids`: the tokens: the model's own list, the tokenizer's, and stop texts that are one special
    token. `texts`: the other stop texts.

    Raises:
        EvaluationError: if a stop text holds a special token beside other text, which no text of a
            completion does.
    """

    def __init__(self, model: Any, tokenizer: Any, stop: Sequence[str]) -> None:
        special = {
            token.content: index
            for index, token in tokenizer.added_tokens_decoder.items()
            if token.special
        }
        for text in stop:
            inside = next((name for name in special if name in text and name != text), None)
            if inside is not None:
                raise EvaluationError(
                    f"stop holds {text!r}, and {inside!r} in it is a special token, which is no "
                    f"part of a completion's text; give {inside!r} alone"
                )
        own = model.generation_config.eos_token_id
        listed = own if isinstance(own, list) else [own]
        named = [special[text] for text in stop if text in special]
        found = (*listed, tokenizer.eos_token_id, *named)
        self.ids = sorted({int(token) for token in found if token is not None})
        self.texts = tuple(text for text in stop if text not in special)
        self._tokenizer = tokenizer
        self._tail = _BYTES * max(map(len, self.texts), default=0) + _SLACK
        self._could_end: dict[int, bool] = {}

    def text(self, ids: Sequence[int]) -> str:
        """What tokens say; special tokens say nothing."""
        said: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return said

    def cut(self, text: str) -> str | None:
        """The text before the first stop text in it; None if there is none."""
        places = [place for stop in self.texts if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else None

    def could_end(self, token: int) -> bool:
        """Whether a completion may end at this token, as the newest one."""
        if token not in self._could_end:
            # Twice, since decoders take a space from the front; U+FFFD is part of a character.
            said = self.text([token, token]) if self.texts else ""
            near = "\ufffd" in said or any(text[-1] in said for text in self.texts)
            self._could_end[token] = near or token in self.ids
        return self._could_end[token]

    def reached(self, ids: Sequence[int]) -> bool:
        """Whether the newest of the new tokens ends the completion."""
        if ids[-1] in self.ids:
            return True
        return self.cut(self.text(ids[-self._tail :])) is not None


class Finished(StoppingCriteria):
    """Remembers where each row of a batch ended; ends the batch once few rows are left.

    `lengths[i]`: new tokens of row i, the one that ended it included; None while it goes on. The
    batch ends when at most `patience` rows go on.
    """

    def __init__(self, ends: Ends, rows: int, width: int, patience: int) -> None:
        self.ends = ends
        self.lengths: list[int | None] = [None] * rows
        self.width = width
        self.patience = patience

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        import torch

        done = input_ids.shape[1] - self.width
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if self.lengths[row] is None and self.ends.could_end(token):
                new = input_ids[row, self.width :].tolist()
                self.lengths[row] = done if self.ends.reached(new) else None
        if self.lengths.count(None) <= self.patience:
            return torch.ones(len(self.lengths), dtype=torch.bool, device=input_ids.device)
        return torch.tensor([n is not None for n in self.lengths], device=input_ids.device)
