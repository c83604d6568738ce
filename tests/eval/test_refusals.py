"""What is missing is one error before generation, for every evaluator that is registered.

Nothing here has a model: whatever gets past `prepare` would be found out after one is loaded.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pytest
from packaging.requirements import Requirement

from aligntune import plugins
from aligntune.errors import AlignTuneError, UnavailableError
from aligntune.evaluation import EvaluationSettings, prepare
from aligntune.evaluation.columns import COMPARED
from aligntune.scoring.references import REFERENCE_COLUMNS

# Parameters without which an evaluator cannot be made.
PARAMS: dict[str, dict[str, Any]] = {
    "reward": {"reward": "length"},
    "custom_metric": {"function": max, "name": "custom_metric"},
    "kl": {"reference_model": "base"},
    "win_rate": {"reward": "length"},
}
# Everything that a row may have to bring.
ROW = {
    "prompt": "one plus one is",
    "completion": "two",
    "reference": "two",
    "text": "one plus one is two",
    "chosen": "two",
    "rejected": "three",
    "choices": ["two", "three"],
    "tests": ["assert f(1) == 2"],
    "baseline": "two",
}
# Needs that several columns meet.
MET_BY = {
    "text": ("text", "messages", "prompt", "completion"),
    "reference": REFERENCE_COLUMNS,
    COMPARED: (*REFERENCE_COLUMNS, "completion"),
}
ENTRIES = {entry.name: entry for entry in plugins.get().evaluators}


def refusal(name: str, rows: list[dict[str, Any]]) -> str:
    """What is said of rows before a model is there."""
    entry = {"type": name, "params": PARAMS.get(name, {})}
    with pytest.raises(AlignTuneError) as caught:
        prepare(rows, [entry], EvaluationSettings(), plugins.get())
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "need"),
    [(name, need) for name, entry in ENTRIES.items() for need in entry.facts.needs],
)
def test_a_need_that_rows_do_not_meet_is_named(name: str, need: str) -> None:
    gone = MET_BY.get(need, (need,))
    without = {key: value for key, value in ROW.items() if key not in gone}
    said = refusal(name, [without])
    assert name in said
    assert any(column in said for column in gone)
    assert all(column in said for column in without), "it does not say which columns there are"
    # One row is enough, and it is named.
    said = refusal(name, [ROW, without])
    assert name in said
    assert "row 1" in said


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.facts.packages])
def test_a_missing_package_is_named_with_what_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = ENTRIES[name].facts
    installed = importlib.metadata.version
    for package in facts.packages:
        missing = Requirement(package).name

        def version(asked: str, missing: str = missing) -> str:
            if asked == missing:
                raise importlib.metadata.PackageNotFoundError(asked)
            return installed(asked)

        with monkeypatch.context() as patch:
            patch.setattr("aligntune.scoring.build.importlib.metadata.version", version)
            with pytest.raises(UnavailableError) as caught:
                prepare(
                    [ROW],
                    [{"type": name, "params": PARAMS.get(name, {})}],
                    EvaluationSettings(),
                    plugins.get(),
                )
        said = str(caught.value)
        assert repr(name) in said
        assert package in said
        assert f'pip install "{facts.install}"' in said


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter", "rouge", "meteor", "f1", "exact_match"])
def test_an_empty_list_is_no_reference(name: str) -> None:
    assert "'reference' of row 1 is an empty list" in refusal(name, [ROW, {**ROW, "reference": []}])


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (["two", None], "None"),
        ({"text": ["two"], "answer_start": [3]}, "{'text': ['two'], 'answer_start': [3]}"),
        ([["two"], ["2"]], "['two']"),
    ],
)
def test_what_is_no_text_is_no_reference(reference: Any, said: str) -> None:
    assert f"'reference' of row 1 holds {said}; a reference is a text" in refusal(
        "exact_match", [ROW, {**ROW, "reference": reference}]
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_a_parameter_that_there_is_not_is_refused(name: str) -> None:
    params = {**PARAMS.get(name, {}), "no_such_parameter": 1}
    with pytest.raises(AlignTuneError, match="no_such_parameter"):
        prepare([ROW], [{"type": name, "params": params}], EvaluationSettings(), plugins.get())
