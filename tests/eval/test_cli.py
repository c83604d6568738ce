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
from aligntune_eval.runner import running

if TYPE_CHECKING:
    from click.testing import Result

    from aligntune.plugins import Plugins

TASK = """\
name: sums_task
dataset: sums.jsonl
reference: "{{ answer }}"
metrics: [exact_match]
max_new_tokens: 3
"""


@pytest.fixture
def call(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model_folder: Path
) -> Any:
    """The command in a folder with a model, rows and a task."""
    monkeypatch.setattr(aligntune_plugins, "get", lambda: plugins)
    monkeypatch.chdir(tmp_path)
    for name in ("model", "other"):
        Path(name).symlink_to(model_folder)
    rows = [{"prompt": f"{i}+1=", "completion": str(i + 1), "answer": str(i + 1)} for i in range(4)]
    Path("sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("task.yaml").write_text(TASK)
    root = typer.Typer()
    root.callback()(lambda: None)
    plugin.aligntune_cli_commands(root)

    def call(*arguments: str, columns: int = 120) -> Result:
        monkeypatch.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(root, ["eval", *arguments], catch_exceptions=False)

    return call


DATA = ("--dataset", "sums.jsonl")
SHORT = (*DATA, "--metrics", "accuracy", "--max-new-tokens", "3")


def test_json_is_all_that_stdout_holds(call: Any) -> None:
    result = call(
        "model", *DATA, "--metrics", "perplexity,accuracy", "--max-new-tokens", "3", "--json",
        "--output-dir", "out",
    )  # fmt: skip
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    (measured,) = printed["results"]
    assert (measured["model"], measured["task"], measured["rows"]) == ("model", "sums", 4)
    names = [metric["name"] for metric in measured["metrics"]]
    assert names == ["perplexity", "bits_per_byte", "accuracy"]
    assert all(metric["n"] == 4 for metric in measured["metrics"])
    assert len(measured["files"]) == 2
    assert all(Path(path).is_file() for path in [*measured["files"], printed["page"]])


def test_the_table_shows_every_number_and_the_difference_of_two_models(call: Any) -> None:
    result = call("model", "other", *SHORT, "--output-dir", "out")
    assert "sums, 4 rows" in result.stdout
    for heading in ("model", "metric", "value", "±", "n", "95 % interval"):
        assert heading in result.stdout
    table, difference = result.stdout.split("other against model")
    assert table.count("accuracy") == 2
    assert "+0" in difference
    assert "out/report.html" in result.stdout


def test_tasks_and_a_data_set_in_one_call(call: Any) -> None:
    result = call("model", "--task", "task.yaml", *DATA, "--json")
    assert [each["task"] for each in json.loads(result.stdout)["results"]] == ["sums_task", "sums"]


def test_tasks_are_named_one_by_one_or_with_commas(call: Any) -> None:
    Path("more.yaml").write_text(TASK.replace("sums_task", "more"))
    for names in (
        ("--task", "task.yaml,more.yaml"),
        ("--task", "task.yaml", "--task", "more.yaml"),
    ):
        printed = json.loads(call("model", *names, "--json").stdout)
        assert [each["task"] for each in printed["results"]] == ["sums_task", "more"]


def test_flags_change_of_a_task_what_they_name(call: Any) -> None:
    flags = ("--limit", "2", "--stop", ";", "--stop", "x", "--seed", "7", "--num-fewshot", "1")
    sampling = ("--temperature", "1", "--top-k", "5", "--top-p", "0.9", "--num-samples", "2")
    call("model", "--task", "task.yaml", *flags, *sampling, "--output-dir", "out")
    (path,) = Path("out/model").glob("results_*.json")
    written = json.loads(path.read_text())
    settings = written["aligntune"]["tasks"]["sums_task"]["settings"]
    assert settings["max_new_tokens"] == 3  # as the task says
    wanted = {"max_samples": 2, "stop": [";", "x"], "seed": 7, "temperature": 1.0, "top_k": 5}
    assert settings.items() >= (wanted | {"top_p": 0.9, "num_samples": 2}).items()
    assert written["n-shot"]["sums_task"] == 1
    assert written["n-samples"]["sums_task"] == {"original": 4, "effective": 2}
    (samples,) = Path("out/model").glob("samples_*.jsonl")
    for line in map(json.loads, samples.read_text().splitlines()):
        assert len(line["resps"][0]) == 2
        assert line["arguments"]["gen_args_0"]["arg_0"].count("+1=") == 2


def test_chat_and_system_prompt_stand_before_the_question(call: Any) -> None:
    flags = ("--chat", "--system-prompt", "Add.", "--limit", "1", "--output-dir", "out")
    call("model", *SHORT, *flags)
    (samples,) = Path("out/model").glob("samples_*.jsonl")
    line = json.loads(samples.read_text())
    asked = line["arguments"]["gen_args_0"]["arg_0"]
    assert asked == "<system>Add.<|end|><user>0+1=<|end|><assistant>"


def test_columns_of_other_names(call: Any) -> None:
    rows = [{"question": "1+1=", "right answer": "2"}]
    Path("named.jsonl").write_text(json.dumps(rows[0]) + "\n")
    columns = ("--prompt-column", "question", "--reference-column", "right answer")
    flags = ("--metrics", "exact_match", "--max-new-tokens", "3", "--output-dir", "out")
    call("model", "--dataset", "named.jsonl", *columns, *flags)
    (samples,) = Path("out/model").glob("samples_*.jsonl")
    line = json.loads(samples.read_text())
    assert (line["arguments"]["gen_args_0"]["arg_0"], line["target"]) == ("1+1=", "2")


def test_the_same_command_again_measures_nothing(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = call("model", *SHORT, "--output-dir", "out")
    with monkeypatch.context() as patch:
        patch.setattr(running, "load_model", lambda *_, **__: pytest.fail("it loaded a model"))
        again = call("model", *SHORT, "--output-dir", "out")
    assert again.stdout == first.stdout
    assert "model on sums: not measured again (finished in" in " ".join(again.stderr.split())
    anew = call("model", *SHORT, "--output-dir", "out", "--overwrite", "--json")
    assert json.loads(anew.stdout)["results"][0]["state"] == "measured"


def test_ctrl_c_says_how_to_go_on(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = json.loads(call("model", *SHORT, "--json").stdout)["results"][0]

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running.FileStore, "put", interrupted)
        result = call("model", *SHORT, "--output-dir", "out")
    assert result.exit_code == 130
    assert "what is done is kept in out; the same command goes on from there" in result.stderr
    after = json.loads(call("model", *SHORT, "--output-dir", "out", "--json").stdout)["results"][0]
    assert after["metrics"] == whole["metrics"]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((*DATA, "--metrics", "perplexty"), NotRegisteredError, "did you mean 'perplexity'"),
        ((*DATA, "--metrics", "reward"), EvaluationError, "missing a required argument: 'reward'"),
        ((*DATA, "--param", "accuracy.name=x"), EvaluationError, "'accuracy' is not among the"),
        ((*DATA, "--param", "perplexity.windw=3"), EvaluationError, "did you mean 'window'"),
        ((*DATA, "--param", "perplexity.window=0"), EvaluationError, "window must be at least 1"),
        ((*DATA, "--precision", "fp8"), EvaluationError, "unknown precision"),
        ((*DATA, "--device", "cuda:9"), EvaluationError, "there is no device 'cuda:9' here"),
        ((*SHORT, "--top-p", "0"), EvaluationError, "top_p"),
        ((*SHORT, "--num-samples", "2"), EvaluationError, "temperature"),
        (("--dataset", "missing.jsonl"), AlignTuneError, "missing.jsonl"),
        ((), EvaluationError, "nothing to measure: name a task"),
        (("--task", "sumz"), NotRegisteredError, "unknown task 'sumz'"),
        (
            ("--task", "task.yaml", "--metrics", "bleu"),
            EvaluationError,
            "--metrics says how the row",
        ),
        (("--task", "task.yaml", "--param", "a.b=1"), EvaluationError, "--param says"),
        (("--task", "task.yaml,task.yaml"), EvaluationError, "'sums_task' is named twice"),
        (
            (*DATA, "--max-new-tokens", "256"),
            EvaluationError,
            "--max-new-tokens says how",
        ),
        ((*DATA, "--stop", ";"), EvaluationError, "sums makes none: its metrics are perplexity"),
        ((*SHORT, "--overwrite"), EvaluationError, "--output-dir, which is not given"),
        ((*SHORT, "--prompt-column", "question"), EvaluationError, "no column 'question'; the col"),
        ((*SHORT, "--reference-column", "x"), EvaluationError, "--reference-column: there is no"),
    ],
)
def test_mistakes_show_before_a_model_loads(
    call: Any,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    error: type[AlignTuneError],
    said: str,
) -> None:
    monkeypatch.setattr(running, "load_model", lambda *_, **__: pytest.fail("it loaded a model"))
    with pytest.raises(error, match=said):
        call("model", *arguments)


