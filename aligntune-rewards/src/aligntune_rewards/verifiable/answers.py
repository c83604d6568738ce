r"""Finds the final answer in a completion, and compares answers exactly.

Where an answer is declared formally (`\boxed{…}`, `<answer>…</answer>`) every declaration counts,
so that naming several candidates earns nothing; of what is less formal, only the last counts.
Numbers are compared as fractions: 0.5 is 1/2, and 0.3 is not 0.30000001. Nothing here evaluates an
expression; `math_accuracy` does that.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

__all__ = [
    "boxed",
    "candidates",
    "check_after",
    "last_number",
    "parse_number",
    "part_after",
    "references_of",
    "same_answer",
]

# Longer digit strings are no answers, and exact arithmetic on them could be made to take for ever.
_LONGEST_NUMBER = 400
_LARGEST_EXPONENT = 400

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
# `#### 72` anywhere, `#### Paris` on the last line; elsewhere it is a heading.
_NUMBER_HASHES = re.compile(r"####[ \t]*(?=[^\w\n]{0,4}[0-9])([^\n]+)")
_LAST_HASHES = re.compile(r"####[ \t]*([^\n]+)")
# Looks ahead, so that a later "answer is" on the same line is found too.
_PROSE = re.compile(r"\banswer(?:\s+is|\s*[:=])\s*(?::\s*)?(?=([^\n]{1,500}))", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_FORMATTING = " \t\r\n*_`$"

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_NUMBER = re.compile(rf"([-+]?)\s*[$€£¥]?\s*({_DECIMAL})(?:\s*/\s*({_DECIMAL}))?\s*(%?)")
_IN_TEXT = re.compile(rf"(?<![\w.])[-+]?[$€£¥]?{_DECIMAL}(?:/{_DECIMAL})?(?![0-9])\s?%?")
_HAS_DIGIT = re.compile("[0-9]")
# What beside a number leaves it as it is: formatting, degrees, the end of an ordinal.
_HARMLESS = re.compile(
    r"</?[A-Za-z]+>|\\(?:text|math)[a-z]*\b|\\(?:displaystyle|left|right|underline|q?quad|degree)\b"
    r"|\^\s*\{?\s*(?:\\circ|(?:st|nd|rd|th))\b|\\[ ;:]"
)
# What makes it another one, or none: \sqrt{72}, 72!, 2\pi, x + 72, x < 72, 72k, not 72.
_CHANGED = re.compile(
    r"[\\^!\u221a\u00b1\u03c0\u221e]|_\s*\{|[0-9][\u00b2\u00b3\u00b9\u2070-\u2079\u00bc-\u00be]"
    r"|[<>\u2260\u2264\u2265]=?\s*[-+$]?[.0-9]|[0-9]\s*[<>\u2260\u2264\u2265]"
    r"|\b[A-Za-z)]\s*[-+*/\u00b7\u00d7]\s*[.0-9]|[0-9]\s*[-+*/\u00b7\u00d7]\s*(?:[A-Za-z(]|pi)\b"
    r"|[0-9](?:\s?(?:[inxyz]|pi)|[kKMB])\b|\b(?:[Oo]r|[Nn]or)\b"
)
_DENIED = re.compile(r"\b(?:not|never|neither|except|than)\b|n['\u2019]t\b", re.IGNORECASE)
_FRAC = re.compile(r"\\[dt]?frac\{\s*([0-9]+)\s*\}\{\s*([0-9]+)\s*\}")
_PLAIN = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})


def boxed(text: str) -> list[str]:
    r"""The contents of every complete `\boxed{…}`, in order; of nested ones, the outermost."""
    found: list[tuple[int, int, int]] = []
    opened: list[tuple[int, int] | None] = []
    for token in _BRACES.finditer(text):
        if token.group().endswith("{") and token.group() != r"\{":
            box = (token.start(), token.end()) if len(token.group()) > 1 else None
            opened.append(box)
        elif token.group() == "}" and opened and (box := opened.pop()) is not None:
            while found and found[-1][0] > box[0]:
                found.pop()
            found.append((*box, token.start()))
    return [text[start:end].strip() for _, start, end in found]


def _tagged(text: str) -> list[str]:
    """The contents of every `<answer>` up to the next `</answer>`, in order."""
    found: list[str] = []
    start: int | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            start = tag.end() if start is None else start
        elif start is not None:
            found.append(text[start : tag.start()])
            start = None
    return found


def candidates(text: str, *, numeric: bool = False) -> list[str]:
    r"""The final answers that a completion declares, each once, in order.

    Every `\boxed{…}`; or else every `<answer>…</answer>`; or else the last `#### …` or "the answer
    is …", whichever comes later (with `numeric`, of those that hold a digit). An empty list means
    that none is declared.
    """
    for declared in (boxed(text), _tagged(text)):
        if declared:
            return list(dict.fromkeys(answer.strip() for answer in declared))
    said = _hashes(text)
    said += [(m.start(), _SENTENCE_END.split(m[1], maxsplit=1)[0]) for m in _PROSE.finditer(text)]
    said = [(at, answer) for at, answer in said if not numeric or _HAS_DIGIT.search(answer)]
    return [max(said)[1].strip()] if said else []


def _hashes(text: str) -> list[tuple[int, str]]:
    """What follows `####`, and where."""
    text = text.rstrip()
    line = text.rfind("\n") + 1
    found = [(match.start(), match[1]) for match in _NUMBER_HASHES.finditer(text, 0, line)]
    last = _LAST_HASHES.search(text, line)
    return [*found, (last.start(), last[1])] if last else found


def check_after(after: str | None) -> str | None:
    """What must stand before an answer, as a parameter of a reward.

    Raises:
        ValueError: if it is empty.
    """
    if after == "":
        raise ValueError("after is empty; leave it out, or set it to a text such as </think>")
    return after


def part_after(text: str, after: str | None) -> str | None:
    """What follows the last `after`, such as `</think>`; None if it is not there."""
    if after is None:
        return text
    _, found, rest = text.rpartition(after)
    return rest if found else None


def references_of(reference: object) -> list[str]:
    r"""The right answers that a reference holds: itself, or each of a list.

    Of a worked solution (`… #### 72`, `… \boxed{72}`) the final answer; of any other text, all.
    """
    if isinstance(reference, list | tuple):
        return [answer for item in reference for answer in references_of(item)]
    text = str(reference)
    for found in (boxed(text), [answer for _, answer in _hashes(text)]):
        if found:
            return [found[-1].strip()]
    return [text.strip()]


def parse_number(text: str) -> tuple[Fraction, bool] | None:
    r"""The number that a text is, exactly, and whether a percent sign follows; None if it is none.

    It reads a sign, a currency sign, separators of thousands (`1,234`, `1{,}234`), decimals,
    exponents, `3/4`, `\frac{3}{4}` and `%`. Anything more, such as a unit, makes it no number.
    """
    plain = _FRAC.sub(r"\1/\2", _cleaned(text))
    if len(plain) > _LONGEST_NUMBER:
        return None
    match = _NUMBER.fullmatch(plain)
    if match is None:
        return None
    sign, above, below, percent = match.groups()
    numerator, denominator = _fraction(above), _fraction(below or "1")
    if numerator is None or not denominator:
        return None
    value = numerator / denominator
    return (-value if sign == "-" else value), bool(percent)


def same_answer(answer: str, reference: str, *, tolerance: float = 0.0) -> bool:
    r"""Whether an answer is the reference.

    If the reference is a number, the answer must be that number, or hold exactly one number, which
    is it (`72 dollars` for 72): units are not interpreted, but what makes it another number counts
    (`\sqrt{72}`, `72!`, `not 72`). Where only one of the two carries a percent sign, 50% is both 50
    and 1/2. `tolerance` is the largest difference allowed.
    Otherwise the texts must agree but for case, spaces, formatting and a full stop at the end.
    """
    wanted = parse_number(reference)
    if wanted is None:
        return _words(answer) == _words(reference) != ""
    given = parse_number(answer) or _only_number(answer)
    return given is not None and _equal(given, wanted, Fraction(str(tolerance)))


def last_number(text: str) -> str | None:
    """The last number in a text, as it is written there."""
    found = _IN_TEXT.findall(_cleaned(text))
    return found[-1] if found else None


def _only_number(text: str) -> tuple[Fraction, bool] | None:
    plain = _cleaned(text)
    found = list(_IN_TEXT.finditer(plain))
    if len(found) != 1 or _DENIED.search(plain[: found[0].start()]):
        return None
    if _CHANGED.search(_HARMLESS.sub(" ", plain)) or _other_digits(plain):
        return None
    return parse_number(found[0][0])


def _other_digits(text: str) -> bool:
    """Whether digits of another script stand there: they are a number, too."""
    return not text.isascii() and any(c.isdecimal() and not c.isascii() for c in text)


def _equal(given: tuple[Fraction, bool], wanted: tuple[Fraction, bool], within: Fraction) -> bool:
    (value, percent), (right, right_percent) = given, wanted
    near = abs(value - right) <= within
    if percent == right_percent:
        return near
    return near or abs(value - right * (Fraction(100) if percent else Fraction(1, 100))) <= within


def _fraction(digits: str) -> Fraction | None:
    _, _, exponent = digits.lower().partition("e")
    if exponent and abs(int(exponent)) > _LARGEST_EXPONENT:
        return None
    return Fraction(digits.replace(",", ""))


def _cleaned(text: str) -> str:
    r"""Plain signs for typographic ones, LaTeX's `{,}` and `\,` away, formatting off the ends."""
    plain = text.translate(_PLAIN).replace("{,}", ",").replace(r"\,", "").replace(r"\!", "")
    for wrapped in (r"\(", r"\)", r"\[", r"\]"):
        plain = plain.replace(wrapped, " ")
    plain = plain.replace(r"\%", "%").replace(r"\$", "$").strip(_FORMATTING.replace("$", ""))
    if plain.startswith("$") and plain.endswith("$") and len(plain) > 1:
        plain = plain[1:-1]
    return plain.strip().rstrip(".")


def _words(text: str) -> str:
    words = unicodedata.normalize("NFC", text.translate(_PLAIN)).strip(_FORMATTING)
    return " ".join(words.removesuffix(".").strip(_FORMATTING).casefold().split())
