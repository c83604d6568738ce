"""A language model behind an OpenAI-compatible endpoint as the judge of completions."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, get_args

from aligntune.errors import ConfigError, UnavailableError
from aligntune.scoring import RewardBatch, RewardFunction
from aligntune.scoring.conversation import prompt_text
from aligntune.scoring.protocol import SampleError, run_async
from aligntune.scoring.signature import Accepts
from aligntune_rewards.checks import whole
from aligntune_rewards.learned.judging.asking import RUBRIC, Question, Reading, Rubric
from aligntune_rewards.learned.judging.budget import Budget
from aligntune_rewards.learned.judging.cache import ScoreCache
from aligntune_rewards.learned.judging.client import (
    Endpoint,
    FilteredError,
    JudgeError,
    Patience,
)
from aligntune_rewards.learned.judging.panel import Aggregate, Asking, Panel, gathered
from aligntune_rewards.visible import visible

__all__ = ["LlmJudgeReward"]

TooLong = Literal["fail", "cut"]

_CUT = "\n[The rest, {count} characters, is left out.]"
_INF = float("inf")
_NUMBERS = (
    "temperature", "request_timeout", "backoff", "max_wait", "max_requests", "max_total_tokens",
    "max_cost", "price_in", "price_out",
)  # fmt: skip
_OWN_FIELDS = ("model", "messages", "response_format", "stream", "n", "temperature", "max_tokens")


@dataclass(eq=False, repr=False)
class LlmJudgeReward(RewardFunction):
    """The score that a language model gives a completion under a rubric, mapped to 0 to 1.

    The judge is asked through `POST {base_url}/chat/completions`, which vLLM, llama.cpp, Ollama and
    most providers speak. With several samples or judges, the score is their mean.

    What a completion says cannot be taken for the judge's score, or for an instruction of ours:
    material stands between tags with a random number that the completion cannot know, marks of chat
    templates in it are broken, and the score is read only from a tag with that number at the end of
    the reply, or from a reply that is one JSON object. A judge can still be flattered or misled.

    What may pass is tried again. A judge that gives no score in the end is an error, and ends the
    run with a checkpoint; so does a spent budget. A completion that a content filter stops, or that
    is too long, earns 0 and is counted; an empty one earns 0 and is not sent.

    Range: 0 to 1. Higher is better. Columns: those that the rubric names; the prompt is read.
    Needs `pip install "aligntune-rewards[judge]"`, and a server.

    Args:
        base_url: where the server is, up to and with `/v1`.
        model: the judge's name on that server.
        api_key_env: the environment variable that holds the key; unset, no key is sent.
        judges: several judges instead: mappings of `base_url`, `model` and `api_key_env`; what one
            leaves out is taken from above.
        rubric: the instructions, with `{prompt}`, `{completion}`, `{reference}` or any column where
            they go. It asks for no particular form of the score.
        scale: the lowest and the highest score.
        reading: `"tag"` reads the score from a tag at the end of the reply; `"json"` demands one
            JSON object, by `response_format`, of servers that can do that.
        samples: replies of each judge; more than one need a temperature above 0.
        aggregate: what becomes of several scores: `"mean"`, `"median"` or `"min"`.
        temperature: of the judge; None leaves it to the server.
        max_tokens: of a reply; None leaves it to the server.
        system_role: false puts everything into the user's message, for models that know no system
            role.
        extra_body: more fields of the request, such as `{"seed": 1}`.
        max_chars: the longest completion, in characters.
        too_long: `"fail"` gives a longer one 0; `"cut"` shows the judge its beginning, and how much
            is left out.
        concurrency: requests at the same time.
        request_timeout: seconds for one request, from its beginning to the end of the reply.
        retries, backoff, max_wait: further tries, seconds before the first (then doubled), and the
            longest wait; a server's Retry-After is obeyed up to that.
        cache_dir: a folder that keeps scores; the same question is not asked twice.
        max_requests, max_total_tokens, max_cost: the budget of each process, retries included.
        price_in, price_out: the prices of a million tokens, for `max_cost`.

    Raises:
        ValueError: for a value that makes no sense.
        ConfigError: in `load`, if the environment does not hold the key.
        UnavailableError: in `load`, if httpx is not installed.
        JudgeError: when scoring, if a judge gives no score.
        BudgetExceededError: when scoring, if the budget is spent.
    """

    base_url: str = ""
    model: str = ""
    api_key_env: str | None = None
    judges: Sequence[Mapping[str, str]] | None = None
    rubric: str = RUBRIC
    scale: Sequence[float] = (1, 10)
    reading: Reading = "tag"
    samples: int = 1
    aggregate: Aggregate = "mean"
    temperature: float | None = 0.0
    max_tokens: int | None = 1024
    system_role: bool = True
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    max_chars: int = 20_000
    too_long: TooLong = "fail"
    concurrency: int = 8
    request_timeout: float = 60.0
    retries: int = 4
    backoff: float = 1.0
    max_wait: float = 60.0
    cache_dir: str | None = None
    max_requests: int | None = None
    max_total_tokens: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    name = "llm_judge"
    range = (0.0, 1.0)
    cost = "model"

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_numbers()
        scale = self._checked_scale()
        self._rubric = Rubric(self.rubric, scale, self.reading, system_role=self.system_role)
        named = {each.name for each in fields(Budget)} - {"used"}
        self.budget = Budget(**{name: getattr(self, name) for name in named})
        body = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        self._panel = Panel(
            judges=tuple(self._endpoints()),
            samples=self.samples,
            aggregate=self.aggregate,
            body={**self.extra_body, **{k: v for k, v in body.items() if v is not None}},
            concurrency=self.concurrency,
            patience=Patience(self.request_timeout, self.retries, self.backoff, self.max_wait),
            budget=self.budget,
            cache=ScoreCache(self.cache_dir),
        )
        self.requires = self._rubric.names - {"prompt", "completion"}
        self.deterministic = self.temperature == 0

    def _check_choices(self) -> None:
        for name, choices in (
            ("reading", get_args(Reading)),
            ("too_long", get_args(TooLong)),
            ("aggregate", get_args(Aggregate)),
        ):
            if (value := getattr(self, name)) not in choices:
                raise ValueError(f"{name} is {value!r}; it is one of {', '.join(choices)}")
        if self.system_role not in (True, False):
            raise ValueError(f"system_role is {self.system_role!r}; it is true or false")
        if not isinstance(self.extra_body, Mapping):
            raise ValueError("extra_body is a mapping of fields of the request")  # noqa: TRY004
        if own := [name for name in _OWN_FIELDS if name in self.extra_body]:
            raise ValueError(f"extra_body holds {', '.join(own)}, which the reward sets itself")
        try:
            json.dumps(dict(self.extra_body), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"extra_body cannot be written as JSON: {error}") from error

    def _check_numbers(self) -> None:
        for name in ("samples", "concurrency", "max_chars", "max_tokens"):
            if name != "max_tokens" or self.max_tokens is not None:
                whole(name, getattr(self, name), 1)
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                raise ValueError(f"{name} is {value!r}; it must be a number")
        if self.temperature is not None and not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature is {self.temperature}; it must not be below 0")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"samples is {self.samples} at temperature 0, where all replies are the same; set "
                "a temperature above 0, or one sample"
            )

    def _checked_scale(self) -> tuple[float, float]:
        scale = self.scale
        numbers = isinstance(scale, list | tuple) and all(
            isinstance(end, int | float) and not isinstance(end, bool) for end in scale
        )
        if not numbers or len(scale) != 2 or not -_INF < scale[0] < scale[1] < _INF:
            raise ValueError(f"scale is {scale!r}; it is [low, high] with low < high")
        return scale[0], scale[1]

    def _endpoints(self) -> list[Endpoint]:
        shared = {name: getattr(self, name) for name in ("base_url", "model", "api_key_env")}
        if self.judges is not None and (
            isinstance(self.judges, str | Mapping)
            or not all(isinstance(judge, Mapping) for judge in self.judges)
        ):
            raise ValueError(f"judges is a list of mappings of {', '.join(shared)}")
        if self.judges is not None and not self.judges:
            raise ValueError("judges is empty; leave it out, or list at least one")
        made = []
        for judge in [{}] if self.judges is None else self.judges:
            if unknown := sorted(set(judge) - set(shared)):
                raise ValueError(
                    f"judges names {', '.join(unknown)}; each takes {', '.join(shared)}"
                )
            made.append(Endpoint(**{**shared, **judge}))
        if len(set(made)) < len(made):
            raise ValueError("judges lists one twice; ask it more than once with samples")
        return made

    @cached_property
    def accepts(self) -> Accepts:
        """The columns that the rubric names."""
        names = self._rubric.names - {"completion"}
        return Accepts(first="text", names=names, required=self.requires, everything=False)

    def load(self) -> None:
        """See that the client is installed and that the environment holds the keys."""
        if importlib.util.find_spec("httpx") is None:
            raise UnavailableError(
                "reward 'llm_judge' needs httpx, which is not installed: "
                'pip install "aligntune-rewards[judge]"'
            )
        for endpoint in self._panel.judges:
            try:
                endpoint.key()
            except JudgeError as error:
                raise ConfigError(f"reward 'llm_judge': {error}") from error

    def compute(self, text: str, prompt: Any = None, **columns: Any) -> float | None:
        """Score one completion; `columns` are those that the rubric names."""
        return self.compute_batch(RewardBatch.one(text, prompt, **columns))[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        return run_async(self.acompute_batch(batch))

    async def acompute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        rows = [index for index in range(len(batch)) if self._applies(batch, index)]
        values: list[float | None] = [None] * len(batch)
        for index in rows:
            values[index] = self._without_asking(batch.texts[index])
        left = [index for index in rows if values[index] is None]
        questions = [self._question(batch, index) for index in left]
        async with Asking(self._panel) as asking:
            found = await gathered(
                self._judged(asking, index, question)
                for index, question in zip(left, questions, strict=True)
            )
        for index, value in zip(left, found, strict=True):
            values[index] = value
        return values

    async def _judged(self, asking: Asking, index: int, question: Question) -> float:
        low, high = question.scale
        try:
            return (await asking.score(question) - low) / (high - low)
        except FilteredError:
            return self.fail("content filter")
        except Exception as error:
            raise SampleError(self.label, index, error) from error

    def _without_asking(self, text: str) -> float | None:
        """What a completion earns that no judge needs to see."""
        if not visible(text).strip():
            return self.range[0]
        if len(text) > self.max_chars and self.too_long == "fail":
            return self.fail("too long")
        return None

    def _applies(self, batch: RewardBatch, index: int) -> bool:
        """Whether the row has everything that the rubric names."""
        offered = batch.offered()
        return all(offered[name][index] is not None for name in self.requires if name in offered)

    def _question(self, batch: RewardBatch, index: int) -> Question:
        text = batch.texts[index]
        if len(text) > self.max_chars:
            text = text[: self.max_chars] + _CUT.format(count=len(text) - self.max_chars)
        offered = batch.offered()
        if missing := sorted(self._rubric.names - {"completion"} - set(offered)):
            raise ValueError(
                f"its rubric names {', '.join(missing)}, which the batch does not hold"
            )
        material = {
            name: text if name == "completion" else _shown(offered[name][index])
            for name in self._rubric.names
        }
        if "prompt" in material and batch.prompts is not None:
            material["prompt"] = _talk(batch.prompts[index])
        return self._rubric.question(material)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _talk(prompt: Any) -> str:
    """A prompt as the judge reads it: of several messages all, and who says what."""
    if isinstance(prompt, str) or len(prompt) == 1:
        return prompt_text(prompt)
    return "\n\n".join(
        f"[{message.get('role', 'user')}]\n{prompt_text([{**message, 'role': 'user'}])}"
        for message in prompt
    )
