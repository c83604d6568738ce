"""`aligntune eval list`: what is installed, whose it is, and what would bring what is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from aligntune import plugins as aligntune_plugins
from aligntune.errors import EvaluationError, UnavailableError
from aligntune.evaluation import EvalTask
from aligntune.facts import EvaluatorFacts, TaskFacts
from aligntune.plugins import Plugins, Register, Switches
from aligntune.registry import Owner
from aligntune_eval import plugin

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

ROWS = [{"prompt": "1+1=", "answer": "2", "completion": "2"}]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = Plugins(Switches(only=frozenset()))
    found.current_owner = Owner("eval", "aligntune-eval", "0.1.0")
    plugin.aligntune_register_evaluators(Register(found, found.evaluators, EvaluatorFacts))
    plugin.aligntune_register_tasks(Register(found, found.tasks, TaskFacts))
    found.current_owner = Owner("mine", "my-tasks", "2.1")
    evaluators = Register(found, found.evaluators, EvaluatorFacts)
    evaluators("brevity", "my_tasks:Brevity", summary="How short [it] is", needs=("prompt",))
    tasks = Register(found, found.tasks, TaskFacts)
    tasks(
        "riddles",
        EvalTask(name="riddles", dataset=ROWS, metrics=["perplexity"]),
        summary="Riddles",
        category="reasoning",
        packages=("no-such-package>=1",),
        install="my-tasks[riddles]",
    )
    monkeypatch.setattr(aligntune_plugins, "get", lambda: found)
    root = typer.Typer()
    root.callback()(lambda: None)
    plugin.aligntune_cli_commands(root)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(root, ["eval", *arguments], catch_exceptions=False)

    return call


def test_json_holds_what_is_installed(call: Any) -> None:
    printed = json.loads(call("list", "--json").stdout)
    by_name = {each["name"]: each for kind in printed.values() for each in kind}
    assert by_name["perplexity"]["needs"] == ["text"]
    assert by_name["perplexity"]["distribution"] == "aligntune-eval"
    assert by_name["gsm8k"]["category"] == "math"
    assert by_name["brevity"]["distribution"] == "my-tasks"
    riddles = by_name["riddles"]
    assert (riddles["available"], riddles["missing"]) == (False, ["no-such-package>=1"])
    assert riddles["install"] == 'pip install "my-tasks[riddles]"'


def test_the_table_has_a_part_for_each_distribution(call: Any) -> None:
    said = call("list").stdout
    for head in ("tasks of aligntune-eval 0.1.0", "tasks of my-tasks 2.1"):
        assert head in said
    assert said.index("evaluators of aligntune-eval 0.1.0") < said.index("evaluators of my-tasks")
    assert "How short [it] is" in said
    assert "riddles *" in said
    assert '* needs more than is installed: riddles\n  pip install "my-tasks[riddles]"' in said
    assert "lm_eval:NAME" in said


def test_a_task_that_lacks_its_library_is_refused_with_the_command(
    call: Any, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UnavailableError, match=r'pip install "my-tasks\[riddles\]"'):
        call(str(tmp_path), "--task", "riddles")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--task", "gsm8k"), "--task"),
        (("--max-samples", "3"), "--limit"),
        (("--no-chat",), "--chat"),
        (("--batch-size", "16"), "--batch-size"),
        (("--output-dir", "x"), "--output-dir"),
    ],
)
def test_flags_of_measuring_are_refused(call: Any, flags: tuple[str, ...], named: str) -> None:
    with pytest.raises(EvaluationError, match=rf"is \./list\), so {named} does not go with it"):
        call("list", *flags)
