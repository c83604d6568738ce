"""Takes secrets out of what a run writes down: configuration, environment, command line, errors.

A value is secret because of the name it stands under (`hub_token`, `WANDB_API_KEY`), because it
looks like a well-known kind of token (`hf_...`, `sk-...`, a JWT), or because of where it stands in
a text (`--hub-token X`, `https://user:X@host`). Names are compared word by word, so `pad_token`,
`max_new_tokens`, `tokens_column` and `tokenizer` are no secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, TypeVar

__all__ = ["REDACTED", "is_secret_name", "redact", "secret_paths"]

REDACTED = "[redacted]"

T = TypeVar("T")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that make a name secret wherever they stand in it.
_WORDS = _words(
    "secret secrets password passwords passwd passphrase authorization credential credentials "
    "apikey apikeys privatekey accesskey authtoken accesstoken hubtoken hftoken"
)
_PAIRS = frozenset(
    (first, last)
    for first in ("api", "private", "access", "secret", "encryption", "signing", "ssh")
    for last in ("key", "keys")
)
# `token` is a secret unless one of these words stands before it, or one of those after it.
_BEFORE_TOKEN = _words(
    "pad padding eos bos unk sep cls mask stop start end special image video audio new per each "
    "first last next mean decoder response think thinking extra added forced"
)
_AFTER_TOKEN = _words(
    "id ids type types level count counts length lengths column accuracy loss entropy entropies "
    "classification classifier embedding embeddings limit budget index position probs logprobs "
    "mean std min max sum weight weights ratio per"
)
_BEFORE_TOKENS = _words("auth access api hub bearer refresh hf session secret")

_NO_VALUE = frozenset(("", "None", "True", "False", "null", "true", "false"))

_SPLIT = re.compile(r"[^0-9A-Za-z]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# What tokens of well-known services look like. The lengths keep `hf_transfer` and `task-...` out.
_TOKENS = re.compile(
    r"""
      -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | hf_(?:[A-Za-z0-9]{16,}|(?=[A-Za-z]*[0-9])[A-Za-z0-9]{10,})
    | (?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}
    | (?<![A-Za-z0-9])[sr]k_(?:live|test)_[A-Za-z0-9]{10,}
    | gh[pousr]_[A-Za-z0-9]{10,}
    | github_pat_[A-Za-z0-9_]{10,}
    | glpat-[A-Za-z0-9_-]{10,}
    | A(?:KIA|SIA)[0-9A-Z]{12,}
    | AIza[0-9A-Za-z_-]{30,}
    | xox[a-z]-[A-Za-z0-9-]{8,}
    | (?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*
    """,
    re.VERBOSE | re.DOTALL,
)
_BEARER = re.compile(r"\b(bearer)\s+(\S+)", re.IGNORECASE)
_HEADER = re.compile(
    r"(\bauthorization['\"]?\s*[:=]\s*['\"]?)((?:[A-Za-z]+ )?[^\s'\"]+)", re.IGNORECASE
)
_URL = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z0-9+.-]++://)[^\s/?#'\"]+@")
# What stands before a value. A name is matched whole and once (`++`), and the value apart from it,
# so that a long text takes time in proportion to its length.
_NAMES = (
    re.compile(
        r"(?<![\w.-])([\w.-]++)(?:[ \t]*=(?!=)[ \t]*|['\"]\s*[:=]\s*)"
    ),  # token=X, "token": X
    re.compile(r"(?<![\w-])(?=[^\W_]*+[_-])([\w-]++):\s*"),  # hub_token: X
    re.compile(r"^[ \t-]*+([A-Za-z]++):[ \t]+(?=\S+[ \t]*$)", re.MULTILINE),  # token: X, on a line
    re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*+)\s+(?!--[A-Za-z])"),  # --hub-token X
)
# A quoted value, or one that ends where the next thing begins.
_VALUE = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s'\"&]+")
_VARIABLE = re.compile(r"[A-Z]+(?:_[A-Z]+)+(?:_?[0-9]{1,2})?")
_ARGUMENT = re.compile(r"(-{0,2}[A-Za-z_][\w.-]*=)(.+)", re.DOTALL)  # one whole element of a list


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name (a key, a dotted path, a flag) is a secret."""
    return any(_is_secret_part(part) for part in name.split("."))


def _is_secret_part(name: str) -> bool:
    words = [word.lower() for word in _SPLIT.split(name) if word]
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if word in _WORDS or (word, after) in _PAIRS:
            return True
        if word == "token" and before not in _BEFORE_TOKEN and after not in _AFTER_TOKEN:
            return True
        if word == "tokens" and before in _BEFORE_TOKENS:
            return True
    return False


def redact(value: T) -> T:
    """Return a deep copy of `value` in which every secret reads `"[redacted]"`.

    Mappings, lists, tuples, sets, strings, bytes and paths are looked into; other objects are
    returned as they are. Under a secret name every leaf is a secret, but for None, True, False and
    the empty string. In a mapping with a `path` or `name` and a `value`, the one names the other.
    """
    copy: T = _redact(value, "", False, [])
    return copy


def secret_paths(tree: object) -> list[str]:
    """Return the dotted paths of the leaves that hold a secret, such as `datasets.0.token`."""
    found: list[str] = []
    _redact(tree, "", False, found)
    return found


def _redact(value: Any, path: str, secret: bool, found: list[str]) -> Any:
    if isinstance(value, Mapping):
        return _mapping(value, path, secret, found)
    if isinstance(value, (list, tuple, set, frozenset)):
        return _sequence(value, path, secret, found)
    clean = _hidden(value) if secret else _searched(value)
    if clean is not value:
        found.append(path)
    return clean


def _hidden(value: Any) -> Any:
    """What to show of a leaf under a secret name; the leaf itself if it says nothing."""
    empty = value is None or isinstance(value, bool)
    empty = empty or (isinstance(value, (str, bytes)) and value in ("", b"", REDACTED))
    return value if empty else REDACTED


def _searched(value: Any) -> Any:
    """The leaf without the secrets that stand in its text; the leaf itself if there are none."""
    if isinstance(value, (str, PurePath)):
        clean = _text(text := str(value))
        return value if clean == text else _same_kind(value, clean)
    if isinstance(value, (bytes, bytearray)):
        text = value.decode("latin-1")  # a character for every byte: nothing is lost on the way
        clean = _text(text)
        return value if clean == text else type(value)(clean.encode("latin-1"))
    return value


def _same_kind(value: str | PurePath, text: str) -> str | PurePath:
    return type(value)(text) if isinstance(value, PurePath) else text


def _mapping(value: Mapping[Any, Any], path: str, secret: bool, found: list[str]) -> dict[Any, Any]:
    said = value.get("path", value.get("name"))
    names_value = isinstance(said, str) and is_secret_name(said)
    copy = {}
    for key, item in value.items():
        name = _text(key) if isinstance(key, str) else key
        below = f"{path}.{name}" if path else str(name)
        if name != key:
            found.append(below)
        hidden = isinstance(key, str) and (is_secret_name(key) or (key == "value" and names_value))
        hidden = hidden and not _names_a_variable(key, item)
        copy[name] = _redact(item, below, secret or hidden, found)
    return copy


def _names_a_variable(key: str, value: Any) -> bool:
    """Whether this is `api_key_env: OPENAI_API_KEY`, which says where a secret is, and not what."""
    is_variable = isinstance(value, str) and _VARIABLE.fullmatch(value) is not None
    return key.lower().endswith("_env") and is_variable


def _sequence(value: Any, path: str, secret: bool, found: list[str]) -> Any:
    copy = []
    follows_flag = False
    for index, item in enumerate(value):
        below = f"{path}.{index}" if path else str(index)
        is_flag = isinstance(item, str) and item.startswith("--") and item[2:3].isalpha()
        clean = _redact(item, below, secret or (follows_flag and not is_flag), found)
        copy.append(_argument(clean, below, found) if isinstance(clean, str) else clean)
        follows_flag = is_flag and "=" not in item and is_secret_name(item)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*copy)
    kind = next(k for k in (list, tuple, set, frozenset) if isinstance(value, k))
    return kind(copy)


