"""What a finished run leaves behind, what it must not, and how an interrupted one goes on."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from aligntune.run.paths import FILES, FOLDERS, OF_SOME_RUNS

# One that looks like a token, and one that only its name gives away.
TOKEN = "hf_" + "AlignTuneMustNotWriteThis0"
PASSWORD = "correct horse battery"
STEPS = 6
JUDGE = f'''
def judge(text, api_key):
    """More for more digits; fails without its key, so that the key is known to arrive."""
    assert api_key == {PASSWORD!r}
    return sum(character.isascii() and character.isalnum() for character in text) / 4
'''

Train = Callable[..., int]


@dataclass(frozen=True)
class Finished:
    """A run that is over, and how to train it again: `train(path, *more flags)`."""

    kind: str
    path: Path
    train: Train


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("judge")
    (folder / "their_judge.py").write_text(JUDGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield "their_judge:judge"
    sys.modules.pop("their_judge", None)


@pytest.fixture(scope="module", params=["sft", "grpo"])
def finished(
    request: pytest.FixtureRequest,
    model: Path,
    chat: Path,
    judge: str,
    call: Callable[..., int],
) -> Finished:
    """SFT of the whole model and GRPO of an adapter, with secrets in their configurations."""
    given = {
        "sft": (
            *("--type", "sft", "--batch-size", "2", "--eval-interval", "3"),
            *("--evaluation.evaluators", '["perplexity"]'),
            *("--evaluation.compute_rouge", "true", "--evaluation.compute_bleu", "true"),
        ),
        "grpo": (
            *("--algorithm", "grpo", "--batch-size", "4", "--max-completion-length", "4"),
            *("--rewards.0.type", "custom", "--rewards.0.params.reward_function", judge),
            *("--rewards.0.params.api_key", json.dumps(PASSWORD)),
            *("--rewards.1.type", "length", "--rewards.1.weight", "0.5"),
            *("--evaluation.evaluators", '["accuracy"]', "--evaluation.max_new_tokens", "4"),
        ),
    }[request.param]

    def train(path: Path, *more: str) -> int:
        return call(
            *("train", "--model", model, "--dataset", chat, *given, "--eval-dataset", chat),
            *("--model.model_init_kwargs.token", json.dumps(TOKEN), "--learning-rate", "0.01"),
            *("--max-steps", str(STEPS), "--save-interval", "3", "--logging-steps", "1"),
            *("--evaluation.max_samples", "4", "--eval_datasets.0.max_samples", "4"),
            *("--evaluation.before_training", "true"),
            *("--output-dir", path, *more),
        )

    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    path = factory.mktemp(request.param) / "run"
    assert train(path) == 0
    return Finished(request.param, path, train)


def weights(run: Path) -> dict[str, torch.Tensor]:
    (file,) = (run / "model").glob("*.safetensors")
    return load_file(file)


def trained_lines(run: Path, read_jsonl: Any) -> list[dict[str, Any]]:
    """The lines of the steps, without the clock; SFT of TRL counts tokens from a resumption on."""
    lines = [line for line in read_jsonl(run / "metrics.jsonl") if "loss" in line]
    timed = ("time", "step_time", "num_tokens")
    return [{k: v for k, v in line.items() if k not in timed} for line in lines]


def test_everything_that_is_promised_is_there(finished: Finished) -> None:
    files, folders = (
        [name for name in some if name not in OF_SOME_RUNS] for some in (FILES, FOLDERS)
    )
    assert [name for name in files if not (finished.path / name).stat().st_size] == []
    assert [name for name in folders if not any((finished.path / name).iterdir())] == []
    assert [name for name in OF_SOME_RUNS if (finished.path / name).exists()] == []
    checkpoints = sorted(path.name for path in finished.path.glob("checkpoints/checkpoint-*"))
    assert checkpoints == ["checkpoint-3", "checkpoint-6"]


def test_the_run_says_what_it_was_made_of(finished: Finished, model: Path) -> None:
    read = {name: json.loads((finished.path / f"{name}.json").read_text()) for name in
            ("run", "plan", "environment", "plugins")}  # fmt: skip
    assert (read["run"]["status"], read["run"]["algorithm"]) == ("finished", finished.kind)
    origins = {value["path"]: value["origin"] for value in read["plan"]["values"]}
    assert origins["train.learning_rate"] == "flag --learning-rate"
    assert origins["train.weight_decay"] == "default"
    installed = read["environment"]["packages"]
    assert {"torch", "trl", "transformers", "aligntune-core", "aligntune-trl"} <= set(installed)
    plugins = {plugin["name"]: plugin for plugin in read["plugins"]}
    assert plugins["trl"]["version"] == installed["aligntune-trl"]
    assert plugins["trl"]["status"] == "loaded"


def test_evaluations_are_written_with_their_step(finished: Finished, read_jsonl: Any) -> None:
    found = read_jsonl(finished.path / "evaluation.jsonl")
    expected = "accuracy" if finished.kind == "grpo" else "perplexity"
    measured = [metric for metric in found if metric["name"] == expected]
    during = [("during", 3), ("during", 6)] if finished.kind == "sft" else []
    when = [(metric["when"], metric["step"]) for metric in measured]
    assert when == [("before", 0), *during, ("after", 6)]
    assert measured[0]["n"] > 0


def test_metrics_have_one_line_for_each_step(finished: Finished, read_jsonl: Any) -> None:
    lines = trained_lines(finished.path, read_jsonl)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert len({line["loss"] for line in lines}) > 1
    if finished.kind == "grpo":
        assert {"reward", "rewards/judge/mean", "rewards/length/mean"} <= set(lines[0])


def test_the_final_model_is_the_trained_one_and_loads(finished: Finished, model: Path) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(finished.path / "model")
    tokenizer = AutoTokenizer.from_pretrained(finished.path / "model")
    base = AutoModelForCausalLM.from_pretrained(model)
    inputs = tokenizer("1+2=", return_tensors="pt")
    with torch.inference_mode():
        before, after = (m(input_ids=inputs["input_ids"]).logits for m in (base, loaded))
    assert after.isfinite().all()
    assert not torch.allclose(before, after)
    assert any("lora" in name for name in loaded.state_dict()) == (finished.kind == "grpo")
    (last,) = (finished.path / "checkpoints" / f"checkpoint-{STEPS}").glob("*.safetensors")
    saved, final = load_file(last), weights(finished.path)
    assert saved.keys() == final.keys()
    assert all(torch.equal(saved[name], final[name]) for name in saved)


def test_no_secret_is_written_anywhere(finished: Finished) -> None:
    secrets = [TOKEN] if finished.kind == "sft" else [TOKEN, PASSWORD]
    files = [path for path in finished.path.rglob("*") if path.is_file()]
    assert len(files) > len(FILES)
    leaks = [
        (str(path.relative_to(finished.path)), secret)
        for path in files
        for secret in secrets
        if secret.encode() in path.read_bytes()
    ]
    assert leaks == []


def test_a_resumed_run_ends_where_the_uninterrupted_one_does(
    finished: Finished, tmp_path: Path, read_jsonl: Any
) -> None:
    """The copy stands as a run does that was killed after step 5: the last checkpoint is of 3."""
    copy = tmp_path / "run"
    shutil.copytree(finished.path, copy)
    shutil.rmtree(copy / "checkpoints" / "checkpoint-6")
    shutil.rmtree(copy / "model")
    lines = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(lines[:5]))
    assert finished.train(copy, "--resume") == 0
    first, second = weights(finished.path), weights(copy)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert trained_lines(copy, read_jsonl) == trained_lines(finished.path, read_jsonl)
    for name in ("samples.jsonl", "evaluation.jsonl"):
        if (finished.path / name).exists():
            again = read_jsonl(copy / name)
            assert [r["step"] for r in again] == [
                r["step"] for r in read_jsonl(finished.path / name)
            ]
    said = json.loads((copy / "run.json").read_text())
    assert said["status"] == "finished"
    assert [earlier["status"] for earlier in said["earlier"]] == ["finished"]


def test_a_run_is_replaced_only_on_demand(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished.path, copy)
    (copy / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert finished.train(copy) == 2
    message = capsys.readouterr().err
    assert f"{copy} already holds a run ({finished.kind} finished)" in message
    assert "--resume" in message
    assert "--overwrite" in message
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert finished.train(copy, "--overwrite", "--seed", "1") == 0
    assert (copy / "notes.txt").read_text() == "mine"
    lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, STEPS + 1))
    assert "seed: 1\n" in (copy / "config.yaml").read_text()


def test_samples_have_their_reward_breakdown(finished: Finished, read_jsonl: Any) -> None:
    written = read_jsonl(finished.path / "samples.jsonl")
    assert {s["step"] for s in written if s.get("evaluation")} == {0, STEPS}
    samples = [sample for sample in written if not sample.get("evaluation")]
    if finished.kind == "sft":
        assert samples == []
        assert {"bleu", "rouge1"} <= set(written[0]["rewards"])
        return
    assert {sample["step"] for sample in samples} == set(range(1, STEPS + 1))
    for sample in samples:
        parts = sample["rewards"]
        assert set(parts) == {"judge", "length"}
        assert sample["reward"] == pytest.approx(parts["judge"] + 0.5 * parts["length"])
        digits = sum(c.isascii() and c.isalnum() for c in sample["completion"])
        assert parts["judge"] == pytest.approx(digits / 4)
        assert sample["prompt"][-1]["role"] == "user"
        assert sample["reference"].isdigit()


def test_there_is_nothing_to_resume_in_a_new_folder(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finished.train(tmp_path / "run", "--resume") == 2
    assert "nothing to resume" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
