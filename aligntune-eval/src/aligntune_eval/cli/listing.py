"""`aligntune eval list`: the tasks and evaluators that are installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligntune.facts import EvaluatorFacts, TaskFacts
    from aligntune.registry import Entry

__all__ = ["list_command"]


def list_command(*, as_json: bool) -> None:
    """Print every task and every evaluator, whose it is, and what would bring what is missing."""
    from aligntune import plugins as installed
    from aligntune.cli.console import print_json

    plugins = installed.get()
    tasks = [_task(entry) for entry in plugins.tasks]
    evaluators = [_evaluator(entry) for entry in plugins.evaluators]
    for lines in (tasks, evaluators):
        lines.sort(key=lambda line: (line["distribution"], line.get("category", ""), line["name"]))
    if as_json:
        print_json({"tasks": tasks, "evaluators": evaluators})
        return
    _show("tasks", tasks, ("category", "category"))
    _say_lm_eval()
    _show("evaluators", evaluators, ("needs", "needs"))


def _say_lm_eval() -> None:
    import importlib.util

    from aligntune.cli.console import out

    here = importlib.util.find_spec("lm_eval") is not None
    more = "`lm-eval ls tasks` lists them" if here else 'pip install "aligntune-eval[lm-eval]"'
    text = f"a task of lm-eval is written lm_eval:NAME; {more}"
    out.print(f"\n{text}", highlight=False, markup=False, soft_wrap=True)


def _common(entry: Entry[Any]) -> dict[str, Any]:
    from aligntune.scoring.build import missing_packages

    missing = missing_packages(entry.facts)
    install = entry.facts.install
    return {
        "name": entry.name,
        "distribution": entry.owner.distribution,
        "version": entry.owner.version,
        "summary": entry.facts.summary,
        "aliases": list(entry.facts.aliases),
        "packages": list(entry.facts.packages),
        "missing": missing,
        "available": not missing,
        "install": f'pip install "{install}"' if missing and install else "",
    }


def _task(entry: Entry[TaskFacts]) -> dict[str, Any]:
    return _common(entry) | {"category": entry.facts.category}


def _evaluator(entry: Entry[EvaluatorFacts]) -> dict[str, Any]:
    facts = entry.facts
    return _common(entry) | {"needs": list(facts.needs), "generates": facts.generates}


def _show(kind: str, lines: list[dict[str, Any]], middle: tuple[str, str]) -> None:
    """One table for each distribution, and the commands that bring what is missing."""
    from rich.markup import escape

    from aligntune.cli.console import out, table

    heading, key = middle
    for owner in dict.fromkeys((line["distribution"], line["version"]) for line in lines):
        title = " ".join(filter(None, owner))
        out.print(f"\n[bold]{kind} of {escape(title)}[/]", highlight=False)
        shown = table(kind.removesuffix("s"), heading, "what it measures")
        for line in lines:
            if (line["distribution"], line["version"]) == owner:
                name = line["name"] if line["available"] else f"{line['name']} *"
                cells = (name, _text(line[key]), line["summary"])
                shown.add_row(*map(escape, cells), style=None if line["available"] else "dim")
        out.print(shown)
    if not lines:
        out.print(f"no {kind} are installed")
    missing = [line for line in lines if not line["available"]]
    for command in dict.fromkeys(line["install"] for line in missing):
        these = [line for line in missing if line["install"] == command]
        names = ", ".join(line["name"] for line in these)
        packages = dict.fromkeys(package for line in these for package in line["missing"])
        needs = command or f"needs {', '.join(packages)}"
        out.print(
            f"\n* needs more than is installed: {names}\n  {needs}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _text(value: str | Iterable[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