def _argument(text: str, path: str, found: list[str]) -> str:
    """`--token=two words` as one element of a list, where the value goes on to the end."""
    match = _ARGUMENT.fullmatch(text)
    if match is None or not is_secret_name(match[1]) or match[2] == REDACTED:
        return text
    if not found or found[-1] != path:
        found.append(path)
    return match[1] + REDACTED


def _text(text: str) -> str:
    """The text without the secrets that stand in it."""
    text = _URL.sub(rf"\1{REDACTED}@", text)
    text = _BEARER.sub(_bearer, text)
    text = _TOKENS.sub(REDACTED, text)
    text = _HEADER.sub(rf"\1{REDACTED}", text)
    for pattern in _NAMES:
        text = _without_named(pattern, text)
    return text


def _bearer(match: re.Match[str]) -> str:
    """`Bearer X`, where X is no word of a sentence."""
    word, token = match.groups()
    core = token.strip("'\".,;:)")
    looks = len(core) >= 16 or (len(core) >= 6 and any(c.isdigit() for c in core))
    return f"{word} {REDACTED}" if looks and core != REDACTED else match.group()


def _without_named(pattern: re.Pattern[str], text: str) -> str:
    """The text without the values that stand after a secret name."""
    parts = []
    start = 0
    while match := pattern.search(text, start):
        parts.append(text[start : match.end()])
        start = match.end()
        value = _VALUE.match(text, start) if is_secret_name(match[1]) else None
        if value is not None and not _says_nothing(value[0]):
            quote = value[0][0] if value[0][0] in "'\"" else ""
            parts.append(f"{quote}{REDACTED}{quote}")
            start = value.end()
    return "".join([*parts, text[start:]])


def _says_nothing(value: str) -> bool:
    bare = value.strip("'\"")
    return bare.startswith(REDACTED) or bare in _NO_VALUE
