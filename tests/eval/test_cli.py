"""`aligntune eval`, called as the command line calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from aligntune import plugins as aligntune_plugins
from aligntune.errors import AlignTuneError, EvaluationError, NotRegisteredError
from aligntune_eval import plugin
from aligntune_eval.cli import parse_evaluators

if TYPE_CHECKING:
    from aligntune.plugins import Plugins


@pytest.fixture
def app(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(aligntune_plugins, "get", lambda: plugins)
    root = typer.Typer()
    root.callback()(lambda: None)
    plugin.aligntune_cli_commands(root)
    return root


@pytest.fixture
def arguments(tmp_path: Path, model: Any, tokenizer: Any) -> list[str]:
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    rows = [{"prompt": f"{i}+1=", "completion": str(i + 1), "answer": str(i + 1)} for i in range(4)]
    data = tmp_path / "sums.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["eval", str(tmp_path / "model"), "--dataset", str(data), "--max-new-tokens", "3"]


def test_json_is_all_that_stdout_holds(
    app: typer.Typer, arguments: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    extra = ["--metrics", "perplexity,accuracy", "--json", "--output-dir", str(out)]
    result = CliRunner().invoke(app, [*arguments, *extra], catch_exceptions=False)
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed["rows"] == 4
    (measured,) = printed["models"]
    names = [metric["name"] for metric in measured["metrics"]]
    assert names == ["perplexity", "bits_per_byte", "accuracy"]
    assert all(metric["n"] == 4 for metric in measured["metrics"])
    assert len(measured["files"]) == 2
    assert all(Path(path).is_file() for path in measured["files"])


def test_the_table_shows_value_n_and_interval(app: typer.Typer, arguments: list[str]) -> None:
    twice = [arguments[0], arguments[1], *arguments[1:], "--metrics", "accuracy"]
    result = CliRunner().invoke(app, twice, catch_exceptions=False)
    assert "4 rows" in " ".join(result.stdout.split())
    assert "95 % interval" in result.stdout
    assert result.stdout.count("accuracy") == 2


@pytest.mark.parametrize(
    ("extra", "error", "said"),
    [
        (["--metrics", "perplexty"], NotRegisteredError, "did you mean 'perplexity'"),
        (["--metrics", "reward"], EvaluationError, "missing a required argument: 'reward'"),
        (["--param", "accuracy.name=x"], EvaluationError, "'accuracy' is not among the metrics"),
        (["--param", "perplexity.windw=3"], EvaluationError, "did you mean 'window'"),
        (["--param", "perplexity.window=0"], EvaluationError, "window must be at least 1"),
        (["--precision", "fp8"], EvaluationError, "unknown precision"),
        (["--top-p", "0"], EvaluationError, "top_p must be above 0"),
        (["--dataset", "missing.jsonl"], AlignTuneError, "missing.jsonl"),
    ],
)
def test_mistakes_show_before_a_model_loads(
    app: typer.Typer,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    extra: list[str],
    error: type[AlignTuneError],
    said: str,
) -> None:
    monkeypatch.setattr(
        "aligntune_eval.load.load_model", lambda *_, **__: pytest.fail("it loaded a model")
    )
    with pytest.raises(error, match=said):
        CliRunner().invoke(app, [*arguments, *extra], catch_exceptions=False)


def test_a_missing_model_shows_before_the_data_are_read(app: typer.Typer) -> None:
    with pytest.raises(EvaluationError, match="there is no folder"):
        CliRunner().invoke(
            app, ["eval", "./nowhere", "--dataset", "none.jsonl"], catch_exceptions=False
        )


def test_parameters_of_evaluators() -> None:
    params = ["reward.reward=length", "perplexity.window=64", 'reward.params={"a": 1}']
    assert parse_evaluators("reward, perplexity", params) == [
        {"type": "reward", "params": {"reward": "length", "params": {"a": 1}}},
        {"type": "perplexity", "params": {"window": 64}},
    ]
    with pytest.raises(EvaluationError, match=r"EVALUATOR\.KEY=VALUE"):
        parse_evaluators("reward", ["reward"])


def test_the_manifest_imports_nothing_heavy() -> None:
    code = (
        "import sys, typer, aligntune_eval.plugin as p; a = typer.Typer();"
        "p.aligntune_cli_commands(a);"
        "print([m for m in ('torch', 'transformers', 'datasets', 'numpy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_manifest_says_what_the_classes_say(plugins: Plugins) -> None:
    names = ["accuracy", "bleu", "chrf", "custom_metric", "exact_match", "meteor", "perplexity"]
    assert plugins.evaluators.names() == [*names, "reward", "rouge", "ter"]
    for entry in plugins.evaluators:
        assert entry.load().needs == entry.facts.needs
