"""The runner: checks come first, one model is in memory at a time, nothing is measured twice."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import shutil
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from aligntune.errors import AlignTuneError, EvaluationError
from aligntune.evaluation import EvalTask
from aligntune_eval.cli.comparing import compare_command
from aligntune_eval.files.reading import read_results
from aligntune_eval.models.load import LoadedModel, load_model
from aligntune_eval.models.sources import find_models, libraries
from aligntune_eval.runner import running
from aligntune_eval.runner.runner import TaskResult, evaluate_models

if TYPE_CHECKING:
    from aligntune.plugins import Plugins

ROWS = [{"prompt": f"{i}+1=", "completion": str(i + 1), "answer": str(i + 1)} for i in range(6)]
SUMS = EvalTask(name="sums", dataset=ROWS, metrics=["accuracy"], max_new_tokens=3)
TEXT = EvalTask(name="text", dataset=ROWS, metrics=["perplexity"])
SAMPLED = EvalTask(
    name="sampled",
    dataset=ROWS,
    metrics=["accuracy"],
    max_new_tokens=3,
    temperature=1.0,
    num_samples=2,
)


@pytest.fixture
def run(plugins: Plugins, tmp_path: Path) -> Any:
    def run(models: Any, tasks: Any, **options: Any) -> list[TaskResult]:
        options = {"output_dir": tmp_path / "out", "batch_size": 2, "page": False, **options}
        return evaluate_models(models, tasks, plugins=plugins, **options)

    return run


@pytest.fixture
def own(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the model that a test may change."""
    return Path(shutil.copytree(model_folder, tmp_path / "own"))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was loaded, in order; a model is loaded only when the one before it is gone."""
    names: list[str] = []
    alive: list[weakref.ref[Any]] = []

    def watched(source: str, **options: Any) -> Any:
        assert [each for each in alive if each() is not None] == [], "two models in memory"
        loaded = load_model(source, **options)
        names.append(source)
        alive.append(weakref.ref(loaded.model))
        return loaded

    monkeypatch.setattr(running, "load_model", watched)
    return names


def same(one: TaskResult, other: TaskResult) -> None:
    assert one.evaluation.metrics == other.evaluation.metrics
    assert one.evaluation.samples == other.evaluation.samples


class Stop:
    """Progress that interrupts a task after so many of its reports."""

    def __init__(self, task: str, after: int) -> None:
        self.task = task
        self.left = after

    def __call__(self, model: str, task: str, what: str, done: int, total: int) -> None:
        if task == self.task:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def test_models_by_tasks(run: Any, model_folder: Path, own: Path, loads: list[str]) -> None:
    results = run([model_folder, own], [SUMS, TEXT])
    models = [str(model_folder), str(own)]
    assert [(r.model, r.task) for r in results] == [
        (m, t) for m in models for t in ("sums", "text")
    ]
    assert loads == models
    assert {r.state for r in results} == {"measured"}
    for first, second in ((0, 2), (1, 3)):
        same(results[first], results[second])
    assert results[0].files.results == results[1].files.results != results[2].files.results
    written = json.loads(results[0].files.results.read_text())
    assert list(written["results"]) == ["sums", "text"]
    assert all(result.files.samples.is_file() for result in results)
    assert (results[0].rows[0]["answer"], results[0].available) == ("1", 6)


def test_without_a_folder_nothing_is_written(run: Any, own: Path, tmp_path: Path) -> None:
    (result,) = run([own], [SUMS], output_dir=None)
    assert result.files is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


@pytest.mark.parametrize("task", [SUMS, TEXT, SAMPLED], ids=lambda task: task.name)
def test_a_finished_task_is_read_back(
    run: Any, own: Path, loads: list[str], caplog: pytest.LogCaptureFixture, task: EvalTask
) -> None:
    (before,) = run([own], [task])
    with caplog.at_level(logging.INFO):
        (after,) = run([own], [task])
    assert (after.state, after.files) == ("read", before.files)
    assert len(loads) == 1
    assert "not measured again (finished in" in caplog.text
    same(before, after)


def test_a_task_that_is_added_is_measured_alone(run: Any, own: Path) -> None:
    run([own], [SUMS])
    results = run([own], [SUMS, TEXT])
    assert [result.state for result in results] == ["read", "measured"]
    assert list(json.loads(results[1].files.results.read_text())["results"]) == ["text"]
    assert [result.state for result in run([own], [TEXT, SUMS])] == ["read", "read"]


def test_overwriting_measures_anew(run: Any, own: Path) -> None:
    (before,) = run([own], [SUMS])
    (after,) = run([own], [SUMS], overwrite=True)
    assert after.state == "measured"
    assert after.files.results != before.files.results


def change_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def change_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_weights, "changed since: weights"),
        (change_template, "changed since: tokenizer"),
    ],
)
def test_another_model_in_the_folder_is_measured_again(
    run: Any, own: Path, caplog: pytest.LogCaptureFixture, change: Any, said: str
) -> None:
    run([own], [SUMS])
    change(own)
    with caplog.at_level(logging.INFO):
        (result,) = run([own], [SUMS])
    assert result.state == "measured"
    assert said in caplog.text


def test_what_training_leaves_beside_a_model_changes_nothing(run: Any, own: Path) -> None:
    run([own], [SUMS])
    (own / "trainer_state.json").write_text("{}")
    (own / "optimizer.pt").write_bytes(b"1")
    assert run([own], [SUMS])[0].state == "read"


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"max_new_tokens": 2}, "max_new_tokens"),
        ({"dataset": ROWS[::-1]}, "task"),
        ({"metrics": [{"type": "reward", "params": {"reward": "size"}}]}, "task"),
    ],
)
def test_a_changed_task_is_measured_again(
    run: Any, own: Path, caplog: pytest.LogCaptureFixture, task: dict[str, Any], said: str
) -> None:
    run([own], [SUMS])
    changed = EvalTask(
        **{"name": "sums", "dataset": ROWS, "metrics": ["accuracy"], "max_new_tokens": 3} | task
    )
    with caplog.at_level(logging.INFO):
        (result,) = run([own], [changed])
    assert result.state == "measured"
    assert f"changed since: {said}" in caplog.text


def test_another_precision_is_measured_again_and_another_batch_size_is_not(
    run: Any, own: Path
) -> None:
    run([own], [SUMS])
    assert run([own], [SUMS], batch_size=3)[0].state == "read"
    assert run([own], [SUMS], precision="bf16")[0].state == "measured"


@pytest.mark.parametrize("task", [SUMS, TEXT, SAMPLED], ids=lambda task: task.name)
def test_an_interrupted_task_goes_on(
    run: Any, own: Path, tmp_path: Path, task: EvalTask, caplog: pytest.LogCaptureFixture
) -> None:
    (whole,) = run([own], [task], output_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run([own], [task], progress=Stop(task.name, 2))
    (partial,) = (tmp_path / "out").glob("*/*")
    assert partial.name == f"partial_{task.name}.jsonl"
    with caplog.at_level(logging.INFO):
        (result,) = run([own], [task])
    assert (result.state, result.resumed > 0) == ("resumed", True)
    assert "goes on" in caplog.text
    same(whole, result)
    assert whole.files.samples.read_text() == result.files.samples.read_text()
    assert not partial.exists()


def test_a_task_finished_before_the_interruption_is_not_measured_again(
    run: Any, own: Path, tmp_path: Path
) -> None:
    whole = run([own], [SUMS, TEXT], output_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run([own], [SUMS, TEXT], progress=Stop("text", 2))
    seen: set[str] = set()
    results = run([own], [SUMS, TEXT], progress=lambda *said: seen.add(said[1]))
    assert seen == {"", "text"}
    assert [result.state for result in results] == ["resumed", "resumed"]
    for one, other in zip(whole, results, strict=True):
        same(one, other)
    assert results[0].files.results == results[1].files.results


def test_what_another_model_left_half_done_does_not_count(
    run: Any, own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run([own], [SUMS], progress=Stop("sums", 2))
    change_weights(own)
    with caplog.at_level(logging.INFO):
        (result,) = run([own], [SUMS])
    assert (result.state, result.resumed) == ("measured", 0)
    assert "begun anew: what was half done does not count (changed since: weights)" in caplog.text


def test_the_folder_shows_what_was_asked_for_last(run: Any, own: Path, tmp_path: Path) -> None:
    """What is read back stands behind no later evaluation, for whoever reads the folder."""
    (first,) = run([own], [TEXT, SUMS])[:1]
    other = run([own], [TEXT], precision="bf16")[0]
    assert other.evaluation.metrics != first.evaluation.metrics
    (again,) = run([own], [TEXT], page=True)
    assert again.state == "read"
    same(first, again)
    for _ in range(2):
        found = {each.task: each for each in read_results(tmp_path / "out")}
        assert found["text"].metrics == first.evaluation.metrics
        assert again.files.results in found["text"].files
        # From now on it is the latest, and nothing is written once more.
        assert run([own], [TEXT])[0].files == again.files


def test_the_folder_shows_a_saved_model_after_one_that_was_given_loaded(
    run: Any, own: Path, tmp_path: Path
) -> None:
    (first,) = run([own], [TEXT])
    run([load_model(own, precision="bf16")], [TEXT])
    assert run([own], [TEXT])[0].state == "read"
    (found,) = read_results(tmp_path / "out")
    assert found.metrics == first.evaluation.metrics


def test_no_secret_is_kept_or_printed(run: Any, own: Path, tmp_path: Path) -> None:
    task = EvalTask(
        name="s", dataset=ROWS, metrics=["accuracy"], max_new_tokens=2, stop=("api_key=xyzzy-1",)
    )
    kept = []

    def watch(*_: Any) -> None:
        kept.extend(path.read_text() for path in (tmp_path / "out").glob("*/partial*"))

    (result,) = run([own], [task, SUMS], progress=watch)[:1]
    assert any('"evaluation"' in text for text in kept)
    written = [path.read_text() for path in (tmp_path / "out").glob("*/*")]
    for text in [*kept, *written, json.dumps(result.as_dict())]:
        assert "xyzzy-1" not in text
    assert result.as_dict()["metrics"][0]["details"]["stop"] == ["api_key=[redacted]"]


def test_a_task_may_be_a_path(run: Any, own: Path, tmp_path: Path) -> None:
    task = f"name: one\ndataset: {tmp_path}/rows.jsonl\nmetrics: [perplexity]\n"
    (tmp_path / "one.yaml").write_text(task)
    (tmp_path / "rows.jsonl").write_text('{"text": "one"}\n')
    assert run([own], [tmp_path / "one.yaml"])[0].task == "one"


@pytest.mark.parametrize(
    ("models", "tasks", "said"),
    [
        ("tiny", [SUMS], r"models is a list, also of one model: \['tiny'\]"),
        (["tiny"], "sums", "tasks is a list"),
        (["tiny"], SUMS, "tasks is a list"),
        (["tiny"], [{"name": "sums"}], r"\{'name': 'sums'\} is no task; give a name"),
    ],
)
def test_what_is_no_list_of_models_or_tasks_is_said(
    run: Any, model_folder: Path, models: Any, tasks: Any, said: str
) -> None:
    models = [model_folder] if isinstance(models, list) else models
    with pytest.raises(EvaluationError, match=said):
        run(models, tasks)


@pytest.mark.parametrize("written", ["./own", "own/", "own//"])
def test_a_folder_has_one_name_however_it_is_written(
    run: Any, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (first,) = run(["own"], [TEXT])
    (again,) = run([written], [TEXT])
    assert (again.model, again.state, again.files) == ("own", "read", first.files)
    with pytest.raises(EvaluationError, match="the model own is given twice"):
        run(["own", written], [TEXT])


def test_results_beside_the_weights_are_no_part_of_the_model(
    run: Any, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand there where the output folder is the one that the model is in."""
    monkeypatch.chdir(tmp_path)
    (first,) = run(["own"], [TEXT], output_dir=".")
    assert first.files.results.resolve().parent == own
    (own / "eval_results.json").write_text("{}")
    assert run(["own"], [TEXT], output_dir=".")[0].state == "read"


