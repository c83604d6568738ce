"""METEOR by NLTK, without the synonyms that need a download unless they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from aligntune.errors import UnavailableError
from aligntune.scoring import RewardFunction
from aligntune_rewards.checks import need, number
from aligntune_rewards.code.checked import flag
from aligntune_rewards.reference.references import reference_texts
from aligntune_rewards.words import words

__all__ = ["MeteorReward"]


class MeteorReward(RewardFunction):
    """METEOR (Banerjee and Lavie 2005) of the completion against its references, from 0 to 1.

    Words match if they, or their Porter stems, are equal. With precision P, recall R, m matches in
    c runs: (1 - gamma (c/m)^beta) · PR / (alpha P + (1 - alpha) R), by NLTK. Its synonyms are those
    of WordNet, which is no part of NLTK; they count only with `synonyms`. Of several references the
    best counts.

    Range: 0 to 1. Higher is better. Columns: the reference; a row without one is left out (None),
    as is one whose reference has no word. Needs `pip install "aligntune-rewards[reference]"`.

    Args:
        alpha: how much more recall counts than precision.
        beta: shape of the penalty for matches that do not follow each other.
        gamma: the largest penalty.
        synonyms: let synonyms match (English); needs the corpus: `python -m nltk.downloader
            wordnet`.

    Raises:
        ValueError: for a parameter out of its bounds.
        UnavailableError: when loaded, if synonyms are asked for and the corpus is missing.
        TypeError: when scoring, if a reference is no text.
    """

    name = "meteor"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)

    def __init__(
        self, alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5, synonyms: bool = False
    ) -> None:
        for name, value in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
            number(name, value)
        for name, value in (("alpha", alpha), ("gamma", gamma)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value}; it must lie between 0 and 1")
        if not 0.0 <= beta < float("inf"):
            raise ValueError(f"beta is {beta}; it must be a finite number, 0 or more")
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.synonyms = flag(synonyms, "synonyms")

    @cached_property
    def wordnet(self) -> Any:
        """What NLTK asks for synonyms."""
        need("nltk", "reference", f"reward {self.name!r}")
        if not self.synonyms:
            return _NoSynonyms()
        from nltk.corpus import wordnet

        try:
            wordnet.ensure_loaded()
        except LookupError as error:
            raise UnavailableError(
                f"reward {self.name!r}: params.synonyms needs WordNet: "
                "python -m nltk.downloader wordnet"
            ) from error
        return wordnet

    def load(self) -> None:
        """Import NLTK, and load WordNet if synonyms are asked for.

        Raises:
            UnavailableError: if either is missing.
        """
        _ = self.wordnet

    def compute(self, text: str, reference: Any = None) -> float | None:
        references = [found for each in reference_texts(reference) if (found := words(each))]
        if not references:
            return None
        wordnet = self.wordnet
        from nltk.translate.meteor_score import meteor_score

        value = meteor_score(
            references,
            words(text),
            stemmer=_Stems(),
            wordnet=wordnet,
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
        )
        return min(1.0, max(0.0, float(value)))


class _NoSynonyms:
    """Stands where NLTK asks WordNet."""

    def synsets(self, word: str) -> list[Any]:
        return []


class _Stems:
    """Porter's stems, each found once."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem = PorterStemmer().stem
        self._found: dict[str, str] = {}

    def stem(self, word: str) -> str:
        if (found := self._found.get(word)) is None:
            found = self._found[word] = self._stem(word)
        return found
