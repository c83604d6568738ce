"""lm-eval reads the models that a run writes, and its readers the files that our runner writes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lm_eval_files import answer_task, choice_task, text_task

from aligntune import create_sft_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_eval.runner.runner import TaskResult, evaluate_models

pytest.importorskip("lm_eval")

TEXTS = ["A short text.", "Größe, 漢字 and 🙂.", "word " * 150, "", "one\n\nthree"]
TASKS = ("choice", "answers", "texts")


@dataclass
class Place:
    """Two finished runs, three tasks, and what our runner says of the runs."""

    folder: Path
    models: dict[str, Path]
    arguments: dict[str, dict[str, str]]
    results: dict[str, list[TaskResult]]

    def files(self, model: str) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
        """The results file and the sample lines by task."""
        found = self.results[model]
        assert found[0].files is not None
        lines = {
            each.task: [json.loads(line) for line in each.files.samples.read_text().splitlines()]
            for each in found
            if each.files is not None
        }
        return json.loads(found[0].files.results.read_text()), lines


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("lm_eval")
    base = make_model(folder / "base", initializer_range=0.3)
    write_jsonl(folder / "rows.jsonl", addition_rows(16))
    settings: dict[str, Any] = {
        "model_name": str(base),
        "dataset_name": str(folder / "rows.jsonl"),
        "backend": "trl",
        "precision": "fp32",
        "max_steps": 2,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "loggers": "none",
    }
    lora: dict[str, Any] = {
        "peft_enabled": True,
        "lora_rank": 4,
        "target_modules": ["q_proj", "v_proj"],
    }
    models = {
        name: create_sft_trainer(**settings, output_dir=str(folder / name), **more).train().model
        for name, more in (("full", {}), ("adapter", lora))
    }
    arguments = {
        "full": {"pretrained": str(models["full"])},
        "adapter": {"pretrained": str(base), "peft": str(models["adapter"])},
    }
    rows = [{"question": f"{n}+{n}=", "answer": str(2 * n)} for n in range(6)]
    tasks = folder / "tasks"
    paths = [choice_task(tasks), answer_task(tasks, rows), text_task(tasks, TEXTS)]
    results = {
        name: evaluate_models(
            [model], [str(path) for path in paths], output_dir=folder / "ours", device="cpu"
        )
        for name, model in models.items()
    }
    return Place(folder, models, arguments, results)


def numbers_of(results: dict[str, Any]) -> dict[str, Any]:
    """Every metric and standard error of a results file of lm-eval's shape."""
    return {
        f"{task} {key}": value
        for task, measured in results["results"].items()
        for key, value in measured.items()
        if "," in key
    }


def same_numbers(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key] == value or math.isclose(ours[key], value, rel_tol=1e-6), key


@pytest.mark.parametrize("model", ["full", "adapter"])
def test_lm_eval_loads_what_a_run_wrote(place: Place, model: str) -> None:
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(place.folder / "tasks"), include_defaults=False)
    asked = HFLM(**place.arguments[model], device="cpu", batch_size=16)
    theirs = lm_eval.simple_evaluate(asked, tasks=list(TASKS), task_manager=manager)
    assert theirs is not None
    same_numbers(numbers_of(place.files(model)[0]), numbers_of(theirs))


def test_the_two_runs_are_two_models(place: Place) -> None:
    full, adapter = (numbers_of(place.files(name)[0]) for name in ("full", "adapter"))
    assert full["texts bits_per_byte,none"] != adapter["texts bits_per_byte,none"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["full", "adapter"])
def test_the_command_of_lm_eval_writes_what_our_runner_writes(place: Place, model: str) -> None:
    out = place.folder / f"theirs-{model}"
    given = ",".join(f"{key}={value}" for key, value in place.arguments[model].items())
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", given]
    command += ["--tasks", *TASKS, "--include_path", str(place.folder / "tasks")]
    command += ["--device", "cpu", "--batch_size", "16", "--log_samples"]
    done = subprocess.run(
        [*command, "--output_path", str(out)],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "|exact_match" in done.stdout
    (file,) = out.glob("*/results_*.json")
    theirs = json.loads(file.read_text())
    ours, lines = place.files(model)
    same_numbers(numbers_of(ours), numbers_of(theirs))
    assert ours["task_hashes"] == theirs["task_hashes"]
    for key in ("versions", "n-shot", "higher_is_better", "n-samples"):
        assert ours[key] == theirs[key], key
    for task in TASKS:
        (file,) = out.glob(f"*/samples_{task}_*.jsonl")
        pairs = zip(lines[task], map(json.loads, file.read_text().splitlines()), strict=True)
        for mine, other in pairs:
            if other["resps"] == [["0"]]:  # the sum over no token, an integer to lm-eval
                other |= {"resps": [["0.0"]], "filtered_resps": ["0.0"]}
            assert {key: mine.get(key) for key in other} == other


def test_the_table_of_lm_eval_shows_our_results(place: Place) -> None:
    from lm_eval.utils import make_table

    table = make_table(place.files("full")[0])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    acc = next(row for row in rows if row[:1] == ["choice"])
    found = next(r for r in place.results["full"] if r.task == "choice").evaluation.metric("acc")
    assert acc[4:] == ["acc", "↑", f"{found.value:.4f}", "±", f"{found.stderr:.4f}"]
    assert sum(row[4] in {"exact_match", "acc", "acc_norm", "bits_per_byte"} for row in rows) == 4


def test_lm_eval_finds_task_and_time_in_the_names_of_our_files(place: Place) -> None:
    from lm_eval import utils

    names = [str(path) for path in sorted((place.folder / "ours").rglob("*.json*"))]
    results = utils.get_results_filenames(names)
    samples = utils.get_sample_results_filenames(names)
    assert len(results) == 2
    assert len(samples) == 6
    assert {utils.get_file_task_name(Path(name).name) for name in samples} == set(TASKS)
    newest = utils.get_latest_filename(results)
    assert Path(newest).parent.name == utils.sanitize_model_name(str(place.models["adapter"]))
    stamp = utils.get_file_datetime(Path(newest).name).removesuffix(".json")
    assert {utils.get_file_datetime(Path(name).name) for name in samples if stamp in name} == {
        stamp
    }


def test_the_logger_of_lm_eval_for_wandb_takes_our_results(place: Place) -> None:
    from lm_eval.loggers.wandb_logger import WandbLogger

    results, _ = place.files("full")
    # What the logger makes of results and samples, without the service that it sends it to.
    logger = WandbLogger.__new__(WandbLogger)
    logger.post_init(results)
    logger._get_config()
    _, flat = logger._sanitize_results_dict()
    found = next(r for r in place.results["full"] if r.task == "choice").evaluation
    assert flat["choice/acc"] == found.metric("acc").value
    assert flat["choice/acc_stderr"] == found.metric("acc").stderr


def test_samples_load_as_a_data_set(place: Place) -> None:
    """lm-eval uploads samples as data sets of the hub; `datasets` has to read them."""
    import datasets

    for each in place.results["full"]:
        assert each.files is not None
        loaded = datasets.load_dataset("json", data_files=str(each.files.samples), split="train")
        assert loaded["doc_id"] == list(range(len(each.rows)))
        assert loaded["target"] == [line["target"] for line in place.files("full")[1][each.task]]
