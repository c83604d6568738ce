"""What a judge may cost: requests, tokens, money. Beyond that nothing is asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Budget", "BudgetExceededError", "Usage"]


class BudgetExceededError(RuntimeError):
    """The judge's budget is spent."""


@dataclass
class Usage:
    """What was used so far. `cost` is in the unit of the prices."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __str__(self) -> str:
        said = f"{self.requests} requests, {self.tokens_in} + {self.tokens_out} tokens"
        return f"{said}, cost {self.cost:.4g}" if self.cost else said


@dataclass
class Budget:
    """Limits of this process, checked before each request, retries included.

    What is under way when a limit is reached still counts, so that tokens and cost may exceed it by
    what `concurrency` requests use.
    """

    max_requests: int | None = None
    max_total_tokens: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    used: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        for name in ("max_requests", "max_total_tokens", "max_cost"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} is {limit}; it must be above 0, or be left out")
        if not all(0 <= price < float("inf") for price in (self.price_in, self.price_out)):
            raise ValueError("price_in and price_out are prices of a million tokens, not below 0")
        if self.max_cost is not None and self.price_in == self.price_out == 0:
            raise ValueError(
                "max_cost needs price_in and price_out, the prices of a million tokens"
            )
        self._lock = threading.Lock()

    @property
    def counts_tokens(self) -> bool:
        """Whether a reply must say how many tokens it used."""
        return self.max_total_tokens is not None or self.max_cost is not None

    def request(self) -> None:
        """Count a request that is about to be made.

        Raises:
            BudgetExceededError: if a limit is reached.
        """
        with self._lock:
            used = self.used
            for name, value in (
                ("max_requests", used.requests),
                ("max_total_tokens", used.tokens_in + used.tokens_out),
                ("max_cost", used.cost),
            ):
                limit = getattr(self, name)
                if limit is not None and value >= limit:
                    raise BudgetExceededError(
                        f"raise {name} to go on; the judge's budget is spent: {name} is {limit:g}, "
                        f"and this process has used {used}"
                    )
            used.requests += 1

    def tokens(self, tokens_in: int, tokens_out: int) -> None:
        """Count the tokens of a reply."""
        with self._lock:
            self.used.tokens_in += tokens_in
            self.used.tokens_out += tokens_out
            self.used.cost += (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