def test_a_missing_model_shows_before_the_data_are_read(call: Any) -> None:
    with pytest.raises(EvaluationError, match="there is no folder"):
        call("model", "./nowhere", "--dataset", "none.jsonl")


def test_runs_are_compared(call: Any) -> None:
    for out, tokens in (("a", "3"), ("b", "2")):
        call(
            "model", *DATA, "--metrics", "accuracy", "--max-new-tokens", tokens, "--output-dir", out
        )
    result = call("--compare", "a", "b", "--output-dir", "both")
    assert "accuracy" in result.stdout
    assert Path("both/report.html").is_file()
    printed = json.loads(call("--compare", "a", "b", "--json").stdout)
    (comparison,) = printed["comparisons"]
    assert comparison["differences"][0]["metric"] == "accuracy"
    with pytest.raises(EvaluationError, match="--compare measures nothing, so --limit"):
        call("--compare", "a", "b", "--limit", "3")
    with pytest.raises(EvaluationError, match="--compare measures nothing, so --precision"):
        call("--compare", "a", "b", "--precision", "auto")
    with pytest.raises(EvaluationError, match="nowhere does not exist"):
        call("--compare", "a", "nowhere")


def test_parameters_of_evaluators() -> None:
    params = ["reward.reward=length", "perplexity.window=64", 'reward.params={"a": 1}']
    assert parse_evaluators("reward, perplexity", params) == [
        {"type": "reward", "params": {"reward": "length", "params": {"a": 1}}},
        {"type": "perplexity", "params": {"window": 64}},
    ]
    with pytest.raises(EvaluationError, match=r"EVALUATOR\.KEY=VALUE"):
        parse_evaluators("reward", ["reward"])
    with pytest.raises(EvaluationError, match=r"'f1\.name=b': f1\.name is given twice"):
        parse_evaluators("f1", ["f1.name=a", "f1.name=b"])


def test_flags_that_nothing_would_use_are_refused(call: Any) -> None:
    with pytest.raises(
        EvaluationError, match=r"--reference-column .* perplexity compares with none"
    ):
        call("model", "--dataset", "rows.jsonl", "--reference-column", "answer")
    with pytest.raises(EvaluationError, match=r"--fewshot-split .* give --num-fewshot too"):
        call("model", *SHORT, "--fewshot-split", "train")
    given = ("--num-fewshot", "1", "--fewshot-split", "train")
    assert call("model", *SHORT, *given).exit_code == 0


def test_the_manifest_imports_nothing_heavy() -> None:
    code = (
        "import sys, typer, aligntune_eval.plugin as p; a = typer.Typer();"
        "p.aligntune_cli_commands(a);"
        "print([m for m in ('torch', 'transformers', 'datasets', 'numpy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_manifest_says_what_the_classes_say(plugins: Plugins) -> None:
    for entry in plugins.evaluators:
        needs = [need for need in entry.load().needs if need in ("text", "prompt", "reference")]
        assert set(needs) <= set(entry.facts.needs), entry.name  # others are checked in prepare()
