"""The 25 instructions of IFEval whose following can be checked, by their official names.

Zhou et al. 2023, arXiv 2311.07911. The names and parameters are those of the data set
`google/IFEval`; what counts as followed is what its authors' program counts, but where a remark
says otherwise. A check takes the text, and the parameters by name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aligntune_rewards.languages import identifier
from aligntune_rewards.verifiable.instruction_text import (
    capital_words,
    count_sentences,
    count_words,
    legible,
)
from aligntune_rewards.verifiable.json_worker import DocumentError, parse
from aligntune_rewards.words import plain_form, without

__all__ = ["INSTRUCTIONS", "Check", "check_of"]

Check = Callable[[str], bool]

_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_RELATIONS: Mapping[str, Callable[[int, int], bool]] = {
    "less than": lambda count, limit: count < limit,
    "at least": lambda count, limit: count >= limit,
}
# Beside those that become a comma when letters are made plain.
_COMMAS = ("\u201a", "\u060c", "\u3001")
_FENCES = ("```json", "```Json", "```JSON", "```")
_DIVIDER = re.compile(r"\s?\*\*\*\s?")
_EMPHASIS = re.compile(r"\*[^\n*]*\*")
_STRONG = re.compile(r"\*\*[^\n*]*\*\*")
_NAMES_OF_LANGUAGES = {"zh-cn": "zh", "zh-tw": "zh"}


def _keywords(text: str, keywords: Sequence[str]) -> bool:
    return all(keyword.lower() in text.lower() for keyword in keywords)


def _keyword_frequency(text: str, keyword: str, frequency: int, relation: str) -> bool:
    word = keyword.lower()
    count = text.lower().count(word)
    if relation == "less than":  # invisible characters hide no word
        count = max(count, plain_form(text).count(plain_form(keyword)))
    return _RELATIONS[relation](count, frequency)


def _forbidden_words(text: str, forbidden_words: Sequence[str]) -> bool:
    # Nor do letters that look alike.
    plain = plain_form(text)
    return not any(
        re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
        or re.search(rf"\b{re.escape(plain_form(word))}\b", plain)
        for word in forbidden_words
    )


def _letter_frequency(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    if let_relation == "less than":  # nor are wide letters others
        text = unicodedata.normalize("NFKC", text)
    return _RELATIONS[let_relation](text.lower().count(letter.lower()), let_frequency)


def _language(text: str, language: str) -> bool:
    """The official program takes langdetect; a text without letters is in no language here."""
    code = _NAMES_OF_LANGUAGES.get(language, language)
    if not any(map(str.isalpha, text)):
        return False
    return bool(identifier((), (code,)).classify(legible(text))[0] == code)


def _number_sentences(text: str, num_sentences: int, relation: str) -> bool:
    """The official program splits with NLTK's punkt, a model that is downloaded."""
    return _RELATIONS[relation](count_sentences(text), num_sentences)


def _number_words(text: str, num_words: int, relation: str) -> bool:
    return _RELATIONS[relation](count_words(text), num_words)


def _number_paragraphs(text: str, num_paragraphs: int) -> bool:
    parts = _DIVIDER.split(text)
    filled = [bool(part.strip()) for part in parts]
    return all(filled[1:-1]) and sum(filled) == num_paragraphs


def _first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    paragraphs = text.split("\n\n")
    count = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if count != num_paragraphs or not 1 <= nth_paragraph <= count:
        return False
    said = paragraphs[nth_paragraph - 1].split()
    if not said:
        return False
    bare = said[0].lstrip("'").lstrip('"')
    return re.split("[.,?!'\"]", bare, maxsplit=1)[0].lower() == first_word.lower()


def _placeholders(text: str, num_placeholders: int) -> bool:
    count = 0
    for line in text.split("\n"):
        start = line.find("[")
        while start >= 0 and (end := line.find("]", start)) >= 0:
            count += 1
            start = line.find("[", end)
    return count >= num_placeholders


def _postscript(text: str, postscript_marker: str) -> bool:
    patterns = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    pattern = patterns.get(postscript_marker) or re.escape(postscript_marker.lower())
    return re.search(pattern, text.lower()) is not None


def _bullets(text: str, num_bullets: int) -> bool:
    lines = [line.lstrip() for line in text.split("\n")]
    count = sum(
        line.startswith("-") or (line.startswith("*") and line[1:2] not in ("", "*"))
        for line in lines
    )
    return count == num_bullets


def _constrained_response(text: str) -> bool:
    """Saying several of the answers is none of them."""
    return sum(answer in text for answer in _ANSWERS) == 1


def _highlights(text: str, num_highlights: int) -> bool:
    found = [*_EMPHASIS.findall(text), *_STRONG.findall(text)]
    return sum(bool(each.strip("*").strip()) for each in found) >= num_highlights


def _sections(text: str, section_spliter: str, num_sections: int) -> bool:
    found = re.findall(rf"{re.escape(section_spliter)}\s?\d+", text)
    return len(found) >= num_sections


def _json(text: str) -> bool:
    """As RFC 8259 has it: without NaN, and without a key that stands twice."""
    document = text.strip()
    for fence in _FENCES:
        document = document.removeprefix(fence)
    try:
        parse(document.removesuffix("```").strip())
    except DocumentError:
        return False
    return True


