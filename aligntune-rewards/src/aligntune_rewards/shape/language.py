r"""Whether a completion is in the language that it should be in."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import whole
from aligntune_rewards.languages import identifier
from aligntune_rewards.shape.scripts import script_of, scripts_of
from aligntune_rewards.words import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LanguageReward"]

_FENCE = re.compile(r"^[ \t]*```[^\n]*$", re.MULTILINE)
_ADDRESS = re.compile(r"https?://\S+")
_WORD = re.compile(r"[^\W\d_]+")
_LONGEST_SENTENCE = 400
_LIKELY = 0.1
# Letters that look alike are found in these.
_CONFUSABLE = {"LATIN", "CYRILLIC", "GREEK"}


class LanguageReward(RewardFunction):
    r"""The share of a completion's letters that stand in sentences of the right language.

    The text is split into sentences, short ones are joined until a piece has `piece` letters, and
    py3langid (https://github.com/adbar/py3langid, langid.py's model, Lui and Baldwin 2012) names
    the language of each piece. So text that changes its language in the middle earns in between,
    as in the language consistency reward of DeepSeek-R1 (arXiv 2501.12948). Fenced blocks and web
    addresses are left out, unless there is nothing else. Invisible characters are removed, and
    words that mix Latin, Greek and Cyrillic letters count as wrong.

    A text of fewer than `shortest` letters is hardly enough to tell a language by. It earns how
    likely the language is in comparison with the likeliest one, or 1 if none has a probability of
    0.1, times the share of its letters that are of the language's script. Without any letters it
    earns 1, and the empty text 0.

    Range: 0 to 1. Higher is better. Columns: `language`, a code as below, if the parameter is not
    set; a row without one is left out (None). Needs `pip install "aligntune-rewards[text]"`.

    Args:
        language: the code of a language (ISO 639-1: `"en"`, `"de"`, `"zh"`), for all rows; or
            `"prompt"`, the language of the row's prompt. A row whose prompt has fewer than
            `shortest` letters is left out (None).
        among: codes of the languages that are told apart; unset, all with a code of two letters.
            Fewer are told apart more safely.
        piece: letters of which a language is named at once.
        shortest: letters below which none is named, as said above.

    Raises:
        ValueError: for a code that py3langid does not know, when loading; when scoring, if it comes
            from the column.
    """

    name = "language"
    range = (0.0, 1.0)

    def __init__(
        self,
        language: str | None = None,
        among: Sequence[str] = (),
        piece: int = 60,
        shortest: int = 20,
    ) -> None:
        if isinstance(among, str) or len(among) == 1:
            raise ValueError(f"among is {among!r}; it is a list of two languages or more")
        whole("shortest", shortest, 1)
        whole("piece", piece, shortest)
        if among and language not in (None, "prompt", *among):
            raise ValueError(f"language is {language!r}, which among does not hold: {among!r}")
        self.language = language
        self.among = tuple(among)
        self.piece = piece
        self.shortest = shortest
        self.requires = frozenset({"language"} if language is None else ())
        self._identifier: Any = None

    def load(self) -> None:
        """Load py3langid's model, in about a second.

        Raises:
            ValueError: if it does not know one of the languages.
        """
        if self._identifier is None:
            named = self.language not in (None, "prompt")
            self._identifier = identifier(self.among, (str(self.language),) if named else ())

    def compute(self, text: str, language: str | None = None, prompt: Any = None) -> float | None:
        self.load()
        wanted = language
        if self.language == "prompt":
            wanted = self._main(_visible("" if prompt is None else str(prompt)))
        elif self.language is not None:
            wanted = self.language
        if wanted is None:
            return None
        if wanted not in self._identifier.labels:
            raise ValueError(f"language {wanted!r} is none of {', '.join(self._identifier.labels)}")
        if not text.strip():
            return 0.0
        return self._share(_visible(text), wanted)

    def _share(self, text: str, wanted: str) -> float:
        letters = _letters(text)
        if not letters:
            return 1.0
        if letters < self.shortest:
            right = scripts_of(wanted)
            share = sum(script_of(c) in right for c in text if c.isalpha()) / letters
            return share * self._likelihood(text, wanted)
        good = 0
        for piece in self._pieces(text):
            if self._named(piece) == wanted:
                good += sum(len(word) for word in _WORD.findall(piece) if not _is_mixed(word))
        return min(1.0, good / letters)

    def _likelihood(self, text: str, wanted: str) -> float:
        """How likely a language is beside the likeliest; 1 if nothing is likely."""
        found = dict(self._identifier.rank(text))
        best = max(found.values())
        return min(1.0, float(found[wanted] / best)) if best >= _LIKELY else 1.0

    def _main(self, text: str) -> str | None:
        """The language that most of a text is in; None if it is too short."""
        if _letters(text) < self.shortest:
            return None
        found: dict[str, int] = {}
        for piece in self._pieces(text):
            named = self._named(piece)
            found[named] = found.get(named, 0) + _letters(piece)
        return max(sorted(found), key=lambda each: found[each])

    def _named(self, text: str) -> str:
        return str(self._identifier.classify(text)[0])

    def _pieces(self, text: str) -> Iterator[str]:
        """Sentences, short ones joined; a rest that is too short belongs to the one before."""
        pieces: list[list[str]] = []
        size = 0
        for sentence in sentences(text):
            for start in range(0, len(sentence), _LONGEST_SENTENCE):
                part = sentence[start : start + _LONGEST_SENTENCE]
                if pieces and size < self.piece:
                    pieces[-1].append(part)
                else:
                    pieces.append([part])
                    size = 0
                size += _letters(part)
        if len(pieces) > 1 and size < self.piece:
            last = pieces.pop()
            pieces[-1] += last
        return map(" ".join, pieces)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_identifier": None}


def _visible(text: str) -> str:
    """The prose of a text, in plain letters, without invisible characters."""
    prose = _ADDRESS.sub(" ", "\n".join(_FENCE.split(text)[::2]))
    chosen = prose if _letters(prose) else text
    if chosen.isascii():
        return chosen
    plain = unicodedata.normalize("NFKC", chosen)
    return "".join(c for c in plain if unicodedata.category(c) != "Cf")


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _is_mixed(word: str) -> bool:
    return not word.isascii() and len({script_of(c) for c in word} & _CONFUSABLE) > 1
