"""A reward that raises amid a run: the run names it and the sample, and goes on exactly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from aligntune import create_rl_trainer
from aligntune.errors import RewardError
from aligntune.testing import addition_rows, make_model, write_jsonl


class Spread:
    """Differs between random completions; raises in the batch that `broken` names, from 1 on."""

    broken = 0
    batches = 0
    levels = 97

    def __call__(self, completions: list[str], **kwargs: Any) -> list[float]:
        Spread.batches += 1
        if Spread.batches == Spread.broken:
            raise KeyError("the verifier is gone")
        return [50 + sum(map(ord, text)) % Spread.levels / Spread.levels for text in completions]


SPREAD = Spread()


def run(folder: Path, name: str, **more: Any) -> Any:
    return create_rl_trainer(
        backend="trl",
        model_name=str(folder / "model"),
        dataset_name=str(folder / "rows.jsonl"),
        rewards=[
            {"type": "custom", "params": {"reward_function": SPREAD}, "normalize": True},
            {"type": "length", "weight": 0.1, "params": {"max_length": 1}},
        ],
        precision="fp32",
        peft_enabled=False,
        max_completion_length=4,
        max_steps=5,
        save_interval=100,
        logging_steps=1,
        learning_rate=0.01,
        loggers="none",
        output_dir=str(folder / name),
        **more,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rescue")
    make_model(place / "model")
    write_jsonl(place / "rows.jsonl", addition_rows(32))
    return place


GRPO = {"algorithm": "grpo", "batch_size": 4, "num_generations": 2}
# Of two generations within one step the second raises: the first is made again.
ACCUMULATED = {**GRPO, "gradient_accumulation_steps": 2, "rollout_batch_size": 4}
PPO = {"algorithm": "ppo", "batch_size": 2, "gradient_accumulation_steps": 2}
# Likewise, and the first has moved the coefficient of the KL penalty.
ADAPTIVE = {
    **PPO,
    "rollout_batch_size": 2,
    "num_ppo_epochs": 1,
    "target_kl": 1e-4,
    "adap_kl_ctrl": True,
}
# Some groups are equal: the sixth batch is of prompts that were drawn in the place of theirs.
DAPO = {**GRPO, "algorithm": "dapo", "max_resampling": 2}


@pytest.mark.parametrize(
    ("settings", "at"),
    [(GRPO, (4, 3)), (ACCUMULATED, (6, 2)), (PPO, (2, 4)), (ADAPTIVE, (6, 2)), (DAPO, (6, 2))],
    ids=["grpo", "accumulated", "ppo", "adaptive", "dapo"],
)
def test_a_run_whose_reward_raises_goes_on_once_it_is_mended(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    at: tuple[int, int],
) -> None:
    batch, step = at
    monkeypatch.setattr(Spread, "levels", 2 if settings is DAPO else 97)
    name = f"{tmp_path.name}"
    Spread.batches = Spread.broken = 0
    never_stopped = run(folder, f"{name}-whole", **settings)
    never_stopped.train()
    Spread.batches, Spread.broken = 0, batch
    with pytest.raises(RewardError) as caught:
        run(folder, name, **settings).train()
    said = str(caught.value)
    assert "reward 'Spread' raised KeyError: 'the verifier is gone'" in said
    assert "the first is sample 0 of" in said
    assert f"The run is saved at step {step}: mend the reward, and go on with --resume" in said
    status = json.loads((folder / name / "run.json").read_text())
    assert (status["status"], status["error"]) == ("failed", said)
    Spread.broken = 0
    resumed = run(folder, name, **settings)
    resumed.train(resume=True)
    ended, whole = (
        load_file(folder / n / "model/model.safetensors") for n in (name, f"{name}-whole")
    )
    assert all(torch.equal(ended[key], whole[key]) for key in whole)
    for attribute in never_stopped.trainer.moved_by_rollouts:
        kept, wanted = (getattr(ran.trainer, attribute) for ran in (resumed, never_stopped))
        assert kept == wanted, attribute


def test_a_run_that_fails_in_its_first_step_has_nothing_to_save(
    folder: Path, tmp_path: Path
) -> None:
    Spread.batches, Spread.broken = 0, 1
    with pytest.raises(RewardError, match="the verifier is gone") as caught:
        run(folder, tmp_path.name, **GRPO).train()
    assert "saved" not in str(caught.value)
    assert not [*(folder / tmp_path.name).glob("checkpoints/*")]


def test_a_full_disk_does_not_hide_the_reward(folder: Path, tmp_path: Path) -> None:
    Spread.batches, Spread.broken = 0, 3
    ran = run(folder, tmp_path.name, **GRPO)

    def refuse(*given: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    ran.setup()._save_optimizer_and_scheduler = refuse
    with pytest.raises(RewardError, match="the verifier is gone") as caught:
        ran.train()
    said = "The run could not be saved at step 2: OSError: [Errno 28] No space left on device"
    assert said in str(caught.value)
    assert ran.run.last_checkpoint() is None


REWARD = """
from aligntune import RewardFunction

class Steps(RewardFunction):
    '''Differs between random completions.'''
    name = "steps"
    broken = {broken}

    def compute(self, text, step):
        if self.broken and step == 49:
            raise ValueError("no licence")
        return sum(map(ord, text)) % 97 / 97
"""


@pytest.mark.slow
def test_from_the_command_line_at_step_50(tmp_path: Path) -> None:
    make_model(tmp_path / "tiny")
    write_jsonl(tmp_path / "rows.jsonl", addition_rows(32))
    (tmp_path / "grpo.yaml").write_text(
        "algorithm: grpo\n"
        "model: {name_or_path: tiny, precision: fp32, peft_enabled: false}\n"
        "datasets: [{name: rows.jsonl}]\n"
        "rewards: [{type: custom, params: {reward_function: 'mine:Steps'}}]\n"
        "train: {max_steps: 60, per_device_batch_size: 4, num_generations: 2, save_interval: 100,"
        " max_completion_length: 4}\n"
        "logging: {output_dir: run, loggers: none}\n"
    )

    def train(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from aligntune.cli.main import main; sys.argv[0] = 'aligntune'; main()"
        command = [sys.executable, "-c", code, "train", "grpo.yaml", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    (tmp_path / "mine.py").write_text(REWARD.format(broken=True))
    failed = train()
    assert failed.returncode != 0
    assert "reward 'steps' raised ValueError: no licence on sample 0 of 4 (prompt " in failed.stderr
    assert "The run is saved at step 49" in failed.stderr
    assert "Traceback" not in failed.stderr
    (tmp_path / "mine.py").write_text(REWARD.format(broken=False))
    resumed = train("--resume")
    assert resumed.returncode == 0, resumed.stderr
    whole = train("--logging.output-dir", "whole")
    assert whole.returncode == 0, whole.stderr
    ended, other = (load_file(tmp_path / n / "model/model.safetensors") for n in ("run", "whole"))
    assert all(torch.equal(ended[key], other[key]) for key in other)
