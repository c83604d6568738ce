"""Completions that are written down while a run trains (`logging.sample_logging`).

They are drawn from a random state of their own: the losses of the run are those of a run without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from aligntune.errors import ConfigError, Problem
from aligntune_trl.generation import complete

if TYPE_CHECKING:
    from transformers import (
        PreTrainedTokenizerBase,
        TrainerControl,
        TrainerState,
        TrainingArguments,
    )

    from aligntune.config import SampleLoggingConfig
    from aligntune.run import RunDirectory

__all__ = ["CompletionsCallback", "prompts_of"]

PROMPTS = 4  # of the data, where none are set
SHARE = 0.1  # of all steps between samples, where nothing says how often


def prompts_of(settings: SampleLoggingConfig, rows: Iterable[Mapping[str, Any]]) -> list[Any]:
    """The prompts to complete: those that are set, else the first of the data.

    Raises:
        ConfigError: if none are set and the rows are plain text.
    """
    if settings.prompts is not None:
        return list(settings.prompts)
    return [_prompt(row) for row in islice(rows, PROMPTS)]


def _prompt(row: Mapping[str, Any]) -> Any:
    if "prompt" in row:
        return row["prompt"]
    if "messages" in row:
        turns = list(row["messages"])
        while turns and turns[-1]["role"] == "assistant":
            turns.pop()
        return turns
    raise ConfigError(
        Problem(
            "logging.sample_logging.prompts",
            f"rows have no prompt to complete; they have {', '.join(row)}",
            hint="set it to a list of prompts",
        )
    )


class CompletionsCallback(TrainerCallback):
    """Completes the prompts every so many steps and appends what comes to samples.jsonl.

    Args:
        settings: how often, how many, and how they are drawn.
        prompts: strings, or lists of chat messages.
        tokenizer: the tokenizer of the model.
        run: whose samples they are.
        seed: of the run.
        template_arguments: further arguments of the chat template.
    """

    def __init__(
        self,
        settings: SampleLoggingConfig,
        prompts: Sequence[Any],
        tokenizer: PreTrainedTokenizerBase,
        run: RunDirectory,
        *,
        seed: int,
        template_arguments: Mapping[str, Any],
    ) -> None:
        self.settings = settings
        self.prompts = prompts
        self.tokenizer = tokenizer
        self.run = run
        self.seed = seed
        self.template_arguments = template_arguments
        self.interval = 1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        share = self.settings.percent_of_max_steps or SHARE
        self.interval = self.settings.interval_steps or max(1, round(share * state.max_steps))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero and state.global_step % self.interval == 0:
            self._write(kwargs["model"], state.global_step)

    def _write(self, model: Any, step: int) -> None:
        import torch

        wanted = self.settings
        prompts = [prompt for prompt in self.prompts for _ in range(wanted.num_samples)]
        with torch.random.fork_rng():
            torch.manual_seed(self.seed + step)
            texts = complete(
                model,
                self.tokenizer,
                prompts,
                max_new_tokens=wanted.max_new_tokens,
                temperature=wanted.temperature,
                top_p=wanted.top_p,
                template_arguments=self.template_arguments,
            )
        for prompt, text in zip(prompts, texts, strict=True):
            line = {
                "step": step,
                "sample": True,
                "prompt": prompt,
                "completion": text,
                "reward": None,
                "rewards": {},
                "reference": None,
            }
            self.run.append_jsonl(self.run.samples, line)