def test_a_model_in_memory_has_a_name(run: Any, model: Any, tokenizer: Any) -> None:
    with pytest.raises(EvaluationError, match=r"Qwen3ForCausalLM is no model here.*LoadedModel"):
        run([model], [TEXT])
    with pytest.raises(EvaluationError, match="a tuple is no model here"):
        run([(model, tokenizer)], [TEXT])
    (result,) = run([LoadedModel(model, tokenizer, "mine")], [TEXT], device=torch.device("cpu"))
    assert result.model == "mine"


@pytest.mark.parametrize("written", [".", ".."])
def test_results_of_the_folder_that_one_is_in_stay_in_the_output_folder(
    run: Any, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    (own / "below").mkdir()
    monkeypatch.chdir(own if written == "." else own / "below")
    (result,) = run([written], [TEXT], page=True)
    assert result.model == str(own)
    assert result.files.results.parent.parent == tmp_path / "out"


@pytest.mark.parametrize("library", ["aligntune-core", "torch", "peft"])
def test_results_rest_on_the_version_of_a_library(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    tuned = get_peft_model(load_model(own).model, LoraConfig(r=2, target_modules=["q_proj"]))
    tuned.save_pretrained(tmp_path / "adapter")
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "99" if name == library else real(name)
    )
    source = find_models([tmp_path / "adapter"])[0]
    assert (source.parts | libraries())[library] == "99"


def test_a_training_run_keeps_its_report(run: Any, own: Path, tmp_path: Path) -> None:
    for name in ("run.json", "report.html"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(EvaluationError, match=r"is the directory of a training run.*/eval$"):
        run([own], [TEXT], output_dir=tmp_path)
    results = run([own], [TEXT], output_dir=tmp_path / "eval", page=True)
    with pytest.raises(EvaluationError, match="is the directory of a training run"):
        compare_command([str(results[0].files.results)] * 2, str(tmp_path), as_json=False)
    assert (tmp_path / "report.html").read_text() == "{}"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_damaged_file_of_another_model_shows_before_one_loads(
    run: Any, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool
) -> None:
    """The page holds all models of the folder, and it is written last."""
    path = tmp_path / "out" / "other" / "results_2020-01-01T00-00-00.000000.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    monkeypatch.setattr(running, "load_model", lambda *_, **__: pytest.fail("it loaded a model"))
    said = r"other/results_2020.*not valid JSON.*; move it away, or give another output folder"
    with pytest.raises(EvaluationError, match=said):
        run([own], [TEXT], page=True, overwrite=overwrite)


def test_a_loaded_model_is_measured_each_time(run: Any, model_folder: Path) -> None:
    loaded = load_model(model_folder)
    results = [run([loaded], [SUMS])[0] for _ in range(2)]
    assert [result.state for result in results] == ["measured", "measured"]
    same(*results)


def test_a_run_is_its_model(run: Any, model_folder: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "run.json").write_text("{}")
    with pytest.raises(EvaluationError, match="has saved no model"):
        run([directory], [SUMS])
    shutil.copytree(model_folder, directory / "checkpoints" / "checkpoint-5")
    with pytest.raises(EvaluationError, match=r"can be evaluated: .*checkpoint-5"):
        run([directory], [SUMS])
    shutil.copytree(model_folder, directory / "model")
    (of_run, of_checkpoint) = run([directory, directory / "checkpoints" / "checkpoint-5"], [SUMS])
    assert of_run.model == str(directory)
    same(of_run, of_checkpoint)


def test_an_adapter_rests_on_its_base(
    run: Any, own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = load_model(own).model
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"]))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    tuned.save_pretrained(tmp_path / "adapter")
    (result,) = run([tmp_path / "adapter"], [TEXT])
    written = json.loads(result.files.results.read_text())
    assert written["config"]["model_args"]["peft"] == str(tmp_path / "adapter")
    assert run([tmp_path / "adapter"], [TEXT])[0].state == "read"

    # Merged, it is the same model.
    merged = tuned.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    for path in own.glob("*token*"):
        shutil.copy(path, tmp_path / "merged")
    (of_merged,) = run([tmp_path / "merged"], [TEXT])
    pairs = zip(result.evaluation.metrics, of_merged.evaluation.metrics, strict=True)
    assert all(one.value == pytest.approx(other.value, rel=1e-5) for one, other in pairs)

    change_weights(own)
    with caplog.at_level(logging.INFO):
        assert run([tmp_path / "adapter"], [TEXT])[0].state == "measured"
    assert "changed since: base model: weights" in caplog.text


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def shard_missing(folder: Path) -> None:
    names = {"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(names))


def broken_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("{")


CHAT = EvalTask(name="chat", dataset=ROWS, metrics=["accuracy"], chat=True)


@pytest.mark.parametrize(
    ("break_it", "tasks", "options", "said"),
    [
        (shutil.rmtree, [SUMS], {}, "there is no folder"),
        (no_tokenizer, [SUMS], {}, "holds no tokenizer"),
        (no_weights, [SUMS], {}, "own holds no weights"),
        (cut_off, [SUMS], {}, r"own cannot be loaded: model\.safetensors is damaged or cut off"),
        (shard_missing, [SUMS], {}, r"own lacks model-00002-of-00002\.safetensors"),
        (broken_configuration, [SUMS], {}, "own cannot be loaded"),
        (no_template, [SUMS, CHAT], {}, "'chat' asks in chat messages.*has no chat template"),
        (None, [SUMS, "sumz.yaml"], {}, "no such file"),
        (None, [SUMS, EvalTask(name="sums", dataset=ROWS, metrics=["perplexity"])], {}, "rename"),
        (None, [SUMS, EvalTask(name="x", dataset=ROWS, metrics=["perplexty"])], {}, "'perplexity'"),
        (
            None,
            [SUMS, EvalTask(name="x", dataset=[{"text": ""}], metrics=["accuracy"])],
            {},
            "prom",
        ),
        (None, [SUMS], {"device": "cuda:99"}, "there is no device 'cuda:99' here; there are: cpu"),
        (None, [SUMS], {"precision": "fp8"}, "unknown precision"),
        (None, [SUMS], {"output_dir": "/proc/nowhere"}, "cannot write into /proc/nowhere"),
        (None, [], {}, "no tasks are given"),
    ],
)
def test_mistakes_show_before_the_first_model_loads(
    run: Any,
    model_folder: Path,
    own: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    break_it: Any,
    tasks: list[Any],
    options: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setattr(running, "load_model", lambda *_, **__: pytest.fail("it loaded a model"))
    if break_it is not None:
        break_it(own)
    with pytest.raises(AlignTuneError, match=said):
        run([model_folder, own], tasks, **options)


def test_one_model_twice_is_refused(run: Any, model_folder: Path) -> None:
    with pytest.raises(EvaluationError, match="is given twice"):
        run([model_folder, str(model_folder)], [SUMS])


def test_files_of_others_in_the_folder_are_left_alone(run: Any, own: Path, tmp_path: Path) -> None:
    (first,) = run([own], [SUMS])
    folder = first.files.results.parent
    (folder / "results_2030-01-01T00-00-00.000000.json").write_text('{"results": {"sums": {}}}')
    assert run([own], [SUMS])[0].state == "read"
    (folder / "results_2031-01-01T00-00-00.000000.json").write_text("{")
    with pytest.raises(EvaluationError, match=r"results_2031.*not valid JSON.*--overwrite"):
        run([own], [SUMS])