def _title(text: str) -> bool:
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end - 2 and line[start : end + 2].lstrip("<").rstrip(">").strip():
            return True
    return False


def _two_responses(text: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    filled = [part for part in parts if part]
    return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def _repeat_prompt(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _end(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _quotation(text: str) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


def _capital_words(text: str, capital_frequency: int, capital_relation: str) -> bool:
    """The official program splits words with NLTK, which parts DON'T in two."""
    return _RELATIONS[capital_relation](capital_words(text), capital_frequency)


def _english_capital(text: str) -> bool:
    return text.isupper() and _language(text, "en")


def _english_lowercase(text: str) -> bool:
    return text.islower() and _language(text, "en")


def _no_comma(text: str) -> bool:
    """Nor wide commas, those of other scripts, and marks that look like one."""
    return not any(mark in text or mark in plain_form(text) for mark in (",", *_COMMAS))


@dataclass(frozen=True)
class _Instruction:
    """`takes`: the parameters and their types."""

    check: Callable[..., bool]
    takes: Mapping[str, type]


_N, _S, _L = int, str, list
INSTRUCTIONS: Mapping[str, _Instruction] = {
    name: _Instruction(check, takes)
    for name, check, takes in (
        ("keywords:existence", _keywords, {"keywords": _L}),
        (
            "keywords:frequency",
            _keyword_frequency,
            {"keyword": _S, "frequency": _N, "relation": _S},
        ),
        ("keywords:forbidden_words", _forbidden_words, {"forbidden_words": _L}),
        (
            "keywords:letter_frequency",
            _letter_frequency,
            {"letter": _S, "let_frequency": _N, "let_relation": _S},
        ),
        ("language:response_language", _language, {"language": _S}),
        (
            "length_constraints:number_sentences",
            _number_sentences,
            {"num_sentences": _N, "relation": _S},
        ),
        ("length_constraints:number_paragraphs", _number_paragraphs, {"num_paragraphs": _N}),
        ("length_constraints:number_words", _number_words, {"num_words": _N, "relation": _S}),
        (
            "length_constraints:nth_paragraph_first_word",
            _first_word,
            {"num_paragraphs": _N, "nth_paragraph": _N, "first_word": _S},
        ),
        ("detectable_content:number_placeholders", _placeholders, {"num_placeholders": _N}),
        ("detectable_content:postscript", _postscript, {"postscript_marker": _S}),
        ("detectable_format:number_bullet_lists", _bullets, {"num_bullets": _N}),
        ("detectable_format:constrained_response", _constrained_response, {}),
        ("detectable_format:number_highlighted_sections", _highlights, {"num_highlights": _N}),
        (
            "detectable_format:multiple_sections",
            _sections,
            {"section_spliter": _S, "num_sections": _N},
        ),
        ("detectable_format:json_format", _json, {}),
        ("detectable_format:title", _title, {}),
        ("combination:two_responses", _two_responses, {}),
        ("combination:repeat_prompt", _repeat_prompt, {"prompt_to_repeat": _S}),
        ("startend:end_checker", _end, {"end_phrase": _S}),
        ("startend:quotation", _quotation, {}),
        (
            "change_case:capital_word_frequency",
            _capital_words,
            {"capital_frequency": _N, "capital_relation": _S},
        ),
        ("change_case:english_capital", _english_capital, {}),
        ("change_case:english_lowercase", _english_lowercase, {}),
        ("punctuation:no_comma", _no_comma, {}),
    )
}


def check_of(name: str, given: Mapping[str, Any]) -> Check:
    """The check for an instruction with its parameters.

    `given`: the parameters, of which those that are None are left out, since a data set has the
    same keys in all rows.

    Raises:
        ValueError: if there is no such instruction, or a parameter is missing, is not known or
            makes no sense.
    """
    if name not in INSTRUCTIONS:
        raise ValueError(
            f"there is no instruction {name!r}; the instructions are {', '.join(INSTRUCTIONS)}"
        )
    instruction = INSTRUCTIONS[name]
    params = {key: value for key, value in given.items() if value is not None}
    if set(params) != set(instruction.takes):
        raise ValueError(
            f"the instruction {name!r} takes {', '.join(instruction.takes) or 'no parameters'}; "
            f"given are {', '.join(params) or 'none'}"
        )
    for key, kind in instruction.takes.items():
        params[key] = _value(name, key, params[key], kind)
    return lambda text: _is_seen(text) and instruction.check(text, **params)


def _is_seen(text: str) -> bool:
    """Whether there is anything but white space and invisible characters."""
    return bool(without(text, ("Cf", "Cc")).strip())


def _value(name: str, key: str, value: Any, kind: type) -> Any:
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)  # what a table with gaps makes of whole numbers
    if not isinstance(value, kind) or isinstance(value, bool) or value in ("", []):
        raise ValueError(f"the instruction {name!r}: {key} is {value!r}; it is a {kind.__name__}")
    if key.endswith("relation") and value not in _RELATIONS:
        raise ValueError(
            f"the instruction {name!r}: {key} is {value!r}; it is one of {', '.join(_RELATIONS)}"
        )
    return value
