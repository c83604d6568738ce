"""Classifiers that were trained on sentences, asked about each sentence of a completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aligntune.scoring import RewardBatch
from aligntune_rewards.learned.classifier import ClassifierReward, each_by_itself
from aligntune_rewards.visible import passages

__all__ = ["SentencewiseReward"]

# Words in a piece of text without the end of a sentence.
_LONGEST = 60


@dataclass(eq=False, repr=False)
class SentencewiseReward(ClassifierReward):
    """A reward from the probabilities of each sentence's labels."""

    def by_sentence(self, texts: Sequence[str]) -> list[list[tuple[list[float], int]]]:
        """Of each text, the probabilities of each different sentence, and its number of words.

        A text without a letter or digit has no sentences.
        """
        pieces = [passages(text, _LONGEST) for text in texts]
        pieces = [[each for each in some if any(map(str.isalnum, each))] for some in pieces]
        different = list(dict.fromkeys(each for some in pieces for each in some))
        if not different:
            return [[] for _ in texts]
        logits = self.logits(RewardBatch(different), "completion")
        shares = logits.sigmoid() if each_by_itself(self.loaded) else logits.softmax(dim=1)
        known = dict(zip(different, shares.tolist(), strict=True))
        return [[(known[each], len(each.split())) for each in some] for some in pieces]
