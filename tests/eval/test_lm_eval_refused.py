"""What is wrong with a task of lm-eval shows before a model is loaded, in one error."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from lm_eval_files import answer_task, choice_task, text_task, write_task

from aligntune.errors import EvaluationError, NotRegisteredError, UnavailableError
from aligntune_eval.harness import harness_task
from aligntune_eval.harness.library import task_folder
from aligntune_eval.harness.names import list_names

pytest.importorskip("lm_eval")

ROWS = [{"question": f"{n}", "answer": "1"} for n in range(4)]


def refusal(path: Path | str, **options: Any) -> str:
    with pytest.raises(EvaluationError) as caught:
        harness_task(str(path), **options)
    return str(caught.value)


def test_an_unknown_name_is_told_from_a_known_one() -> None:
    with pytest.raises(NotRegisteredError) as caught:
        harness_task("lm_eval:hellaswagg")
    assert "no task, group or tag 'hellaswagg'; did you mean 'hellaswag'?" in str(caught.value)


def test_names_are_found_without_the_list_of_lm_eval(monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.tasks._index import TaskIndex

    known = list_names(task_folder())
    assert known["mmlu"].kind == "GROUP"
    assert known["hellaswag"].path == task_folder() / "hellaswag" / "hellaswag.yaml"
    assert {"arc_easy", "arc_challenge"} <= known["ai2_arc"].members
    # A sample of lm-eval's folders, read by lm-eval itself, has the same names.
    for folder in ("mmlu", "arc", "kbl", "longbench2", "winogender", "aclue"):
        theirs = TaskIndex.build([task_folder() / folder])
        ours = list_names(task_folder() / folder)
        assert {name: entry.kind.name for name, entry in theirs.items()} == {
            name: each.kind for name, each in ours.items()
        }
        for name, entry in theirs.items():
            assert ours[name].path == entry.yaml_path
            if entry.kind.name == "TAG":
                assert ours[name].members == entry.tags


@pytest.mark.slow
def test_all_names_are_those_of_lm_eval() -> None:
    from lm_eval.tasks import TaskManager

    theirs, ours = TaskManager().task_index, list_names(task_folder())
    assert theirs.keys() == ours.keys()
    for name, entry in theirs.items():
        assert (entry.kind.name, entry.yaml_path) == (ours[name].kind, ours[name].path)
        if entry.kind.name == "TAG":
            assert ours[name].members == entry.tags


def test_without_lm_eval_there_is_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = choice_task(tmp_path)

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(UnavailableError, match=r'pip install "aligntune-eval\[lm-eval\]"'):
        harness_task(str(path))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.4.9")
    with pytest.raises(UnavailableError, match=r"tested with lm-eval 0.4.13, and 0.4.9 is inst"):
        harness_task(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task: [1,\n  2", r"line 2: this is no YAML"),
        ("just words", "it holds no `key: value` lines"),
        ("dataset_path: json", "names neither a `task` nor a `group`"),
        ("task: a\ntest_split: train", r"the task 'a' has no data; set `dataset_path`"),
        ("task: a\ndataset_path: json", "does not say what to measure on; set `test_split`"),
        ("task: a\ndoc_to_txt: b", r"line 2: lm-eval knows no key 'doc_to_txt'; did you mean 'do"),
        ("task: a\ninclude: b.yaml", r"line 2: there is no file .*b\.yaml"),
        ("task: a\ninclude: a.yaml", "includes itself"),
        (
            "task: a\ndataset_path: json\ntest_split: train\noutput_type: multiple_choices",
            r"line 4: unknown output_type 'multiple_choices'; did you mean 'multiple_choice'",
        ),
        (
            "task: a\ndataset_path: json\ntest_split: train\ndoc_to_choice: ['{{b}}', '{{c}}']",
            "line 4: lm-eval takes a list as it stands and fills in no column",
        ),
        ("group: a\ntask: b", "line 2: `task` of the group 'a' is a list of tasks"),
        ("group: a\ntask: [helaswag]", "line 2: the group 'a' names 'helaswag', which is neither"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(EvaluationError, match=said) as caught:
        harness_task(str(tmp_path / "a.yaml"))
    assert str(tmp_path / "a.yaml") in str(caught.value)


def test_a_file_or_folder_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    assert f"there is no file or folder {tmp_path}/none.yaml" in refusal(tmp_path / "none.yaml")
    assert f"{tmp_path} holds no task of lm-eval" in refusal(tmp_path)


def test_data_that_are_missing_are_named(tmp_path: Path) -> None:
    path = write_task(
        tmp_path,
        "gone",
        dataset_path="json",
        dataset_kwargs={"data_files": "nowhere.jsonl"},
        test_split="train",
    )
    said = refusal(path)
    assert str(path) in said
    assert "nowhere.jsonl" in said


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    said = refusal(answer_task(tmp_path, ROWS, doc_to_text="{{qestion}}"))
    assert "'qestion' is undefined" in said
    assert str(tmp_path / "answers.yaml") in said


def test_code_runs_only_when_it_is_allowed(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "code.py").write_text(
        f"open({str(mark)!r}, 'w').close()\ndef text(doc):\n    return doc['question'] + '!'\n"
    )
    path = answer_task(tmp_path, ROWS, doc_to_text=None)
    path.write_text(path.read_text() + "doc_to_text: !function code.text\n")
    said = refusal(path)
    line = path.read_text().splitlines().index("doc_to_text: !function code.text") + 1
    assert f"{path}, line {line}: `!function code.text` is Python code" in said
    assert "--trust-remote-code" in said
    # Neither does a file hide behind an include, nor a group run the code of its tasks.
    (tmp_path / "outer.yaml").write_text("include: answers.yaml\ntask: outer\n")
    assert str(path) in refusal(tmp_path / "outer.yaml")
    write_task(tmp_path, "all", group="all", task=["answers"])
    assert str(path) in refusal(tmp_path / "all.yaml")
    assert not mark.exists()
    ready = harness_task(str(path), trust_remote_code=True)
    assert mark.exists()
    assert ready.loaded["tasks"]["answers"].doc_to_text(ready.rows[0]) == "0!"


def test_a_metric_of_the_hub_is_code_too(tmp_path: Path) -> None:
    path = answer_task(tmp_path, ROWS, metric_list=[{"metric": "exact_mtch"}])
    said = refusal(path)
    assert "the metric 'exact_mtch': lm-eval has none; did you mean 'exact_match'?" in said
    assert "would fetch it from the hub as Python code" in said
    path = answer_task(tmp_path, ROWS, metric_list=[{"metric": "chrf", "hf_evaluate": True}])
    assert "the metric 'chrf': `hf_evaluate: true` asks for it elsewhere" in refusal(path)


def test_code_that_a_model_writes_is_never_run_outside_the_sandbox(tmp_path: Path) -> None:
    path = answer_task(tmp_path, ROWS, unsafe_code=True)
    assert "pass_at_k run it in one" in refusal(path, trust_remote_code=True)
    assert "pass_at_k run it in one" in refusal("lm_eval:humaneval", trust_remote_code=True)


def test_options_that_nothing_would_use_are_refused(tmp_path: Path) -> None:
    path = answer_task(tmp_path, ROWS, num_fewshot=0)
    assert "num_fewshot is 3, and answers says itself that it has none" in refusal(
        path, num_fewshot=3
    )
    assert "max_samples must be at least 1, not 0" in refusal(path, max_samples=0)
    path = answer_task(tmp_path, ROWS, fewshot_split="train")
    assert "the first prompt of answers, with 9 examples" in refusal(path, num_fewshot=9)


def test_images_are_not_read(tmp_path: Path) -> None:
    path = answer_task(tmp_path, ROWS, doc_to_image=["question"])
    assert "needs a model that reads images or sound" in refusal(path)


@pytest.mark.parametrize(
    "inner",
    [
        {"metric_list": [{"metric": "exact_match", "hf_evaluate": True}]},
        {"metric_list": [{"metric": "somebody/metric"}]},
        {"unsafe_code": True},
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_group_brings_no_code_either(tmp_path: Path, inner: dict[str, Any], deep: bool) -> None:
    answer_task(tmp_path, ROWS)
    task = [{"task": "answers", **inner}]
    keys: dict[str, Any] = {"task": [{"group": "inner", "task": task}] if deep else task}
    said = refusal(write_task(tmp_path, "all", group="all", **keys))
    assert ("sandbox" if "unsafe_code" in inner else "--trust-remote-code") in said
    assert "all.yaml, line" in said or "unsafe_code" in inner


def test_an_unknown_aggregation_has_its_line(tmp_path: Path) -> None:
    metrics = [{"metric": "exact_match", "aggregation": "avg"}]
    said = refusal(answer_task(tmp_path, ROWS, metric_list=metrics))
    assert "answers.yaml, line" in said
    assert "lm-eval has no aggregation 'avg'; there are: " in said


@pytest.mark.parametrize(
    "options", [{"num_fewshot": 1}, {"chat": True}, {"system_prompt": "Be brief."}]
)
def test_nothing_stands_before_running_text(tmp_path: Path, options: dict[str, Any]) -> None:
    path = text_task(tmp_path, ["a b", "c d"])
    assert f"`{next(iter(options))}` has no effect" in refusal(path, **options)
    assert harness_task(str(path), num_fewshot=0).available == 2


def test_a_file_that_is_new_in_a_folder_is_found(tmp_path: Path) -> None:
    choice_task(tmp_path, "one", 2)
    assert harness_task(str(tmp_path)).available == 2
    choice_task(tmp_path, "two", 2)
    assert harness_task(str(tmp_path)).available == 4


def test_what_changes_a_result_changes_the_fingerprint(tmp_path: Path) -> None:
    path = answer_task(tmp_path, ROWS, fewshot_split="train")
    first = harness_task(str(path)).fingerprint
    assert harness_task(str(path), batch_size=3).fingerprint == first
    changed = [
        harness_task(str(path), **options).fingerprint
        for options in ({"num_fewshot": 1}, {"max_samples": 2}, {"seed": 1}, {"chat": True})
    ]
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(values | {"doc_to_text": "Q {{question}}"}))
    changed.append(harness_task(str(path)).fingerprint)
    rows = [*ROWS[:3], {"question": "3", "answer": "2"}]
    changed.append(
        harness_task(str(answer_task(tmp_path, rows, fewshot_split="train"))).fingerprint
    )
    assert len({first, *changed}) == 7


def test_a_model_without_a_chat_template_is_not_asked_as_a_chat(
    tmp_path: Path, model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(EvaluationError, match="the model has no chat template"):
        harness_task(str(answer_task(tmp_path, ROWS)), chat=True).run(model, tokenizer)
