"""Wheels of this tree and plugins from outside it, installed where nothing else of AlignTune is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fresh import CONSTRAINTS, ROOT, Environment, build_wheels, environment, lending_environment

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
dependencies = ["aligntune-core{core}"]

[project.entry-points.aligntune]
{entry} = "{module}.plugin"

[tool.hatch.build.targets.wheel]
packages = ["{module}"]
"""
MANIFEST = """
from aligntune.hookspecs import hookimpl


@hookimpl
def aligntune_register_rewards(register):
    register("{reward}", "{module}.reward:score", summary="short completions")
"""
# 1 for an empty completion, falling to 0 at `limit` characters.
REWARD = """
def score(text, limit=8):
    return max(0.0, 1 - len(text) / limit)
"""
TASK_MANIFEST = """
from aligntune.hookspecs import hookimpl


@hookimpl
def aligntune_register_tasks(register):
    register("their_sums", "{module}.task:SUMS", summary="Sums of theirs", category="math")
"""
TASK = """
from aligntune import EvalTask, TaskCategory

SUMS = EvalTask(
    name="their_sums",
    category=TaskCategory.MATH,
    dataset=[{"sum": f"{n}+{n}", "answer": str(2 * n)} for n in range(9)],
    prompt="{{ sum }}=",
    num_fewshot=1,
    metrics=["exact_match"],
    max_new_tokens=4,
)
"""
RAISES_ON_IMPORT = 'raise RuntimeError("no such driver")\n'
CALLS_EXIT = "import sys\n\nsys.exit(3)\n"
RAISES_IN_HOOK = MANIFEST + '    raise KeyError("no such table")\n'
LEAVES_A_MARK = """
import os
from pathlib import Path

Path(os.environ["MARK"]).touch()
"""


@dataclass(frozen=True)
class Plugin:
    """A distribution that a third party might have made."""

    name: str
    manifest: str = MANIFEST
    reward: str = ""
    version: str = "1.0"
    core: str = ">=0.1,<0.2"

    @property
    def entry(self) -> str:
        return self.name.removeprefix("their-")

    def write(self, parent: Path) -> Path:
        module = self.name.replace("-", "_")
        folder = parent / self.name
        (folder / module).mkdir(parents=True)
        values = {"name": self.name, "version": self.version, "core": self.core}
        pyproject = PYPROJECT.format(**values, entry=self.entry, module=module)
        (folder / "pyproject.toml").write_text(pyproject)
        (folder / module / "__init__.py").touch()
        manifest = self.manifest.replace("{reward}", self.reward).replace("{module}", module)
        (folder / module / "plugin.py").write_text(manifest)
        (folder / module / "reward.py").write_text(REWARD)
        (folder / module / "task.py").write_text(TASK)
        return folder


