r"""Whether the one option that a completion chooses is the right one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aligntune.scoring import RewardFunction
from aligntune_rewards.verifiable.answers import candidates, check_after, part_after

__all__ = ["MultipleChoiceReward"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WRAPPING = " \t\r\n*_`$\"'().:[]{}"
_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_NEGATION = re.compile(r"\b(?:not|never|neither|nor|except|excluding)\b|n't\b", re.IGNORECASE)
# A letter before a word in lower case is an article or a pronoun, unless one of these follows.
_AFTER_LABEL = r"(?!\s+(?!(?:or|and|because|since|as|is|but|for|which)\b)[a-z])"
_SPACE = re.compile(r"\s+")
_LONGEST_TEXT = 100_000


class MultipleChoiceReward(RewardFunction):
    r"""1 if the completion chooses one option, and that is the right one, else 0.

    What is chosen is said in every `\boxed{…}`, or else every `<answer>…</answer>`, or else the
    last `#### …` or "the answer is …", or else the whole text. It is a label (`B`, `(B)`, `B.`,
    `B) Rome`, `option B`) or the text of an option. Naming several options earns nothing, whichever
    they are, and so does an option behind "not". In a text without a declaration, labels count in
    brackets, before `.`, `)` or `:`, after "option" or "choice", or alone; if there are none, the
    texts of options do.

    Range: 0 or 1. Higher is better. Columns: the reference; a row without one is left out (None).
    `choices`, if the data have it: a list of texts, a mapping of labels to texts, or the mapping
    `{"text": [...], "label": [...]}`. The reference is a label, the text of an option, or a whole
    number, which counts options from `first_index`. Without choices, labels are the letters A to J.

    Args:
        first_index: what number the first option has where the reference is a number.
        after: what must stand before the answer, such as `"</think>"`: only what follows the last
            one is read, and a completion without it earns 0.

    Attributes:
        failures: counts of `"hedged"` (several options), `"no answer"` and `"unfinished"` (the
            completion does not hold `after`).

    Raises:
        ValueError: when scoring, if the reference is none of the options.
    """

    name = "multiple_choice"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)
    quiet = frozenset({"no answer", "hedged", "unfinished"})

    def __init__(self, first_index: int = 0, after: str | None = None) -> None:
        if first_index not in (0, 1):
            raise ValueError(
                f"first_index is {first_index!r}; options are counted from 0 or from 1"
            )
        self.first_index = first_index
        self.after = check_after(after)

    def compute(self, text: str, reference: Any = None, choices: Any = None) -> float | None:
        if reference is None or reference == "":
            return None
        options = _options(choices)
        right = self._right(reference, options)
        answer = part_after(text, self.after)
        if answer is None:
            return self.fail("unfinished")
        answer = answer.rstrip()[-_LONGEST_TEXT:]
        declared = candidates(answer)
        found = [_chosen(each, options) for each in declared] or [_mentioned(answer, options)]
        if any(len(each) > 1 for each in found) or len(set().union(*found)) > 1:
            return self.fail("hedged")
        if not all(found):
            return self.fail("no answer")
        return float(found[0] == {right})

    def _right(self, reference: Any, options: Mapping[str, str]) -> str:
        """The label of the right option."""
        labels = list(options)
        if isinstance(reference, int) and not isinstance(reference, bool):
            index = reference - self.first_index
            if 0 <= index < len(labels):
                return labels[index]
        elif isinstance(reference, str):
            bare = reference.strip(_WRAPPING)
            same = [label for label, text in options.items() if text and text == _plain(reference)]
            if bare in options:
                return bare
            if len(same) == 1:
                return same[0]
            if bare.upper() in options:
                return bare.upper()
        raise ValueError(
            f"the reference is {reference!r}, which is no label, text or number of the options "
            f"{', '.join(labels)}"
        )


def _options(choices: Any) -> dict[str, str]:
    """Label -> text of each option, plain; texts are empty where they are not known."""
    if choices is None:
        return dict.fromkeys(_LETTERS[:10], "")
    if isinstance(choices, Mapping):
        if {"text", "label"} <= set(choices):
            choices = dict(zip(choices["label"], choices["text"], strict=True))
        return {str(label): _plain(str(text)) for label, text in choices.items()}
    if isinstance(choices, list | tuple) and 0 < len(choices) <= len(_LETTERS):
        return {_LETTERS[index]: _plain(str(text)) for index, text in enumerate(choices)}
    raise ValueError(f"choices is {choices!r}; it is a list of texts, or labels with their texts")


def _chosen(answer: str, options: Mapping[str, str]) -> set[str]:
    """The labels of the options that a declared answer names."""
    answer = _TEXT_COMMAND.sub(r"\1", answer)
    bare = answer.strip(_WRAPPING)
    exactly = {label for label, text in options.items() if text and text == _plain(answer)}
    if exactly:
        return exactly
    if len(bare) == 1 and bare not in options:
        bare = bare.upper()
    if bare in options:
        return {bare}
    pattern = rf"(?<!\w)({_any(options)})(?![\w'’]){_AFTER_LABEL}"  # noqa: RUF001
    return _affirmed(answer, pattern, options) or _texts(answer, options)


def _mentioned(text: str, options: Mapping[str, str]) -> set[str]:
    """The labels of the options that a text without a declaration names."""
    bare = text.strip(_WRAPPING)
    if len(bare) <= 1 or bare in options or _plain(text) in options.values():
        return _chosen(text, options)
    label = _any(options)
    pattern = rf"\(({label})\)|(?<!\w)({label})[.):](?!\w)|\b(?:option|choice)\s+({label})(?!\w)"
    return _affirmed(text, pattern, options) or _texts(text, options)


def _affirmed(text: str, pattern: str, options: Mapping[str, str]) -> set[str]:
    """The labels that match and are not denied; of one, its own text or none may follow."""
    found = list(re.finditer(pattern, text))
    named = {next(group for group in match.groups() if group) for match in found}
    if len(named) == 1:
        if _NEGATION.search(text[: found[0].start()][-40:]):
            return set()
        rest = _plain(text[found[-1].end() :])
        named |= {label for label, option in options.items() if option and option == rest}
    return named


def _texts(text: str, options: Mapping[str, str]) -> set[str]:
    """The labels of the options whose text stands in a text; within a longer one it does not."""
    plain = _plain(text)
    spans = {
        label: {match.span() for match in re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", plain)}
        for label, option in options.items()
        if option
    }
    covered = bytearray(len(plain) + 1)
    named = set()
    for label in sorted(spans, key=lambda each: -len(options[each])):
        for start, end in spans[label]:
            if not covered[start]:
                named.add(label)
                covered[start:end] = b"\1" * (end - start)
    rest = "".join(c for c, hidden in zip(plain, covered, strict=False) if not hidden)
    return set() if len(named) == 1 and _NEGATION.search(rest) else named


def _any(options: Mapping[str, str]) -> str:
    return "|".join(map(re.escape, sorted(options, key=len, reverse=True)))


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text.strip(_WRAPPING)).casefold()
