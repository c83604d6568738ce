"""What data settings say of the tokenizer: its chat template and its padding token.

A run has one tokenizer, so all its data sets must say one thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aligntune.errors import Problem

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = ["chat_template", "check_chat", "pad_token"]


def chat_template(config: RunConfig) -> str | None:
    """The template that replaces the tokenizer's, or None."""
    return next((template for _, template in _templates(config)), None)


def pad_token(config: RunConfig) -> tuple[str, str] | None:
    """The path of the setting and the padding token that it names, or None."""
    return next(_pad_tokens(config), None)


def check_chat(config: RunConfig) -> Iterable[Problem]:
    """Settings of different data sets that contradict each other."""
    for found in (list(_templates(config)), list(_pad_tokens(config))):
        for path, value in found[1:]:
            if value != found[0][1]:
                message = f"a run has one tokenizer, and `{found[0][0]}` says something else"
                yield Problem(path, message, hint="set one of them")


def _templates(config: RunConfig) -> Iterator[tuple[str, str]]:
    if config.chat_template is not None:
        yield "chat_template", config.chat_template
    yield from _of_data(config, "chat_template")


def _pad_tokens(config: RunConfig) -> Iterator[tuple[str, str]]:
    return _of_data(config, "pad_token")


def _of_data(config: RunConfig, name: str) -> Iterator[tuple[str, str]]:
    for section in ("datasets", "eval_datasets"):
        for index, data in enumerate(getattr(config, section)):
            value = getattr(data, name)
            if value is not None and value != "auto":
                yield f"{section}.{index}.{name}", value
