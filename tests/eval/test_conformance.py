"""What every evaluator must be, for those of completions and for those that rest on rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aligntune.testing import evaluator_conformance, make_classifier, make_encoder

CODE = tuple(
    {
        "prompt": f"f{i}?",
        "reference": f"def f{i}(x):\n    return x",
        "tests": f"assert f{i}(1) == 1",
    }
    for i in range(3)
)

# Each starts processes, or is so much like another one that the other one will do for a start.
slow = pytest.mark.slow


def test_the_settings_of_the_kit_are_those_of_an_evaluation() -> None:
    """A length and columns of one's own, in the test of columns as in the others."""
    rows = [{"question": f"{i}?", "gold": f"{i}"} for i in range(3)]
    names = {"prompt_column": "question", "reference_column": "gold"}
    kit = evaluator_conformance("f1", rows=rows, settings={"max_new_tokens": 2, **names})()
    kit.test_a_missing_column_is_named()


TestF1 = evaluator_conformance("f1")
TestExactMatch = evaluator_conformance("exact_match", params={"normalize": "squad"})
TestBleu = evaluator_conformance("bleu")
TestChrf = slow(evaluator_conformance("chrf"))
TestTer = slow(evaluator_conformance("ter"))
TestRouge = evaluator_conformance("rouge")
TestMeteor = slow(evaluator_conformance("meteor"))
TestAccuracy = evaluator_conformance("accuracy")
TestReward = evaluator_conformance("reward", params={"reward": "length"})
TestMathAccuracy = slow(evaluator_conformance("math_accuracy"))
TestCodebleu = slow(evaluator_conformance("codebleu", rows=CODE))
TestRefusal = evaluator_conformance("refusal")
TestPassAtK = slow(
    evaluator_conformance(
        "pass_at_k",
        rows=CODE,
        params={"k": [1, 2]},
        settings={"num_samples": 2, "temperature": 1.0},
    )
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Models of rewards by what they are."""
    folder: Path = tmp_path_factory.mktemp("models")
    labels = ["entailment", "neutral", "contradiction"]
    made: dict[str, Any] = {
        "encoder": make_encoder(folder / "encoder", {"one": [1, 0], "two": [0, 1]}),
        "harm": make_classifier(folder / "harm", ["toxic", "ok"], {"bad": [1, -1]}),
        "nli": make_classifier(folder / "nli", labels, {"one": [1, 0, -1]}),
    }
    return {name: str(path) for name, path in made.items()}


@slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bertscore", "encoder"),
        ("semantic_similarity", "encoder"),
        ("factual_accuracy", "nli"),
        ("toxicity", "harm"),
        ("bias", "harm"),
    ],
)
def test_evaluators_with_a_model_of_their_own(name: str, kind: str, models: dict[str, str]) -> None:
    """The same tests, whose model is made first."""
    kit = evaluator_conformance(name, params={"model": models[kind]}, from_rows=True)()
    for test in [each for each in dir(kit) if each.startswith("test_")]:
        getattr(kit, test)()
