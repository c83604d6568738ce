"""Packages that `aligntune plugins new` writes: built, installed, tested, used, and missed."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fresh import ROOT, Environment, build_wheels, lending_environment, run

NAMES = {"reward": "word-overlap", "evaluator": "number-share", "backend": "from-scratch"}
# What an environment holds beside the package: core, and what the template builds on.
BESIDE = {
    "reward": ("core", "trl"),
    "evaluator": ("core", "eval", "trl"),
    "backend": ("core", "trl"),
}


@dataclass(frozen=True)
class Package:
    """A package that a template wrote, and its wheel in an environment."""

    folder: Path
    wheel: Path
    environment: Environment

    @property
    def name(self) -> str:
        return self.folder.name.replace("-", "_")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sources = [ROOT / f"aligntune-{name}" for name in ("core", "trl", "eval")]
    return build_wheels(tmp_path_factory.mktemp("ours"), sources)


@pytest.fixture(scope="module")
def made() -> dict[str, Package]:
    """The packages that tests have asked for; each takes half a minute to install."""
    return {}


@pytest.fixture(params=NAMES)
def package(
    request: pytest.FixtureRequest,
    made: dict[str, Package],
    ours: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Package:
    kind = request.param
    if kind not in made:
        made[kind] = make_package(kind, ours, tmp_path_factory.mktemp(kind))
    return made[kind]


def make_package(kind: str, ours: dict[str, Path], work: Path) -> Package:
    name = NAMES[kind]
    environment = lending_environment(work)
    beside = [ours[f"aligntune-{other}"] for other in BESIDE[kind]]
    environment.pip("install", "--no-compile", "--no-deps", *beside)
    done = environment.aligntune("plugins", "new", kind, name, cwd=work)
    assert done.returncode == 0, done.stderr
    wheel = build_wheels(work / "wheels", [work / name])[name]
    environment.pip("install", "--no-compile", "--no-deps", wheel)
    return Package(work / name, wheel, environment)


@pytest.mark.parametrize("package", NAMES, indirect=True)
def test_a_package_passes_its_tests_at_once(package: Package) -> None:
    python = package.environment.path / "bin" / "python"
    variables = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = (python, "-m", "pytest", "-q", "-p", "no:cacheprovider", package.folder)
    done = run(*command, cwd=package.folder, variables=variables, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"\d+ passed", done.stdout.splitlines()[-1])
    where = package.environment.python(f"import {package.name}; print({package.name}.__file__)")
    assert where.stdout.startswith(str(package.environment.path))


@pytest.mark.parametrize("package", ["reward"], indirect=True)
def test_a_reward_from_elsewhere_trains_by_name_and_is_missed_by_name(
    package: Package, model: Path, chat: Path, tmp_path: Path, read_jsonl: Any
) -> None:
    environment = package.environment
    assert set(environment.plugins()) == {"trl", "word-overlap"}
    config = grpo(tmp_path, model, chat, package.name)
    done = environment.aligntune("train", config)
    assert done.returncode == 0, done.stderr
    run_directory = tmp_path / "run"
    assert json.loads((run_directory / "run.json").read_text())["status"] == "finished"
    samples = read_jsonl(run_directory / "samples.jsonl")
    assert {sample["step"] for sample in samples} == {1, 2}
    for sample in samples:
        value = overlap(sample["completion"], sample["reference"])
        assert sample["rewards"] == {package.name: pytest.approx(value)}

    environment.pip("uninstall", "--yes", "word-overlap")
    said = environment.fails("train", config)
    assert "unknown reward 'word_overlap'" in said
    assert f"the run in {run_directory} had it from word-overlap 0.1.0" in said
    assert f'pip install "{package.wheel.as_uri()}"' in said
    # As the error says.
    environment.pip("install", "--no-compile", "--no-deps", package.wheel.as_uri())
    assert environment.aligntune("validate", config).returncode == 0


@pytest.mark.parametrize("package", ["evaluator"], indirect=True)
def test_an_evaluator_from_elsewhere_is_listed_measures_chooses_and_stands_in_both_reports(
    package: Package, model: Path, chat: Path, tmp_path: Path, read_jsonl: Any
) -> None:
    environment, name = package.environment, package.name
    listed = json.loads(environment.aligntune("eval", "list", "--json").stdout)["evaluators"]
    (entry,) = [entry for entry in listed if entry["name"] == name]
    assert (entry["distribution"], entry["available"]) == ("number-share", True)

    config = tmp_path / "config.yaml"
    values = {
        "algorithm": "sft",
        "model_name": str(model),
        "dataset_name": str(chat),
        "eval_datasets": [{"name": str(chat)}],
        "max_steps": 2,
        "eval_interval": 1,
        "save_interval": 1,
        "metric_for_best_model": name,
        "evaluation": {"evaluators": [name], "before_training": True, "max_new_tokens": 4},
        "logging": {"output_dir": str(tmp_path / "run"), "loggers": ["none"]},
    }
    config.write_text(yaml.safe_dump(values))
    done = environment.aligntune("train", config)
    assert done.returncode == 0, done.stderr
    lines = read_jsonl(tmp_path / "run" / "evaluation.jsonl")
    assert [(line["when"], line["name"], line["n"]) for line in lines] == [
        (when, name, 24) for when in ("before", "during", "during", "after")
    ]
    assert name in (tmp_path / "run" / "report.html").read_text()

    trained = tmp_path / "run" / "model"
    given = ("--dataset", chat, "--metrics", name, "--max-new-tokens", "4")
    done = environment.aligntune("eval", trained, *given, "--output-dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert name in (tmp_path / "out" / "report.html").read_text()
    (found,) = (tmp_path / "out").glob("*/results_*.json")
    (metric,) = json.loads(found.read_text())["aligntune"]["tasks"]["chat"]["metrics"]
    after = lines[-1]
    assert {key: metric[key] for key in ("name", "value", "n", "low", "high")} == {
        key: after[key] for key in ("name", "value", "n", "low", "high")
    }


def grpo(folder: Path, model: Path, chat: Path, reward: str) -> Path:
    path = folder / "config.yaml"
    values = {
        "algorithm": "grpo",
        "model_name": str(model),
        "dataset_name": str(chat),
        "rewards": [{"type": reward, "params": {"ignore_case": False}}],
        "max_steps": 2,
        "batch_size": 4,
        "max_completion_length": 8,
        "logging": {"output_dir": str(folder / "run"), "loggers": ["none"]},
        "logging_steps": 1,
    }
    path.write_text(yaml.safe_dump(values))
    return path


def overlap(text: str, reference: str) -> float:
    """The F1 score of the words, by its definition as precision and recall."""
    found, wanted = (Counter(re.findall(r"\w+", part)) for part in (text, reference))
    shared = sum((found & wanted).values())
    if not shared:
        return 0.0
    precision, recall = shared / found.total(), shared / wanted.total()
    return 2 * precision * recall / (precision + recall)
