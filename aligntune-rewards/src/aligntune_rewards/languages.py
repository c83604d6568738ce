"""Names the language of a text with py3langid, whose model is loaded once for a process."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from aligntune_rewards.checks import need

__all__ = ["identifier"]


@lru_cache(maxsize=8)
def identifier(among: tuple[str, ...] = (), also: tuple[str, ...] = ()) -> Any:
    """py3langid's identifier for some languages, or for all with a code of two letters.

    `among`: the codes to choose from. `also`: codes that must be known besides.

    Raises:
        ValueError: if it does not know a code. UnavailableError: if py3langid is not installed.
    """
    need("py3langid", "text", "naming a language")
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    known = list(made.labels)
    asked = {*among, *also}
    if unknown := sorted(asked - set(known)):
        raise ValueError(f"language {', '.join(map(repr, unknown))} is none of {', '.join(known)}")
    # Written Norwegian is mostly Bokmål, which has the code of both.
    usual = {code for code in known if len(code) == 2 and code != "nn"}
    made.set_languages(among or sorted(usual | asked))
    return made
