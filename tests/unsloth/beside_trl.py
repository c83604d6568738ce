"""The same run through Unsloth and on plain TRL: what the tests that compare the two share."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl

LORA: dict[str, Any] = {"lora_rank": 4, "target_modules": ["q_proj", "v_proj"]}
PLAIN = """
import json, sys
from aligntune import create_rl_trainer
create_rl_trainer(**json.loads(sys.argv[1])).train()
"""
Line = dict[str, float]
Lines = list[Line]
Both = tuple[Lines, Lines]
Settings = Callable[..., dict[str, Any]]


@contextlib.contextmanager
def prepared(folder: Path, module: str, reward: str, spread: float) -> Iterator[Path]:
    """A folder with `model` and `rows.jsonl`; its rewards can be imported, here and in a child.

    Args:
        folder: an empty one.
        module: what the rewards are imported from.
        reward: its source.
        spread: of the model's weights.
    """
    make_model(folder / "model", initializer_range=spread)
    write_jsonl(folder / "rows.jsonl", addition_rows(32))
    (folder / f"{module}.py").write_text(reward)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield folder


def common(folder: Path, backend: str, *, adapter: bool, reward: str) -> dict[str, Any]:
    """What all these runs are told; four steps, of which the second is saved."""
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": backend,
        "output_dir": str(folder / f"{backend}-{adapter}"),
        "max_steps": 4,
        "gradient_accumulation_steps": 2,
        "num_ppo_epochs": 2,
        "learning_rate": 1e-3,
        "max_seq_length": 64,
        "peft_enabled": adapter,
        "precision": "fp32",
        "logging_steps": 1,
        "save_interval": 2,
        "loggers": "none",
        "rewards": [{"type": "custom", "params": {"reward_function": reward}}],
        **(LORA if adapter else {}),
    }


def logged(path: Path, names: Sequence[str]) -> Lines:
    """Of each step what is called so, or begins so where a name ends with a slash."""
    begin = tuple(name for name in names if name.endswith("/"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {n: v for n, v in line.items() if n in names or n.startswith(begin)}
        for line in lines
        if "loss" in line
    ]


def both(settings: Settings, folder: Path, names: Sequence[str], adapter: bool) -> Both:
    """What a run through Unsloth logs, and what one on plain TRL does in a process of its own."""
    plain = settings(folder, "trl", adapter=adapter)
    subprocess.run([sys.executable, "-c", PLAIN, json.dumps(plain)], check=True)
    run = create_rl_trainer(**settings(folder, "unsloth", adapter=adapter)).train()
    expected = logged(Path(plain["output_dir"]) / "metrics.jsonl", names)
    assert len(expected) == 4
    return logged(run.metrics, names), expected


def comparable(found: Lines, expected: Lines, adapter: bool) -> Iterator[tuple[Line, Line]]:
    """The steps of which the numbers must agree.

    Unsloth draws an adapter's random start otherwise. At first that changes nothing but gradients,
    so with an adapter it is the first step alone, without the norm of its gradient.
    """
    if adapter:
        found, expected = ([{**lines[0], "grad_norm": 0.0}] for lines in (found, expected))
    yield from zip(found, expected, strict=True)


def resumes_exactly(
    settings: Settings, folder: Path, to: Path, names: Sequence[str], **more: Any
) -> bool:
    """Whether a run that stops at its second step goes on as one that does not stop."""

    def make(name: str, **until: Any) -> Any:
        given = settings(folder, "unsloth", **more, **until)
        return create_rl_trainer(**given | {"output_dir": str(to / name)})

    whole = logged(make("whole").train().metrics, names)
    make("parts", stop_after_steps=2).train()
    return logged(make("parts").train(resume=True).metrics, names) == whole
