"""BLEU, chrF, ROUGE, METEOR and functions of one's own, against the libraries' own examples."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from rouge_score import tokenize
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from aligntune.errors import EvaluationError, PluginError, UnavailableError
from aligntune.evaluation import (
    EvalTask,
    EvaluationSettings,
    Evaluator,
    Metric,
    evaluate,
    prepare,
)
from aligntune.facts import EvaluatorFacts
from aligntune.plugins import Plugins, Register
from aligntune_eval.metrics.corpus import Bleu, Chrf, Ter
from aligntune_eval.metrics.custom_metric import CustomMetric
from aligntune_eval.metrics.exact_match import ExactMatch
from aligntune_eval.metrics.f1 import F1
from aligntune_eval.metrics.meteor import Meteor
from aligntune_eval.metrics.rouge import Rouge, words

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


@pytest.mark.parametrize(
    ("metric", "theirs", "options", "signed"),
    [
        (Bleu, BLEU, {"tokenize": "char"}, "tok:char"),
        (Bleu, BLEU, {"lowercase": True}, "case:lc"),
        (Bleu, BLEU, {"smooth_method": "floor", "smooth_value": 0.3}, "smooth:floor[0.30]"),
        (Bleu, BLEU, {"smooth_method": "add-k"}, "smooth:add-k[1.00]"),
        (Bleu, BLEU, {"max_ngram_order": 2, "effective_order": True}, "eff:yes"),
        (Chrf, CHRF, {"word_order": 2, "beta": 3, "lowercase": True}, "case:lc|eff:yes|nc:6|nw:2"),
        (Chrf, CHRF, {"char_order": 3, "whitespace": True}, "nc:3|nw:0|space:yes"),
        (Chrf, CHRF, {"eps_smoothing": True}, "eff:no"),
        (
            Ter,
            TER,
            {"no_punct": True},
            "case:lc|tok:tercom|norm:no|punct:no",
        ),
        (Ter, TER, {"normalized": True, "asian_support": True}, "norm:yes|punct:yes|asian:yes"),
    ],
)
def test_options_of_sacrebleu_are_sacrebleu_s(
    metric: Any, theirs: Any, options: dict[str, Any], signed: str, make_context: Any
) -> None:
    said = ["the Dog bit, the man", *SYSTEM[1:]]
    (found,) = measured(metric(**options), said, RIGHT, make_context)[0].values()
    streams = [list(each) for each in zip(*RIGHT, strict=True)]
    assert found.value == pytest.approx(theirs(**options).corpus_score(said, streams).score)
    assert signed in found.details["signature"]
    plain = measured(metric(), said, RIGHT, make_context)[0]
    assert found.value != plain[found.name].value


@pytest.mark.parametrize(
    ("metric", "options", "says"),
    [
        (Bleu, {"tokenize": "flores200"}, "tokenize is 'flores200'; it is one of 13a, intl, zh"),
        (Bleu, {"smooth_method": "no"}, "smooth_method is 'no'; it is one of exp"),
        (Bleu, {"smooth_value": 0.1}, "no effect with smooth_method 'exp'"),
        (Bleu, {"smooth_method": "floor", "smooth_value": 0}, "smooth_value is 0"),
        (Bleu, {"max_ngram_order": 0}, "max_ngram_order must be 1 or more"),
        (Bleu, {"lowercase": "no"}, "lowercase is 'no'; it is true or false"),
        (Chrf, {"beta": 0}, "beta must be 1 or more"),
        (Ter, {"asian_support": True}, "asian_support has no effect"),
        (Rouge, {"stemmer": 1}, "stemmer is 1; it is true or false"),
        (Meteor, {"alpha": 2}, "alpha is 2"),
        (Meteor, {"beta": float("inf")}, "beta is inf"),
        (ExactMatch, {"normalize": "qa"}, "normalize is 'qa'; it is 'squad' or unset"),
        (ExactMatch, {"normalize": "squad", "ignore_case": True}, "ignores case .* already"),
    ],
)
def test_options_without_effect_are_refused(metric: Any, options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        metric(**options)


def test_the_interval_of_a_corpus_is_that_of_resampled_rows(make_context: Any) -> None:
    said, right = SYSTEM * 5, RIGHT * 5
    (found,) = measured(Bleu(), said, right, make_context)[0].values()
    streams = [list(each) for each in zip(*right, strict=True)]
    theirs = BLEU().corpus_score(said, streams, n_bootstrap=1000)
    low, high = found.interval or (0, 0)
    assert low < found.value < high
    assert (high - low) / 2 == pytest.approx(theirs._ci, rel=0.1)
    assert found.stderr == pytest.approx(theirs._ci / 1.96, rel=0.15)
    again = measured(Bleu(), said, right, make_context)[0]["bleu"]
    assert again == found


def test_a_corpus_has_one_completion_of_each_row(plugins: Plugins) -> None:
    settings = EvaluationSettings(num_samples=2, temperature=1.0)
    for name in ("bleu", "chrf", "ter"):
        with pytest.raises(EvaluationError, match=f"'{name}', a metric of a corpus, takes one"):
            prepare(ROWS, [name], settings, plugins)
    prepare(ROWS, ["rouge", "meteor", "f1"], settings, plugins)


# What was answered, what would be right, and by hand F1 and exact match of SQuAD's script.
ANSWERS = [
    ("the Eiffel Tower", ["Eiffel Tower"], 1.0, 1.0),
    ("It was in Paris, France.", ["Paris", "Paris France"], 4 / 7, 0.0),
    ("a cat cat", ["cat"], 2 / 3, 0.0),
    ("", ["nothing"], 0.0, 0.0),
    ("the", [""], 1.0, 1.0),
    ("the", ["x", "a an"], 1.0, 1.0),
    ("über-groß 3.5", ["Über groß 35"], 2 / 5, 0.0),
    ("Theory of  a thing", ["theory, of thing!"], 1.0, 1.0),
    ("x y", ["z"], 0.0, 0.0),
]


def test_f1_and_exact_match_are_those_of_squad(make_context: Any) -> None:
    said, right, f1, exact = (list(each) for each in zip(*ANSWERS, strict=True))
    found, scores = measured(F1(), said, right, make_context)
    assert [each["f1"] for each in scores] == pytest.approx(f1)
    assert found["f1"].value == pytest.approx(sum(f1) / len(f1))
    _, scores = measured(ExactMatch(normalize="squad"), said, right, make_context)
    assert [each["exact_match"] for each in scores] == exact


def test_several_completions_of_a_row_are_averaged(make_context: Any) -> None:
    context = make_context([{"prompt": "p"}] * 2)
    (found,) = F1().measure(["x", "y", "z", "z"], [["x"], ["x"], ["z"], ["z"]], {}, context)
    assert (found.value, found.n) == (0.75, 2)
    assert [each["scores"]["f1"] for each in context.samples] == [0.5, 1.0]


def test_rouge_with_stems_and_meteor_with_other_weights(make_context: Any) -> None:
    text, right = "the dogs were running the maze", "the dog runs his mazes"
    found, _ = measured(Rouge(stemmer=True), [text], [[right]], make_context)
    theirs = RougeScorer(["rouge1", "rougeL"], use_stemmer=True).score(right, text)
    for kind in ("rouge1", "rougeL"):
        assert found[kind].value == pytest.approx(theirs[kind].fmeasure)
    assert (
        found["rouge1"].value
        > measured(Rouge(), [text], [[right]], make_context)[0]["rouge1"].value
    )
    without, _ = measured(Meteor(gamma=0.0), ["b a"], [["a b"]], make_context)
    assert without["meteor"].value == pytest.approx(1.0)


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


@pytest.mark.parametrize(
    "text",
    [
        "हिन्दी की के",
        "தமிழ் மொழி",
        "كِتَابٌ جديد",
        "cafe\u0301 noir",
        "می\u200cروم خانه",
        "İstanbul güzel",
    ],
)
def test_marks_belong_to_their_word(text: str, make_context: Any) -> None:
    assert words(text) == text.lower().split()
    found, _ = measured(Rouge(), ["का और ही"], [["की औ हू"]], make_context)
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


def test_a_function_may_return_one_number_for_each_completion(make_context: Any) -> None:
    def lengths(predictions: list[str], references: list[Any]) -> dict[str, Any]:
        return {"each": [len(text) for text in predictions], "array": np.array([1, 0, 1, 1])}

    context = make_context([{"prompt": "p"}] * 2)
    metric = CustomMetric(lengths, higher_is_better=False)
    each, array = metric.measure(["a", "bb", "ccc", ""], [["r"]] * 4, {}, context)
    assert (each.name, each.value, each.n, each.higher_is_better) == ("lengths/each", 1.5, 2, False)
    assert each.interval is not None
    assert each.combine is not None
    assert array.value == 0.75
    assert [s["scores"]["lengths/each"] for s in context.samples] == [1.5, 1.5]
    short = CustomMetric(lambda p, r: [1.0], "short")
    with pytest.raises(EvaluationError, match="returned 1 values for 2 completions"):
        measured(short, ["a", "b"], [["a"], ["b"]], make_context)
    with pytest.raises(EvaluationError, match=r"'word' returned 'x'; it must return a number"):
        measured(CustomMetric(lambda p, r: ["x"], "word"), ["a"], [["b"]], make_context)
    with pytest.raises(EvaluationError, match="returned nothing: an empty dict"):
        measured(CustomMetric(lambda p, r: {}, "none"), ["a"], [["b"]], make_context)


def test_a_function_of_other_arguments_is_refused_before_a_model(plugins: Plugins) -> None:
    def one(predictions: list[str]) -> float:
        return 0.0

    says = r"'one' is one\(predictions.*is called with two lists, .*too many positional"
    with pytest.raises(EvaluationError, match=says):
        prepare(ROWS, [one], EvaluationSettings(), plugins)
    with pytest.raises(EvaluationError, match=r"Rouge is a class of evaluators; give an object"):
        prepare(ROWS, [Rouge], EvaluationSettings(), plugins)


def test_a_function_stands_among_evaluators(model: Any, tokenizer: Any, plugins: Plugins) -> None:
    settings = EvaluationSettings(max_new_tokens=2)
    found = evaluate(model, tokenizer, ROWS, [overlap], settings=settings, plugins=plugins)
    assert found.values() == {"overlap/rows": 2.0, "overlap/lists": 0.0}
    task = EvalTask(name="t", dataset=ROWS, metrics=[overlap, "f1"])
    assert task.metrics == ({"type": "custom_metric", "params": {"function": overlap}}, "f1")


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
