"""What README and the pages of the documentation show is what happens: every snippet is run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from snippets import Reader, Snippet, snippets

from aligntune import plugins
from aligntune.config import DatasetConfig, EvaluationConfig, ModelConfig, TrainingConfig
from aligntune.config.section import Section, extra_of
from aligntune.core.backend_factory import create_sft_trainer
from aligntune.quickstart import make as make_quickstart
from aligntune.testing import addition_rows, make_model, write_jsonl

ROOT = Path(__file__).parents[2]
# Followed elsewhere: by test_first_reward_plugin.py, with AlignTune from wheels.
ELSEWHERE = ("docs/first-reward-plugin.md",)
PAGES = [
    str(path.relative_to(ROOT))
    # docs/rewards/*.md are read where the libraries of the rewards are, by tests/rewards.
    for pattern in (
        "*.md",
        "aligntune-*/README.md",
        "docs/*.md",
        "docs/algorithms/*.md",
        "docs/evaluation/*.md",
    )
    for path in sorted(ROOT.glob(pattern))
    if str(path.relative_to(ROOT)) not in ELSEWHERE
]
# Snippets that are not run: a part of their text, and the reason.
NOT_RUN = {
    "nox -s": "runs these tests, or takes minutes; `.ci/run` runs the sessions",
    "python -m pip install ./aligntune-core": "needs an index; tests of wheels install them",
    "pip install -c constraints.txt": "makes the environment that these tests run in",
    'pip install "aligntune-rewards[math]"': "needs an index",
    "pip install aligntune-": "needs an index; `nox -s minimal` installs wheels",
    "$ aligntune quickstart": "takes two minutes; a slow test runs it",
    "$ lm_eval run": "reads all tasks of lm-eval for half a minute; a slow test runs it",
    "$ aligntune eval quickstart/sft quickstart/grpo": "two models that take minutes to train",
    "step50 ": "two models that take a minute to train",
}
# What is on the page before it needs to be there, beside the local files of `place`.
NEEDED = {
    "docs/index.md": ("sft.yaml",),
    "docs/architecture.md": ("sft.yaml",),
    "docs/cli.md": ("sft.yaml", "grpo.yaml"),
    "docs/plugins.md": ("sft.yaml", "grpo.yaml"),
}


def reason_not_to_run(snippet: Snippet) -> str | None:
    return next((why for part, why in NOT_RUN.items() if part in snippet.text), None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that pages name: models, data, a finished run.

    A relative path wins over a name on the hub, so `Qwen/Qwen3-0.6B` is a small local model here.
    """
    folder = tmp_path_factory.mktemp("place")
    tiny = make_model(folder / "tiny")
    for name in ("Qwen/Qwen3-0.6B", "step400", "step61"):
        shutil.copytree(tiny, folder / name)
    rows = addition_rows(64)
    write_jsonl(folder / "sums.jsonl", rows)
    write_jsonl(folder / "held_out.jsonl", addition_rows(64, seed=1))
    alpaca = [{"instruction": r["prompt"], "input": "", "output": r["completion"]} for r in rows]
    write_jsonl(folder / "tatsu-lab" / "alpaca" / "rows.jsonl", alpaca)
    for snippet in snippets(ROOT / "docs" / "configuration.md"):
        if snippet.file in ("sft.yaml", "grpo.yaml"):
            (folder / snippet.file).write_text(snippet.text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_quickstart(Path("quickstart"))
        patch.setenv("TENSORBOARD_LOGGING_DIR", "")
        create_sft_trainer("sft.yaml", max_steps=1, output_dir="output/my-run").train()
    return folder


@pytest.fixture
def folder(place: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(place, tmp_path / "here"))


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python of a page runs in this process, which forgets what it changed."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")
    yield
    plugins.configure()


@pytest.fixture
def reader(request: pytest.FixtureRequest, folder: Path, environment: dict[str, str]) -> Reader:
    page = request.node.callspec.params["page"]
    for name in {"sft.yaml", "grpo.yaml"} - set(NEEDED.get(page, ())):
        (folder / name).unlink()
    if page == "docs/plugins.md":
        install_strangers(Path(environment["PYTHONPATH"]))
    base = {"model_name": "tiny", "dataset_name": "sums.jsonl"}
    return Reader(folder, environment, base)


STRANGER = """
from aligntune.hookspecs import hookimpl


@hookimpl
def aligntune_register_rewards(register):
    register("politeness", "math:fabs", summary="says please")
"""
STRANGERS = (
    ("broken-driver", "0.3", ">=0.1,<0.2", "raise RuntimeError('no such driver')\n"),
    ("future-rewards", "2.0", ">=1", STRANGER),
    ("polite-one", "1.1", ">=0.1,<0.2", STRANGER),
    ("polite-two", "2.0", ">=0.1,<0.2", STRANGER),
)


def install_strangers(site: Path) -> None:
    """The four plugins from elsewhere that docs/plugins.md speaks of, as pip would leave them."""
    for name, version, core, source in STRANGERS:
        module = name.replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            f"Requires-Dist: aligntune-core{core}\n"
        )
        (info / "entry_points.txt").write_text(f"[aligntune]\n{name} = {module}\n")
        (site / f"{module}.py").write_text(source)


@pytest.mark.parametrize("page", PAGES)
def test_every_snippet_of_the_page_runs(page: str, reader: Reader) -> None:
    for snippet in snippets(ROOT / page, page):
        if reason_not_to_run(snippet) is None:
            reader.follow(snippet)


def test_every_exception_is_needed() -> None:
    text = "\n".join(s.text for page in PAGES for s in snippets(ROOT / page))
    assert [part for part in NOT_RUN if part not in text] == []


def test_the_defaults_on_the_page_are_those_of_the_schema() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    table = page.partition("## Defaults of SFT and of RL")[2].partition("\n## ")[0]
    said = {
        path: (yaml.safe_load(sft), yaml.safe_load(rl))
        for path, sft, rl in re.findall(r"^\| `(\S+)` \| (.+) \| (.+) \|$", table, re.MULTILINE)
    }
    # YAML reads the bare word of one of them as false.
    said["train.eval_strategy"] = ("steps", "no")
    assert said == dict(_different_defaults())


def _different_defaults() -> Iterator[tuple[str, tuple[Any, Any]]]:
    sections: dict[str, type[Section]] = {
        "model": ModelConfig,
        "datasets": DatasetConfig,
        "train": TrainingConfig,
        "evaluation": EvaluationConfig,
    }
    for prefix, section in sections.items():
        for name, field in section.model_fields.items():
            if "rl" in extra_of(field):
                sft = field.get_default(call_default_factory=True)
                plain = json.loads(json.dumps([sft, extra_of(field)["rl"]]))
                yield f"{prefix}.{name}", (plain[0], plain[1])
