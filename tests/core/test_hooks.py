"""Every hook is called by a test plugin here, and has its place in docs/plugins.md."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aligntune import hookspecs
from aligntune.cli.main import app
from aligntune.config import load_config
from aligntune.plan import make_plan
from aligntune.plugins import Plugins

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("aligntune_"))
PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
TABLE = "parameters='toy:TABLE', data='language-modelling'"

# One plugin per hook, and what can be seen once the hook was called.
SOURCES = {
    "aligntune_register_backends": "register('mine', 'json:dumps', summary='s', priority=3)",
    "aligntune_register_algorithms": (
        f"register('mine', 'json:dumps', summary='s', backend='slow', kind='sft', {TABLE})"
    ),
    "aligntune_register_rewards": "register('mine', 'json:dumps', summary='s', range=(0, 2))",
    "aligntune_register_evaluators": "register('mine', 'json:dumps', summary='s', needs=('text',))",
    "aligntune_register_tasks": "register('mine', 'json:dumps', summary='s', category='math')",
    "aligntune_config_resolved": "plan.warnings.append('seen by mine')",
    "aligntune_trainer_callbacks": "return [(plan, run)]",
    "aligntune_run_finished": "run.seen = 'by mine'",
    "aligntune_cli_commands": "app.command('mine')(lambda: None)",
}


def seen(plugins: Plugins, hook: str) -> Any:
    """Make what calls the hook happen, and return what the plugin left behind."""
    if hook.startswith("aligntune_register_"):
        registry = getattr(plugins, hook.removeprefix("aligntune_register_"))
        return registry.get("mine").owner.name
    if hook == "aligntune_config_resolved":
        given = {"algorithm": "toy-sft", "model": "m", "dataset": "d", "batch_size": 2}
        return make_plan(load_config(given), plugins=plugins).warnings[0].rpartition(" ")[2]
    if hook == "aligntune_cli_commands":
        assert plugins.add_commands(app) == []
        return app.registered_commands[-1].name
    run = SimpleNamespace(seen="")
    if hook == "aligntune_run_finished":
        plugins.call("aligntune_run_finished", run=run)
        return run.seen.rpartition(" ")[2]
    found = plugins.call("aligntune_trainer_callbacks", plan="plan", run=run)
    return "mine" if found == [[("plan", run)]] else found


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_reaches_a_plugin(
    hook: str, toy: Plugins, make_dist: Any, discover: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    make_dist("mine", f"@hookimpl\ndef {hook}({arguments}):\n    {SOURCES[hook]}\n")
    assert seen(discover("toy", "mine"), hook) == "mine"


def test_every_hook_has_a_plugin_here() -> None:
    assert sorted(SOURCES) == HOOKS


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_one_sentence(hook: str) -> None:
    doc = inspect.getdoc(getattr(hookspecs, hook))
    assert doc
    assert "\n" not in doc


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook: str) -> None:
    assert re.search(rf"\b{hook}\b", PAGE.read_text()), f"{hook} is missing in docs/plugins.md"


def test_the_page_names_no_hook_that_is_none() -> None:
    named = set(re.findall(r"\baligntune_(?:register_)?[a-z_]+\b", PAGE.read_text()))
    hooks = {name for name in named if name.startswith("aligntune_register_")}
    assert hooks <= set(HOOKS)
