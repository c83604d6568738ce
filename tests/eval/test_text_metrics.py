"""BLEU, chrF, ROUGE, METEOR and functions of one's own, against the libraries' own examples."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from rouge_score import tokenize

from aligntune.errors import EvaluationError, PluginError, UnavailableError
from aligntune.evaluation import EvaluationSettings, Evaluator, Metric, evaluate, prepare
from aligntune.facts import EvaluatorFacts
from aligntune.plugins import Plugins, Register
from aligntune_eval.corpus import Bleu, Chrf, Ter
from aligntune_eval.custom_metric import CustomMetric
from aligntune_eval.meteor import Meteor
from aligntune_eval.rouge import Rouge, words

# The example of sacrebleu's README: three sentences, two references each.
SYSTEM = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
RIGHT = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]


def measured(
    evaluator: Any, predictions: list[str], references: list[list[str]], make_context: Any
) -> tuple[dict[str, Metric], list[Any]]:
    context = make_context([{"prompt": "p"}] * len(predictions))
    found = evaluator.measure(predictions, references, {"told": 1}, context)
    assert all(metric.details["told"] == 1 and metric.n == len(predictions) for metric in found)
    return {metric.name: metric for metric in found}, [s.get("scores") for s in context.samples]


def test_bleu_and_chrf_are_those_of_sacrebleu(make_context: Any) -> None:
    found, scores = measured(Bleu(), SYSTEM, RIGHT, make_context)
    assert found["bleu"].value == pytest.approx(48.53, abs=0.005)
    assert "nrefs:2" in found["bleu"].details["signature"]
    assert "tok:13a|smooth:exp|version:2" in found["bleu"].details["signature"]
    assert found["bleu"].interval is not None
    assert scores[0]["bleu"] == pytest.approx(100)
    assert 0 < scores[1]["bleu"] < 20
    found, _ = measured(Chrf(), SYSTEM, RIGHT, make_context)
    assert found["chrf"].value == pytest.approx(59.73, abs=0.005)
    assert "nc:6|nw:0" in found["chrf"].details["signature"]
    found, _ = measured(Chrf(word_order=2, name="plus"), SYSTEM, RIGHT, make_context)
    assert "nc:6|nw:2" in found["plus"].details["signature"]
    with pytest.raises(ValueError, match="word_order must be 0 or more"):
        Chrf(word_order=-1)


def test_ter_is_that_of_sacrebleu(make_context: Any) -> None:
    found, scores = measured(Ter(), SYSTEM, RIGHT, make_context)
    assert found["ter"].value == pytest.approx(40.0, abs=0.005)
    assert found["ter"].higher_is_better is False
    assert "nrefs:2" in found["ter"].details["signature"]
    assert scores[0]["ter"] == 0.0
    loud = ["THE DOG BIT THE MAN."]
    assert measured(Ter(), loud, RIGHT[:1], make_context)[0]["ter"].value == 0.0
    strict, _ = measured(Ter(case_sensitive=True), loud, RIGHT[:1], make_context)
    assert strict["ter"].value > 50


def test_rows_may_have_different_numbers_of_references(make_context: Any) -> None:
    some = [RIGHT[0], RIGHT[1], RIGHT[2][:1]]
    found, _ = measured(Bleu(), SYSTEM, some, make_context)
    assert 0 < found["bleu"].value < 48.53
    one, _ = measured(Bleu(), SYSTEM[:1], RIGHT[:1], make_context)
    assert one["bleu"].value == pytest.approx(100)
    assert one["bleu"].interval is None


def test_rouge_is_that_of_rouge_score(make_context: Any) -> None:
    text, right = (
        "The quick brown dog jumps on the log.",
        "The quick brown fox jumps over the lazy dog",
    )
    found, scores = measured(Rouge(), [text], [[right]], make_context)
    assert found["rouge1"].value == pytest.approx(0.7059, abs=5e-5)
    assert found["rougeL"].value == pytest.approx(0.5882, abs=5e-5)
    assert scores[0].keys() == {"rouge1", "rouge2", "rougeL", "rougeLsum"}
    best, _ = measured(Rouge("mine"), [text], [["nothing", right]], make_context)
    assert best["mine/rouge1"].value == found["rouge1"].value


def test_the_sum_of_rouge_goes_sentence_by_sentence(make_context: Any) -> None:
    text, right = "The cat sat. A dog ran off!", "A dog ran off! The cat sat."
    found, _ = measured(Rouge(), [text], [[right]], make_context)
    assert found["rougeLsum"].value == 1.0
    assert found["rougeL"].value == pytest.approx(4 / 7)


@pytest.mark.parametrize("text", ["Кошка спит", "猫が寝ている", "แมวนอน", "Ärger über Öl"])
def test_rouge_reads_every_script(text: str, make_context: Any) -> None:
    found, _ = measured(Rouge(), [text], [[text]], make_context)
    assert found["rouge1"].value == 1.0
    found, _ = measured(Rouge(), [text], [["else"]], make_context)
    assert found["rouge1"].value == 0.0


@pytest.mark.parametrize("text", ["A b_c, d-e 3.14!", "", "  ", "it's (fine)"])
def test_words_of_ascii_are_those_of_rouge_score(text: str) -> None:
    assert words(text) == tokenize.tokenize(text, None)


def test_meteor_needs_no_download(make_context: Any) -> None:
    same = "the cat sat on the mat"
    found, scores = measured(
        Meteor(), [same, "cats sitting", "", "x"], [[same], ["cat sits"], ["a"], ["y", "x"]],
        make_context,
    )  # fmt: skip
    # One chunk of six words: 1 - 0.5 (1/6)^3. Stems match; the empty text matches nothing.
    assert scores[0]["meteor"] == pytest.approx(1 - 0.5 / 216)
    assert scores[1]["meteor"] == pytest.approx(1 - 0.5 / 8)
    assert [score["meteor"] for score in scores[2:]] == [0.0, pytest.approx(0.5)]
    assert found["meteor"].details["matches"] == "exact, stem"
    assert not [name for name in sys.modules if name.startswith("nltk.corpus.reader.wordnet.")]


def overlap(predictions: list[str], references: list[Any]) -> dict[str, float]:
    return {"rows": float(len(predictions)), "lists": float(isinstance(references[1], list))}


def test_a_function_of_ones_own(make_context: Any) -> None:
    found, _ = measured(CustomMetric(overlap), ["a", "b"], [["a"], ["b", "c"]], make_context)
    assert {name: metric.value for name, metric in found.items()} == {
        "overlap/rows": 2.0,
        "overlap/lists": 1.0,
    }
    count = CustomMetric(lambda predictions, references: len(predictions), "count")
    counted, _ = measured(count, ["a"], [["b"]], make_context)
    assert counted["count"].value == 1.0
    for returned, says in (("x", "returned 'x'; it must return a number"), (float("nan"), "nan")):
        with pytest.raises(EvaluationError, match=says):
            measured(CustomMetric(lambda p, r, v=returned: v, "bad"), ["a"], [["b"]], make_context)
    assert CustomMetric("statistics:mean").name == "mean"
    with pytest.raises(PluginError, match="the custom metric points at 'statistics:meen'"):
        CustomMetric("statistics:meen")
    with pytest.raises(TypeError, match="is a function of predictions, not 3"):
        CustomMetric(3)  # type: ignore[arg-type]


ROWS: list[dict[str, Any]] = [
    {"prompt": "one", "completion": "first answer"},
    {"prompt": "two", "completion": [{"role": "assistant", "content": "second"}]},
]


def test_completions_are_generated_once_and_compared_with_the_completion(
    model: Any, tokenizer: Any, plugins: Plugins
) -> None:
    evaluators: list[str | Evaluator] = ["bleu", "chrf", "rouge", "meteor"]
    seen: list[Any] = []

    def note(predictions: list[str], references: list[Any]) -> float:
        seen.append((predictions, references))
        return 1.0

    evaluators.append(CustomMetric(note, "seen"))
    settings = EvaluationSettings(max_new_tokens=4)
    found = evaluate(model, tokenizer, ROWS, evaluators, settings=settings, plugins=plugins)
    names = ["bleu", "chrf", "rouge1", "rouge2", "rougeL", "rougeLsum", "meteor", "seen"]
    assert [metric.name for metric in found.metrics] == names
    assert seen[0][0] == [sample["completion"] for sample in found.samples]
    assert seen[0][1] == ["first answer", "second"]
    assert found.metric("bleu").details["reference_column"] == "completion"
    answered = [{**row, "answer": ["x", "y"]} for row in ROWS]
    again = evaluate(model, tokenizer, answered, ["bleu"], settings=settings, plugins=plugins)
    assert again.metric("bleu").details["reference_column"] == "answer"


def test_what_is_missing_is_said_before_a_model_loads(plugins: Plugins) -> None:
    settings = EvaluationSettings()
    with pytest.raises(EvaluationError, match="no reference column"):
        prepare([{"prompt": "p"}], ["bleu"], settings, plugins)
    with pytest.raises(EvaluationError, match="'rouge' needs 'prompt'"):
        prepare([{"text": "t", "completion": "c"}], ["rouge"], settings, plugins)
    with pytest.raises(EvaluationError, match="needs 'completion', which row 1"):
        prepare([ROWS[0], {"prompt": "p"}], ["rouge"], settings, plugins)


def test_a_missing_library_names_the_extra(plugins: Plugins) -> None:
    bleu = plugins.evaluators.get("bleu").facts
    assert bleu.packages
    register = Register(plugins, plugins.evaluators, EvaluatorFacts)
    register("old", Bleu, summary="", packages=("sacrebleu>=999",), install=bleu.install)
    says = r"'old' needs sacrebleu>=999, which is not installed: pip install .*eval\[text\]"
    with pytest.raises(UnavailableError, match=says):
        prepare(ROWS, ["old"], EvaluationSettings(), plugins)
