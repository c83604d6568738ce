"""Profanity: how foul the foulest sentence of a completion is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aligntune.scoring import RewardBatch, RewardFunction
from aligntune_rewards.checks import need
from aligntune_rewards.visible import passages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ProfanityReward", "readings"]

_LONGEST = 40
_CERTAIN = 0.99
_WORD = re.compile("[a-z]+")
_DIGITS_FOR_LETTERS = str.maketrans("013457@$!|+", "oieastasiit")
# Words that mix letters with digits or signs that stand for letters.
_LEET = re.compile(r"(?<![\w@$!|+])(?=[\w@$!|+]*[A-Za-z])[\w@$!|+]*[013457@$!|+][\w@$!|+]*")
_END_SIGNS = re.compile(r"[!|+]+$")
_SPACED = re.compile(r"(?<!\w)[A-Za-z](?:[\s.\-_*]{1,2}[A-Za-z](?![A-Za-z])){3,}(?!\w)")
_BETWEEN = re.compile(r"[^A-Za-z]+")
_DRAWN_OUT = re.compile(r"([A-Za-z])\1{2,}")


class ProfanityReward(RewardFunction):
    """1 - P(profane) of the foulest sentence of an English completion.

    P is what alt-profanity-check says: a linear support vector machine on words, trained on 200,000
    labelled comments. A sentence without anything foul earns 0.96 to 0.99. Much around it hides a
    foul word from the classifier, so that each different sentence is judged by itself, and so is
    each word; of words, those count that P is at least 0.99 for. Each sentence is read as it stands
    and, where that makes a difference, with digits and signs as the letters that they
    stand for (`sh1t`), spaced letters joined (`f u c k`), and drawn-out ones shortened; invisible
    characters, wide letters and look-alikes of other alphabets are undone.

    Range: 0 to 1. Higher is better: 1 is clean. Columns: none. It knows single words: it does not
    see insults in clean words, masked ones (`f**k`), or other languages, and some names offend it.
    Needs `pip install "aligntune-rewards[safety]"`.
    """

    name = "profanity"
    range = (0.0, 1.0)

    def load(self) -> None:
        """See that alt-profanity-check is installed."""
        need("profanity_check", "safety", "reward 'profanity'")

    def compute(self, text: str) -> float | None:
        return self.compute_batch(RewardBatch.one(text))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        from profanity_check import predict_prob

        read = [_read(text) for text in batch.texts]
        different = list(dict.fromkeys(each for said, words in read for each in (*said, *words)))
        if not different:
            return [1.0] * len(batch)
        found = dict(zip(different, map(float, predict_prob(different)), strict=True))
        return [1.0 - _worst(said, words, found) for said, words in read]


def _read(text: str) -> tuple[list[str], list[str]]:
    """What is judged of a text: its sentences as they may be read, and their words."""
    said = [reading for piece in passages(text, _LONGEST) for reading in readings(piece)]
    words = (word for each in said for word in _WORD.findall(each.lower()))
    return said, list(dict.fromkeys(words))


def _worst(said: Sequence[str], words: Sequence[str], found: Mapping[str, float]) -> float:
    """The largest P, of words only where the classifier is certain."""
    certain = [found[word] for word in words if found[word] >= _CERTAIN]
    return max([*certain, *(found[each] for each in said)], default=0.0)


def readings(sentence: str) -> Iterator[str]:
    """A sentence as it stands, and with what may stand for other letters as these."""
    yield sentence
    decoded = _LEET.sub(_decoded, sentence)
    joined = _SPACED.sub(lambda match: _BETWEEN.sub("", match[0]), decoded)
    for most in (1, 2):
        other = _DRAWN_OUT.sub(lambda match, most=most: match[1] * most, joined)  # type: ignore[misc]
        if other != sentence:
            yield other


def _decoded(match: re.Match[str]) -> str:
    """The word that is meant; signs at its end are punctuation."""
    end = _END_SIGNS.search(match[0])
    word = match[0][: end.start()] if end else match[0]
    return word.translate(_DIGITS_FOR_LETTERS) + match[0][len(word) :]
