"""Two processes train with TRL's own trainer and one scorer: what is normalized is of both."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aligntune.testing import make_model

SCRIPT = """
import json, sys
from pathlib import Path
import torch.distributed
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
import aligntune
from aligntune.testing import make_tokenizer

folder = Path(sys.argv[1])
scored = []

def spread(text):
    return sum(map(ord, text)) % 97 / 97

entry = {"type": "custom", "params": {"reward_function": spread}}
scorers = {
    how: aligntune.rewards({**entry, "normalize": how}) for how in (True, "batch", "group")
}

class Recorded:
    __name__ = "recorded"
    def __call__(self, prompts, completions, **given):
        totals = {
            str(how): scorer(prompts=prompts, completions=completions, **given)
            for how, scorer in scorers.items()
        }
        scored.append([prompts, scorers[True].last.raw["spread"], totals])
        return totals["True"]

trainer = GRPOTrainer(
    model=str(folder / "model"),
    reward_funcs=[Recorded()],
    args=GRPOConfig(
        output_dir=str(folder / "out"), per_device_train_batch_size=3, num_generations=2,
        max_completion_length=4, max_steps=2, logging_steps=1, report_to="none",
        save_strategy="no", use_cpu=True, bf16=False, seed=1, ddp_backend="gloo",
    ),
    train_dataset=Dataset.from_list([{"prompt": f"{n}="} for n in range(12)]),
    processing_class=make_tokenizer(),
)
trainer.train()
rank = torch.distributed.get_rank()
state = {name: moments.as_dict() for name, moments in scorers[True].running.moments.items()}
(folder / f"rank{rank}.json").write_text(json.dumps({"scored": scored, "running": state}))
torch.distributed.destroy_process_group()
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def ranks(tmp_path: Path) -> list[dict[str, Any]]:
    make_model(tmp_path / "model")
    (tmp_path / "script.py").write_text(SCRIPT)
    # Three completions on each process: the second of three groups is shared between them.
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-port", str(free_port()), str(tmp_path / "script.py")),
            str(tmp_path),
        ],
        check=True,
        timeout=600,
        capture_output=True,
    )
    return [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5


def expected(values: list[float], among: list[float]) -> list[float]:
    mean, deviation = mean_and_deviation(among)
    return [(value - mean) / max(deviation, 1e-6) for value in values]


def test_what_is_normalized_is_of_all_processes(ranks: list[dict[str, Any]]) -> None:
    so_far: list[float] = []
    for of_rank_0, of_rank_1 in zip(ranks[0]["scored"], ranks[1]["scored"], strict=True):
        prompts = [*of_rank_0[0], *of_rank_1[0]]
        raw = [*of_rank_0[1], *of_rank_1[1]]
        so_far += raw
        assert len(prompts) == 6
        assert prompts[2] == prompts[3], "one group is shared"
        groups = [[v for p, v in zip(prompts, raw, strict=True) if p == own] for own in prompts]
        wanted = {
            "True": expected(raw, so_far),
            "batch": expected(raw, raw),
            "group": [expected([v], group)[0] for v, group in zip(raw, groups, strict=True)],
        }
        for how, values in wanted.items():
            totals = [*of_rank_0[2][how], *of_rank_1[2][how]]
            assert totals == pytest.approx(values, abs=1e-9), how
    assert ranks[0]["running"] == ranks[1]["running"]
