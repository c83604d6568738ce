"""What a completion says beyond its prompt, and how many of the prompt's words it uses."""

from __future__ import annotations

from aligntune_rewards.words import plain_form, sentences, words

__all__ = ["FUNCTION_WORDS", "overlap", "said_anew"]

# English words that say nothing of what a text is about.
_LIST = (
    "a about after all also am an and any are as at be been before being both but by can "
    "could did do does each every few for from had has have he her here him his how i if in "
    "into is it its just let like make many may me might more most much must my name no not "
    "now of on one only or other our out over please shall she should so some such tell than "
    "that the their them then there these they this those to too up us very was we were what "
    "when where which who whom whose why will with would write you your "
)
FUNCTION_WORDS = frozenset(_LIST.split())


def said_anew(text: str, prompt: str) -> str:
    """A text without the sentences that copy the prompt: all their words stand in it.

    They are left in where together they hold no more than half of the prompt's words, as a short
    answer does that names one of two things. Case, marks on letters, invisible characters and
    look-alike letters make no new word.
    """
    known = _words(prompt)
    parts = [(sentence, _words(sentence)) for sentence in sentences(text)]
    copied = set().union(*(found for _, found in parts if found <= known))
    if 2 * len(copied) <= len(known):
        return text.strip()
    return "\n".join(sentence for sentence, found in parts if not found <= known)


def overlap(prompt: str, text: str) -> float:
    """The share of the prompt's content words that the text uses; of all, if it has no other."""
    asked = _words(prompt)
    about = (asked - FUNCTION_WORDS) or asked
    return len(about & _words(text)) / len(about) if about else 0.0


def _words(text: str) -> set[str]:
    return set(words(plain_form(text)))