PLUGINS = (
    Plugin("their-brevity", reward="brevity", version="1.2"),
    Plugin("their-import", RAISES_ON_IMPORT),
    Plugin("their-hook", RAISES_IN_HOOK, reward="half"),
    Plugin("their-exit", CALLS_EXIT),
    Plugin("their-future", LEAVES_A_MARK, core=">=1"),
    Plugin("their-one", reward="shared", version="1.1"),
    Plugin("their-two", reward="shared", version="2.0"),
    Plugin("their-sums", TASK_MANIFEST),
)
FAILED = {
    "import": ("failed", "RuntimeError: no such driver"),
    "hook": ("failed", "KeyError: 'no such table'"),
    "exit": ("failed", "it called sys.exit(3)"),
    "future": (
        "incompatible",
        (
            "it needs aligntune-core>=1, and 0.1.0 is installed: "
            'pip install --upgrade "aligntune-core>=1"'
        ),
    ),
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of four distributions of this tree, and of the plugins, by distribution."""
    work = tmp_path_factory.mktemp("wheels")
    sources = [ROOT / f"aligntune-{name}" for name in ("core", "trl", "rewards", "eval")]
    sources += [plugin.write(work / "sources") for plugin in PLUGINS]
    found = build_wheels(work, sources)
    assert set(found) == {source.name for source in sources}
    return found


@pytest.fixture(scope="module")
def light(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Core, the built-in rewards, and every plugin; what they need comes from the index."""
    made = environment(tmp_path_factory.mktemp("light") / "venv")
    ours = [wheels["aligntune-core"], wheels["aligntune-rewards"]]
    made.pip("install", "--no-compile", "-c", CONSTRAINTS, *ours)
    # One of them asks for another core, which pip would refuse or bring.
    made.pip("install", "--no-compile", "--no-deps", *(wheels[p.name] for p in PLUGINS))
    return made


@pytest.fixture(scope="module")
def training(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Core, trl, eval and every plugin from wheels; torch and its like from this environment."""
    made = lending_environment(tmp_path_factory.mktemp("training"))
    names = (*(f"aligntune-{n}" for n in ("core", "trl", "eval")), *(p.name for p in PLUGINS))
    made.pip("install", "--no-compile", "--no-deps", *(wheels[name] for name in names))
    return made


def test_each_plugin_is_listed_with_what_became_of_it(light: Environment) -> None:
    listed = light.plugins()
    assert set(listed) == {"rewards", *(plugin.entry for plugin in PLUGINS)}
    for plugin in PLUGINS:
        said = listed[plugin.entry]
        assert (said["distribution"], said["version"]) == (plugin.name, plugin.version)
    loaded = {name: said for name, said in listed.items() if name not in FAILED}
    assert {said["status"] for said in loaded.values()} == {"loaded"}
    assert "accuracy" in loaded["rewards"]["provides"]["reward"]
    assert loaded["brevity"]["provides"] == {"reward": ["brevity"]}
    assert loaded["sums"]["provides"] == {"task": ["their_sums"]}
    assert loaded["one"]["provides"] == loaded["two"]["provides"] == {"reward": ["shared"]}
    for name, (status, reason) in FAILED.items():
        assert (listed[name]["status"], listed[name]["reason"]) == (status, reason)
        assert listed[name]["provides"] == {}
    # What was built for another core is refused from its metadata alone.
    assert not (light.path / "imported").exists()


def test_everything_else_works_beside_them(light: Environment) -> None:
    done = light.aligntune("rewards", "list", "--json")
    assert done.returncode == 0, done.stderr
    rewards = [(reward["name"], reward["distribution"]) for reward in json.loads(done.stdout)]
    assert ("accuracy", "aligntune-rewards") in rewards
    assert ("brevity", "their-brevity") in rewards
    assert [owner for name, owner in rewards if name == "shared"] == ["their-one", "their-two"]
    # The hook registered it and then raised: the plugin is taken back as a whole.
    assert "half" not in dict(rewards)
    for command in (("--help",), ("plugins",), ("rewards", "list"), ("info",)):
        assert light.aligntune(*command).returncode == 0


def test_off_switches_apply_before_import(light: Environment) -> None:
    off = light.plugins(ALIGNTUNE_DISABLE_PLUGINS="exit,their-one")
    assert {name for name, said in off.items() if said["status"] == "disabled"} == {"exit", "one"}
    only = light.plugins(ALIGNTUNE_PLUGINS="rewards")
    assert {name for name, said in only.items() if said["status"] == "loaded"} == {"rewards"}
    assert {said["status"] for name, said in only.items() if name != "rewards"} == {"disabled"}


def test_strict_mode_stops_at_a_plugin_that_fails(light: Environment) -> None:
    message = light.fails("plugins", ALIGNTUNE_STRICT_PLUGINS="1")
    assert "their-exit 1.0" in message
    assert "sys.exit(3)" in message
    broken = ",".join(FAILED)
    both = {"ALIGNTUNE_STRICT_PLUGINS": "1", "ALIGNTUNE_DISABLE_PLUGINS": broken}
    assert light.aligntune("plugins", **both).returncode == 0


def test_nothing_that_trains_is_installed_and_the_error_names_what_brings_it(
    light: Environment, tmp_path: Path
) -> None:
    message = light.fails("validate", config_file(tmp_path, Path("model"), Path("rows"), "brevity"))
    assert "pip install aligntune-trl" in message


def config_file(folder: Path, model: Path, chat: Path, reward: str) -> Path:
    path = folder / "config.yaml"
    values = {
        "algorithm": "grpo",
        "model_name": str(model),
        "dataset_name": str(chat),
        "rewards": [{"type": reward, "params": {"limit": 20}}],
        "max_steps": 2,
        "batch_size": 4,
        "max_completion_length": 8,
        "logging": {"output_dir": str(folder / "run"), "loggers": ["none"]},
        "logging_steps": 1,
    }
    path.write_text(yaml.safe_dump(values))
    return path


def test_what_trains_comes_from_wheels(training: Environment) -> None:
    code = (
        "import aligntune, aligntune_trl, torch; print(aligntune.__file__, aligntune_trl.__file__)"
    )
    site = str(training.path / "lib")
    assert all(file.startswith(site) for file in training.python(code).stdout.split())
    assert set(training.plugins()) == {"trl", "eval", *(plugin.entry for plugin in PLUGINS)}


def test_a_reward_of_a_third_party_is_used_by_name_from_a_file(
    training: Environment, model: Path, chat: Path, tmp_path: Path, read_jsonl: Any
) -> None:
    config = config_file(tmp_path, model, chat, "brevity")
    done = training.aligntune("train", config)
    assert done.returncode == 0, done.stderr
    run_directory = tmp_path / "run"
    assert json.loads((run_directory / "run.json").read_text())["status"] == "finished"
    samples = read_jsonl(run_directory / "samples.jsonl")
    assert {sample["step"] for sample in samples} == {1, 2}
    for sample in samples:
        expected = max(0.0, 1 - len(sample["completion"]) / 20)
        assert sample["rewards"] == {"brevity": pytest.approx(expected)}
    used = {p["name"]: p for p in json.loads((run_directory / "plugins.json").read_text())}
    assert used["brevity"]["version"] == "1.2"
    assert used["exit"]["status"] == "failed"


def test_a_name_with_two_owners_asks_which(
    training: Environment, model: Path, chat: Path, tmp_path: Path
) -> None:
    message = training.fails("validate", config_file(tmp_path, model, chat, "shared"))
    assert "their-one 1.1 (as 'one:shared')" in message
    assert "their-two 2.0 (as 'two:shared')" in message
    for name in ("one:shared", "two:shared"):
        done = training.aligntune("validate", config_file(tmp_path, model, chat, name))
        assert done.returncode == 0, done.stderr


def test_what_a_failed_plugin_would_have_brought_is_missed_by_name(
    training: Environment, model: Path, chat: Path, tmp_path: Path
) -> None:
    message = training.fails("validate", config_file(tmp_path, model, chat, "half"))
    assert "unknown reward 'half'" in message
    assert "'hook' of their-hook 1.0 is failed (KeyError: 'no such table')" in message


def test_an_uninstalled_reward_is_missed_with_what_there_is(
    training: Environment, model: Path, chat: Path, tmp_path: Path
) -> None:
    training.pip("uninstall", "--yes", "their-brevity")
    message = training.fails("validate", config_file(tmp_path, model, chat, "brevity"))
    assert "unknown reward 'brevity'" in message
    assert "available: shared" in message
    message = training.fails("validate", config_file(tmp_path, model, chat, "accuracy"))
    assert "it comes with aligntune-rewards: pip install aligntune-rewards" in message


def test_a_task_of_a_third_party_is_listed_measured_and_missed_by_name(
    training: Environment, model: Path, tmp_path: Path, read_jsonl: Any
) -> None:
    listed = json.loads(training.aligntune("eval", "list", "--json").stdout)["tasks"]
    (task,) = (task for task in listed if task["name"] == "their_sums")
    assert (task["distribution"], task["category"]) == ("their-sums", "math")
    ask = ("eval", model, "--task", "their_sums", "--limit", "3", "--output-dir", tmp_path)
    done = training.aligntune(*ask, "--json")
    assert done.returncode == 0, done.stderr
    (samples,) = tmp_path.rglob("samples_their_sums_*.jsonl")
    prompts = [sample["doc"]["prompt"] for sample in read_jsonl(samples)]
    assert [prompt.rpartition("\n\n")[2] for prompt in prompts] == ["0+0=", "1+1=", "2+2="]
    training.pip("uninstall", "--yes", "their-sums")
    assert "unknown task 'their_sums'" in training.fails(*ask)
