"""Asks an OpenAI-compatible endpoint for chat completions: patiently, within limits, or not at all.

What may pass (a lost connection, too many requests, an error of the server, a reply that cannot be
read) is tried again after a growing wait; anything else, and what does not pass, is raised.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aligntune.redact import redact
from aligntune_rewards.checks import whole
from aligntune_rewards.learned.judging.asking import Question, UnreadableError

if TYPE_CHECKING:
    import httpx

    from aligntune_rewards.learned.judging.budget import Budget

__all__ = ["Endpoint", "FilteredError", "JudgeError", "Patience", "Session"]

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_LARGEST = 4 << 20  # bytes of a reply; no judgement is longer
_SHOWN = 300


class JudgeError(RuntimeError):
    """The judge gave no score."""


class FilteredError(Exception):
    """The server's content filter stopped the reply, or what was to be judged."""


class _PassingError(Exception):
    """What may be over when it is tried again; `wait` is what the server asks for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True)
class Endpoint:
    """A model of a server.

    The key is read from the environment whenever it is sent, and kept nowhere.

    Raises:
        ValueError: for a URL that is none, or that holds a password, or a variable name that is
            none.
    """

    base_url: str
    model: str
    api_key_env: str | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            _ = parts.port
        except ValueError:  # it may repeat a password
            raise ValueError("base_url is no URL: its host or port cannot be read") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url is no URL of a server, such as http://localhost:8000/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError("base_url holds a user or password; put a key in api_key_env instead")
        if parts.query or parts.fragment:
            raise ValueError(f"base_url is {parts.path!r} with a query; it ends with the path")
        if not self.model:
            raise ValueError("model is empty; it is the judge's name on its server")
        named = {"api_key_env": self.api_key_env}
        if self.api_key_env is not None and redact(named) != named:
            # What was given may be a key, so it is not repeated; a run's record leaves it out, so
            # that the run could not be resumed.
            raise ValueError(
                "api_key_env is the name of an environment variable, in capitals with a low line, "
                "such as OPENAI_API_KEY or JUDGE_KEY_2; the key itself stands in the environment "
                "only"
            )

    @property
    def url(self) -> str:
        return f"{self.base_url.rstrip('/')}/chat/completions"

    def key(self) -> str | None:
        """The key, or None where none is needed.

        Raises:
            JudgeError: if the environment does not hold it, or no header can carry it.
        """
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if key and key.isascii() and key.isprintable():
            return key
        if not key:
            raise JudgeError(
                f"the environment variable {self.api_key_env} is not set; params.api_key_env names "
                "it as that of the judge's key"
            )
        raise JudgeError(
            f"the environment variable {self.api_key_env}, which params.api_key_env names, holds "
            "more than a key: a line break, or characters that are not ASCII"
        )


@dataclass(frozen=True)
class Patience:
    """How long to wait: for a reply, and between tries.

    `retries`: tries after the first. `backoff`: seconds before the first of them, doubled for each,
    and varied by chance; `max_wait`: the longest of these waits, and the longest that a server may
    ask for.
    """

    request_timeout: float = 60.0
    retries: int = 4
    backoff: float = 1.0
    max_wait: float = 60.0

    def __post_init__(self) -> None:
        for name in ("request_timeout", "max_wait"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it is a number of seconds")
        whole("retries", self.retries, 0)
        if not 0 <= self.backoff < float("inf"):
            raise ValueError(f"backoff is {self.backoff}; it must not be below 0")

    def wait(self, attempt: int, asked: float | None) -> float:
        """Seconds before the next try, after `attempt` of them."""
        if asked is not None:
            return asked
        return min(self.backoff * 2.0**attempt, self.max_wait) * random.uniform(0.5, 1.0)  # noqa: S311


@dataclass(frozen=True)
class Session:
    """Requests within one batch; `body`: what goes into each beside the question."""

    client: httpx.AsyncClient
    patience: Patience
    budget: Budget
    body: Mapping[str, Any]

    async def ask(self, endpoint: Endpoint, question: Question) -> float:
        """The score that a judge gives, on the scale.

        Raises:
            JudgeError: if there is none after all retries, or the server refuses the request.
            FilteredError: if a content filter stopped the reply or the question.
            BudgetExceededError: if nothing more may be asked.
        """
        longest = self.patience.max_wait
        for attempt in range(self.patience.retries + 1):
            self.budget.request()
            try:
                return await self._once(endpoint, question)
            except _PassingError as error:
                if error.wait is not None and error.wait > longest:
                    raise JudgeError(
                        f"the judge {endpoint.model!r} asks to wait {error.wait:g} seconds, longer "
                        f"than max_wait ({longest:g}): {error}"
                    ) from error
                if attempt == self.patience.retries:
                    tries = "1 try" if attempt == 0 else f"{attempt + 1} tries"
                    raise JudgeError(
                        f"the judge {endpoint.model!r} at {endpoint.url} gave no score in {tries}; "
                        f"of the last: {error}"
                    ) from error
                await asyncio.sleep(self.patience.wait(attempt, error.wait))
        raise AssertionError("the last try returns or raises")

    async def _once(self, endpoint: Endpoint, question: Question) -> float:
        import httpx

        sent = {**self.body, "model": endpoint.model, "messages": list(question.messages)}
        if (form := question.response_format) is not None:
            sent["response_format"] = form
        key = endpoint.key()
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        try:
            # The time limits of httpx begin again with each byte; this one does not.
            async with (
                asyncio.timeout(self.patience.request_timeout),
                self.client.stream("POST", endpoint.url, json=sent, headers=headers) as response,
            ):
                content = await _read(response)
        except TimeoutError as error:
            limit = self.patience.request_timeout
            raise _PassingError(f"no reply in {limit:g} seconds") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _PassingError(f"{type(error).__name__}: {_clean(str(error), key)}") from error
        if response.status_code != httpx.codes.OK:
            if response.status_code == httpx.codes.BAD_REQUEST and _filtered(content):
                raise FilteredError
            said = f"it answered {response.status_code}: {_clean(content, key)}"
            if response.status_code in _PASSING:
                raise _PassingError(said, _asked_wait(response.headers.get("retry-after")))
            raise JudgeError(f"the judge {endpoint.model!r} at {endpoint.url} refuses: {said}")
        return _score(content, question, self.budget, key)


async def _read(response: httpx.Response) -> str:
    found = bytearray()
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) > _LARGEST:
            raise _PassingError(f"the reply is longer than {_LARGEST} bytes")
    return found.decode("utf-8", "replace")


def _filtered(content: str) -> bool:
    """Whether a refusal comes from a content filter, as Azure says it of what it is sent."""
    try:
        return bool(json.loads(content)["error"]["code"] == "content_filter")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _score(content: str, question: Question, budget: Budget, key: str | None) -> float:
    try:
        reply = json.loads(content)
        choice = reply["choices"][0]
        text, end = choice["message"].get("content"), choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise _PassingError(f"it is no chat completion: {_clean(content, key)}") from error
    _count(reply, budget)
    if end == "content_filter":
        raise FilteredError
    if end == "length":
        raise _PassingError("it breaks off; raise max_tokens")
    if not isinstance(text, str):
        raise _PassingError("it has no text")
    try:
        return question.score(text)
    except UnreadableError as error:
        raise _PassingError(f"{error}: {_clean(text[-_SHOWN:], key)}") from error


def _count(reply: Mapping[str, Any], budget: Budget) -> None:
    usage = reply.get("usage")
    given = usage if isinstance(usage, Mapping) else {}
    counts = [given.get(name) for name in ("prompt_tokens", "completion_tokens")]
    whole = [count for count in counts if type(count) is int and count >= 0]
    if len(whole) == len(counts):
        budget.tokens(*whole)
    elif budget.counts_tokens:
        raise JudgeError(
            "the judge's server does not say how many tokens it uses, so that max_total_tokens and "
            "max_cost cannot be kept; use max_requests"
        )


def _asked_wait(header: str | None) -> float | None:
    """What a Retry-After header asks for, in seconds; None where it says nothing."""
    if header is None:
        return None
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*", header):
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _clean(text: str, key: str | None) -> str:
    """What a server said, in one short line without the key, which some servers repeat."""
    text = text if key is None else text.replace(key, "[redacted]")
    shown = " ".join(str(redact(text)).split())
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
