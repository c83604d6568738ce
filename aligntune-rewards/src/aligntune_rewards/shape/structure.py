r"""Whether a completion has the form that was asked for, as a share of named checks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from aligntune.processes import WorkerCrashError, WorkerTimeoutError
from aligntune.scoring import RewardFunction
from aligntune_rewards.verifiable.answers import boxed
from aligntune_rewards.verifiable.patterns import Patterns, check_pattern
from aligntune_rewards.words import plain_form, without, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CHECKS", "WELL_FORMED", "StructureReward"]

_CLOSERS = {")": "(", "]": "[", "}": "{"}
_LONGEST_PARAGRAPH = 1500
_THINK_ANSWER = re.compile(
    r"\s*<think>(?:(?!</?think>).)*</think>\s*<answer>.+</answer>\s*", re.DOTALL
)
_THINK = re.compile(r"\s*<think>.*</think>\s*\S.*", re.DOTALL)
_HEADING = re.compile(r"^#{1,6} \S", re.MULTILINE)
# Not \s: it would match lines again and again.
_LIST = re.compile(r"^[ \t]*(?:[-*+]|[0-9]+[.)])\s+\S", re.MULTILINE)
_ITEM = re.compile(r"^\s*[0-9]{1,9}[.)]?\s")
# The white space goes to one part only, or matching would take for ever.
_FENCED_JSON = re.compile(r"```(?:json)?[ \t\r]*\n(.*)\n[ \t]*```", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
# The wide and typographic marks are those of other scripts, and are meant.
_ENDINGS = tuple(".!?。！？…:;)]}\"'”’»`*$>|")  # noqa: RUF001


def _balanced(text: str) -> bool:
    """Code fences and inline maths come in pairs, and brackets outside code close in order."""
    if len(_FENCE.findall(text)) % 2 or text.replace(r"\$", "").count("$$") % 2:
        return False
    prose = re.sub(
        r"```.*?```|`[^`\n]*`|\\[()\[\]{}]|^[ \t]*[0-9a-z]+\)",
        "",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
    opened: list[str] = []
    for character in prose:
        if character in _CLOSERS.values():
            opened.append(character)
        elif character in _CLOSERS and (not opened or opened.pop() != _CLOSERS[character]):
            return False
    return not opened


def _finished(text: str) -> bool:
    """The text does not break off: it ends in punctuation, a closing mark, or a number."""
    last = text.rstrip()
    return last.endswith(_ENDINGS) or last[-1:].isdigit()


def _unrepeated(text: str) -> bool:
    """No line or sentence of three words or more occurs more than twice.

    The number of a list's item, marks, case, invisible characters and letters that look alike make
    no difference.
    """
    counts: dict[tuple[str, ...], int] = {}
    for part in re.split(r"\n|(?<=[.!?])\s", plain_form(text)):
        said = tuple(words(_ITEM.sub("", part)))
        if len(said) >= 3:
            counts[said] = counts.get(said, 0) + 1
    return max(counts.values(), default=0) <= 2


def _paragraphs(text: str) -> bool:
    """No paragraph (between blank lines) is longer than 1,500 characters."""
    return all(len(part) <= _LONGEST_PARAGRAPH for part in re.split(r"\n\s*\n", text))


def _json(text: str) -> bool:
    """The whole text is JSON, or one fenced block of it."""
    fenced = _FENCED_JSON.fullmatch(text.strip())
    try:
        json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return False
    return True


WELL_FORMED: tuple[str, ...] = ("finished", "balanced", "unrepeated", "paragraphs")
CHECKS: dict[str, Callable[[str], bool]] = {
    "finished": _finished,
    "balanced": _balanced,
    "unrepeated": _unrepeated,
    "paragraphs": _paragraphs,
    "list": lambda text: len(_LIST.findall(text)) >= 2,
    "headings": lambda text: bool(_HEADING.search(text)),
    "code_block": lambda text: len(_FENCE.findall(text)) >= 2,
    "boxed": lambda text: len(boxed(text)) == 1,
    "json": _json,
    "think": lambda text: bool(_THINK.fullmatch(text)) and text.count("think>") == 2,
    "think_answer": lambda text: bool(_THINK_ANSWER.fullmatch(text)),
}


class StructureReward(RewardFunction):
    r"""The share of checks on its form that a completion passes: passed / asked.

    Without parameters: does it not break off (`finished`), do brackets, code fences and formulas
    close (`balanced`), does no line or sentence of three words or more occur more than twice
    (`unrepeated`), is no paragraph longer than 1,500 characters (`paragraphs`). The empty text
    earns 0.

    Further checks for `require`: `list` (two items or more), `headings`, `code_block`, `boxed`
    (exactly one `\boxed{…}`), `json` (the whole text), `think` (`<think>…</think>` once, at the
    beginning, and an answer behind it), and `think_answer`, the format
    `<think>…</think><answer>…</answer>` of DeepSeek-R1 (arXiv 2501.12948).

    It sees nothing but form: use it with a small weight beside a reward that judges content.

    Range: 0 to 1. Higher is better. Columns: none.

    Args:
        require: names of the checks to make.
        pattern: a regular expression that must be found in the text; one more check. It is matched
            in a process of its own, since it may take for ever on some texts.
        tags: names of tags, such as `["think", "answer"]`, that must each occur once, closed, in
            this order; one more check.
        timeout: seconds that the pattern may take for one completion, which else earns 0.

    Attributes:
        failures: counts of `"timeout"` and `"crash"`, of the pattern.
    """

    name = "structure"
    range = (0.0, 1.0)

    def __init__(
        self,
        require: Sequence[str] = (),
        pattern: str | None = None,
        tags: Sequence[str] = (),
        timeout: float | None = None,
    ) -> None:
        require = [require] if isinstance(require, str) else list(require)
        tags = [tags] if isinstance(tags, str) else list(tags)
        if unknown := [name for name in require if name not in CHECKS]:
            raise ValueError(
                f"require names {', '.join(map(repr, unknown))}; the checks are {', '.join(CHECKS)}"
            )
        if timeout is not None and pattern is None:
            raise ValueError("timeout is that of pattern, which is not set")
        self.pattern = None if pattern is None else check_pattern(pattern)
        if pattern is not None:
            self._patterns = Patterns(1.0 if timeout is None else timeout)
            self.cost, self.own_processes = "process", True
        self.tags = tags
        asked = bool(require or tags or pattern is not None)
        self.require = require if asked else list(WELL_FORMED)

    def compute(self, text: str) -> float | None:
        if not without(text, ("Cf", "Cc")).strip():
            return 0.0
        passed = [CHECKS[name](text) for name in self.require]
        if self.pattern is not None:
            try:
                passed.append(self._patterns.matches(self.pattern, text, full=False))
            except WorkerTimeoutError:
                return self.fail("timeout")
            except WorkerCrashError:
                return self.fail("crash")
        if self.tags:
            passed.append(_tags_in_order(text, self.tags))
        return sum(passed) / len(passed)

    def close(self) -> None:
        """End the process of the pattern; the next match starts another."""
        if self.pattern is not None:
            self._patterns.close()


def _tags_in_order(text: str, tags: Sequence[str]) -> bool:
    at = 0
    for tag in tags:
        opening, closing = f"<{tag}>", f"</{tag}>"
        start, end = text.find(opening, at), text.find(closing, at)
        if text.count(opening) != 1 or text.count(closing) != 1 or not -1 < start < end:
            return False
        at = end + len(closing)
    return True
