"""bleu, chrf, rouge and meteor: the packages' own published values, and what is refused."""

# ruff: noqa: RUF001 - letters that look like others are part of this
# ruff: noqa: ISC004 - long sentences in lists of texts

from __future__ import annotations

import logging
import math
import random
import subprocess
import sys
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer

from aligntune import plugins
from aligntune.config.sections import RewardConfig
from aligntune.errors import AlignTuneError, ConfigError, UnavailableError
from aligntune.scoring import RewardBatch, build_scorer
from aligntune_rewards import BleuReward, ChrfReward, MeteorReward, RougeReward
from aligntune_rewards.checks import need
from aligntune_rewards.words import plain_form, sentences, words

# sacrebleu, test/test_bleu.py: the example of its README.
HYPOTHESES = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
REFERENCES = [
    ["The dog bit the man.", "It was not unexpected.", "The man bit him first."],
    ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."],
]
# sacrebleu, test/test_sentence_bleu.py.
ROMANIAN = "producţia de zahăr brut se exprimă în zahăr alb;"
TRANSLATED = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;"
# nltk/translate/meteor_score.py.
GUIDE = (
    "It is a guide to action which ensures that the military always obeys the commands of the party"
)
GUIDES = [
    "It is a guide to action that ensures that the military will forever heed Party commands",
    "It is the guiding principle which guarantees the military forces always being under the "
    "command of the Party",
    "It is the practical guide for the army always to heed the directions of the party",
]
FOX, DOG = "The quick brown fox jumps over the lazy dog", "The quick brown dog jumps on the log."
REWARDS: list[Any] = [BleuReward, ChrfReward, RougeReward, MeteorReward]


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"smoothing": "exp"}, 8.493),
        ({"smoothing": "none"}, 0.0),
        ({"smoothing": "floor"}, 4.51688),
        ({"smoothing": "floor", "smoothing_value": 0.1}, 4.51688),
        ({"smoothing": "floor", "smoothing_value": 0.5}, 10.10),
        ({"smoothing": "add-k"}, 14.882),
        ({"smoothing": "add-k", "smoothing_value": 1}, 14.882),
        ({"smoothing": "add-k", "smoothing_value": 2}, 21.389),
        ({"tokenizer": "none"}, 7.347),
        ({"tokenizer": "intl"}, 8.493),
        ({"tokenizer": "char"}, 40.8759),
        ({"tokenizer": "char", "lowercase": True}, 42.0267),
    ],
)
def test_bleu_gives_the_published_sentence_scores(params: dict[str, Any], wanted: float) -> None:
    found = BleuReward(**params).compute(TRANSLATED, ROMANIAN)
    assert found == pytest.approx(wanted / 100, abs=1e-5)


@pytest.mark.parametrize("smoothing", ["exp", "none", "floor", "add-k"])
def test_bleu_of_texts_without_a_common_word_is_0(smoothing: Any) -> None:
    assert BleuReward(smoothing=smoothing).compute("this is a cat", "okay thanks") == 0.0


def test_the_example_of_sacrebleu_comes_out_of_its_sentences() -> None:
    """48.53 and 59.73: the corpus scores, and BLEU also from what is counted of each sentence."""
    bleu, chrf = BleuReward(), ChrfReward()
    assert bleu.metric.corpus_score(HYPOTHESES, REFERENCES).score == pytest.approx(48.530827)
    assert round(chrf.metric.corpus_score(HYPOTHESES, REFERENCES).score, 2) == 59.73
    rows = [list(each) for each in zip(*REFERENCES, strict=True)]
    found = bleu.compute_batch(RewardBatch(HYPOTHESES, references=rows))
    assert found == pytest.approx([1.0, by_hand_bleu(1, rows), by_hand_bleu(2, rows)], abs=1e-9)
    assert found[0] == 1.0
    counts, totals, said, right = [0] * 4, [0] * 4, 0, 0
    for text, references in zip(HYPOTHESES, rows, strict=True):
        score = bleu.metric.sentence_score(text, references)
        counts = [a + b for a, b in zip(counts, score.counts, strict=True)]
        totals = [a + b for a, b in zip(totals, score.totals, strict=True)]
        said, right = said + score.sys_len, right + score.ref_len
    mean = math.fsum(math.log(c / t) for c, t in zip(counts, totals, strict=True)) / 4
    penalty = math.exp(min(0.0, 1 - right / said))
    assert 100 * penalty * math.exp(mean) == pytest.approx(48.530827, abs=1e-5)


def by_hand_bleu(index: int, rows: list[list[str]]) -> float:
    """The BLEU of a sentence by its definition, with exponential smoothing."""
    tokens = [line.replace(".", " .").split() for line in (HYPOTHESES[index], *rows[index])]
    said, references = tokens[0], tokens[1:]
    logs, halved = [], 1.0
    for n in range(1, 5):
        grams = [tuple(said[i : i + n]) for i in range(len(said) - n + 1)]
        most = [[tuple(r[i : i + n]) for i in range(len(r) - n + 1)] for r in references]
        right = sum(
            min(grams.count(gram), max(each.count(gram) for each in most)) for gram in set(grams)
        )
        if right == 0:
            halved *= 2
        logs.append(math.log((right or 1 / halved) / len(grams)))
        if n == 1 and right == 0:
            return 0.0
    nearest = min((abs(len(r) - len(said)), len(r)) for r in references)[1]
    return math.exp(math.fsum(logs) / 4) * math.exp(min(0.0, 1 - nearest / len(said)))


def test_bleu_counts_several_references_and_its_parameters() -> None:
    reward = BleuReward()
    assert reward.compute(DOG, [FOX, DOG]) == 1.0
    assert reward.compute("test", "test") == pytest.approx(1.0)
    assert reward.compute("a", ["a b", "a c d"]) == pytest.approx(math.exp(-1))
    assert BleuReward(max_order=1).compute("b a", "a b") == pytest.approx(1.0)
    assert reward.compute("我爱北京", "我爱上海") == 0.0
    assert BleuReward(tokenizer="zh", max_order=2).compute("我爱北京", "我爱上海") == pytest.approx(
        math.sqrt(2 / 4 * 1 / 3)
    )


def test_signatures_say_how_it_was_scored() -> None:
    reward = BleuReward(tokenizer="intl", smoothing="floor", lowercase=True)
    begin = "case:lc|eff:yes|tok:intl|smooth:floor[0.10]|version:"
    assert reward.signature.startswith("nrefs:1|" + begin)
    reward.compute("a", ["a", "b"])
    assert reward.signature.startswith("nrefs:2|" + begin)
    chrf = ChrfReward(word_order=2)
    assert chrf.signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:")


@pytest.mark.parametrize(
    ("text", "reference", "params", "wanted"),
    [
        # sacrebleu, test/test_chrf.py.
        (
            "Co nás nejvíc trápí, protože lékaři si vybírají, kdo bude žít a kdo zemře.",
            "Nejvíce smutní jsme z toho, že musíme rozhodovat o tom, kdo bude žít a kdo zemře.",
            {"eps_smoothing": True},
            39.14078509,
        ),
        (
            "Nebo prostě nemají vybavení, které by jim pomohlo, uvedli lékaři.",
            "A někdy nemáme ani potřebný materiál, abychom jim pomohli, popsali lékaři.",
            {"eps_smoothing": True},
            31.22557079,
        ),
        (
            "Lapali po dechu, jejich životy skončily dřív, než skutečně začaly.",
            "Lapali po dechu a pak jejich život skončil - dřív, než skutečně mohl začít, "
            "připomněli.",
            {"eps_smoothing": True},
            57.15704367,
        ),
        ("abcdefg", "hijklmnop", {"beta": 3, "eps_smoothing": True}, 0.0),
        ("", "reference", {"beta": 3, "eps_smoothing": True}, 0.0),
        ("aa", "ab", {"beta": 3, "eps_smoothing": True}, 8.3333),
        ("a", "a", {"beta": 3, "eps_smoothing": True}, 16.6667),
        ("a b c", "abc", {"beta": 3, "eps_smoothing": True}, 50.0),
        (
            " risk assessment must be made of those who are qualified and expertise in the sector "
            "- these are the scientists .",
            "risk assessment has to be undertaken by those who are qualified and expert in that "
            "area - that is the scientists .",
            {"beta": 3, "eps_smoothing": True},
            63.361730,
        ),
        (
            " Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. ",
            "Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich.",
            {"beta": 3, "eps_smoothing": True},
            64.1302698,
        ),
        ("a", "a", {"beta": 3}, 100.0),
        ("aa", "ab", {"beta": 3}, 25.0),
        (
            "Die Beziehung zwischen Obama und Netanjahu ist nicht gerade freundlich.",
            "Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich.",
            {"beta": 3, "whitespace": True},
            67.3481606,
        ),
    ],
)
def test_chrf_gives_the_published_scores(
    text: str, reference: str, params: dict[str, Any], wanted: float
) -> None:
    assert ChrfReward(**params).compute(text, reference) == pytest.approx(wanted / 100, abs=1e-6)


def test_chrf_takes_the_best_reference_and_its_parameters_count() -> None:
    plain = ChrfReward()
    assert plain.compute(DOG, [FOX, DOG]) == 1.0
    found = {plain.compute(DOG, FOX)}
    for params in ({"char_order": 2}, {"word_order": 2}, {"beta": 1}, {"whitespace": True}):
        found.add(ChrfReward(**params).compute(DOG, FOX))
    assert len(found) == 5
    assert ChrfReward(lowercase=True).compute(DOG.upper(), DOG) == 1.0


@pytest.mark.parametrize(
    ("variant", "text", "reference", "precision", "recall", "f"),
    [
        # rouge_score/rouge_scorer_test.py.
        ("rouge1", "testing", "testing one two", 1, 1 / 3, 1 / 2),
        ("rouge2", "testing one", "testing one two", 1, 1 / 2, 2 / 3),
        ("rougeL", "testing one", "testing one two", 1, 2 / 3, 4 / 5),
        ("rougeL", "testing two", "testing one two", 1, 2 / 3, 4 / 5),
        ("rougeLsum", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", 0.4, 0.8, 1.6 / 3),
        ("rougeLsum", "/", "w1 w2 w3 w4 w5", 0, 0, 0),
        (
            "rougeLsum",
            "Second sentence.\nFirst Sentence.",
            "First sentence.\nSecond Sentence.",
            1,
            1,
            1,
        ),
        ("rouge1", "", "testing one two", 0, 0, 0),
        ("rougeL", "", "testing one two", 0, 0, 0),
        # The example of its README.
        ("rouge1", DOG, FOX, 6 / 8, 6 / 9, 0.7059),
        ("rougeL", DOG, FOX, 5 / 8, 5 / 9, 0.5882),
    ],
)
def test_rouge_gives_the_published_scores(  # noqa: PLR0917
    variant: Any, text: str, reference: str, precision: float, recall: float, f: float
) -> None:
    for measure, wanted in (("precision", precision), ("recall", recall), ("f", f)):
        reward = RougeReward(variant, measure=measure)  # type: ignore[arg-type]
        assert reward.compute(text, reference) == pytest.approx(wanted, abs=5e-5)


def test_rouge_takes_the_best_of_several_references() -> None:
    references = ["first text", "first something"]
    for variant, wanted in (("rouge1", 1.0), ("rouge2", 0.0), ("rougeL", 0.5)):
        assert RougeReward(variant).compute("text first", references) == wanted  # type: ignore[arg-type]
    assert RougeReward().compute(DOG, [FOX, DOG]) == 1.0


def test_rouge_equals_rouge_score_on_ascii_text() -> None:
    """Longest common subsequences too, which are found in another way."""
    chosen = random.Random(0)
    vocabulary = "the a cat dogs running Running. fish-eating isn't 42 x_y (so) ran\nwell! then?"
    for stemmer in (False, True):
        theirs = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stemmer)
        for _ in range(150):
            text, reference = (
                " ".join(chosen.choices(vocabulary.split(" "), k=chosen.randint(1, 25)))
                for _ in range(2)
            )
            wanted = theirs.score(reference, text)
            for variant in ("rouge1", "rouge2", "rougeL"):
                for measure in ("f", "precision", "recall"):
                    reward = RougeReward(variant, measure, stemmer)
                    name = "fmeasure" if measure == "f" else measure
                    assert reward.compute(text, reference) == getattr(wanted[variant], name)


@pytest.mark.parametrize(
    ("text", "reference", "wanted"),
    [
        ("Кошка спит дома", "Кошка спит на крыше", 4 / 7),
        ("猫が好き", "猫が嫌い", 1 / 2),
        ("cafe\u0301 noir", "café noir", 1.0),
        ("ｃａｆｅ", "cafe", 1.0),
    ],
)
def test_rouge_reads_every_script(text: str, reference: str, wanted: float) -> None:
    assert RougeReward().compute(text, reference) == pytest.approx(wanted)
    assert RougeReward("rougeLsum").compute(text, reference) == pytest.approx(wanted)


def test_rouge_of_stems() -> None:
    assert RougeReward().compute("dogs running", "dog runs") == 0.0
    assert RougeReward(stemmer=True).compute("dogs running", "dog runs") == 1.0


def test_meteor_gives_the_published_scores() -> None:
    reward = MeteorReward()
    assert round(reward.compute(GUIDE, GUIDES) or 0, 4) == 0.6944
    assert round(reward.compute(GUIDE, GUIDES[0]) or 0, 4) == 0.6944
    assert reward.compute("non matching hypothesis", "this is a cat") == 0.0


def test_meteor_by_hand() -> None:
    # 3 of 4 words match 3 of 5 in 2 runs; "cats" and "cat" have one stem.
    p, r = 3 / 4, 3 / 5
    wanted = (1 - 0.5 * (2 / 3) ** 3) * p * r / (0.9 * p + 0.1 * r)
    assert MeteorReward().compute("the cats here sat", "the cat never sat down") == pytest.approx(
        wanted
    )
    wanted = (1 - 0.2 * (2 / 3)) * p * r / (0.5 * p + 0.5 * r)
    reward = MeteorReward(alpha=0.5, beta=1.0, gamma=0.2)
    assert reward.compute("the cats here sat", "the cat never sat down") == pytest.approx(wanted)
    assert MeteorReward().compute("кошка", "кошка") == 0.5


def test_meteor_counts_synonyms_only_where_the_corpus_is() -> None:
    """Without WordNet, asking for synonyms is refused before anything is scored."""
    from nltk.corpus import wordnet

    assert MeteorReward().compute("automobile", "car") == 0.0
    reward = MeteorReward(synonyms=True)
    try:
        wordnet.ensure_loaded()
    except LookupError:
        with pytest.raises(UnavailableError, match=r"synonyms needs WordNet: python -m nltk"):
            reward.load()
    else:
        assert reward.compute("automobile", "car") == 0.5


@pytest.mark.parametrize("cls", REWARDS)
def test_rows_without_a_reference_are_left_out(cls: Any) -> None:
    reward = cls()
    assert reward.compute("text") is None
    assert reward.compute("text", []) is None
    assert reward.compute("text", ["", " \n"]) is None
    assert reward.compute("", "right") == 0.0
    assert reward.compute(" \n", "right") == 0.0
    assert reward.compute("right", ["", "right"]) == reward.compute("right", "right") > 0
    with pytest.raises(TypeError, match=r"reference is 3; it is a text or a list of texts"):
        reward.compute("text", 3)
    with pytest.raises(TypeError, match=r"reference is \['a', None\]; it is a text or a list"):
        reward.compute("text", ["a", None])


@pytest.mark.parametrize("cls", REWARDS)
def test_facts_and_extra(cls: Any) -> None:
    entry = plugins.get().rewards.get(cls.name)
    assert entry.load() is cls
    assert (cls.range, cls.cost) == (entry.facts.range, entry.facts.cost)
    assert frozenset(entry.facts.requires) == cls.requires
    assert entry.facts.install == "aligntune-rewards[reference]"
    with pytest.raises(UnavailableError, match=r'rence\]"$'):
        need("no_such_library", "reference", "reward 'bleu'")


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("bleu", {"tokenizer": "spm"}, "tokenizer is 'spm'; it is one of 13a, intl, zh, char"),
        ("bleu", {"smoothing": "more"}, "smoothing is 'more'; it is one of exp, floor"),
        ("bleu", {"smoothing_value": 1.0}, "no effect with smoothing 'exp'"),
        ("bleu", {"smoothing": "floor", "smoothing_value": 0}, "smoothing_value is 0"),
        ("bleu", {"max_order": 0}, "max_order is 0; it must be a whole number from 1"),
        ("chrf", {"char_order": 0}, "char_order is 0; it must be a whole number from 1"),
        ("chrf", {"beta": 0.5}, r"beta is 0\.5; it must be a whole number from 1"),
        ("chrf", {"word_order": -1}, "word_order is -1; it must be a whole number from 0"),
        ("rouge", {"variant": "rouge3"}, "variant is 'rouge3'; it is one of rouge1, rouge2"),
        ("rouge", {"measure": "fmeasure"}, "measure is 'fmeasure'; it is one of f, precision"),
        ("meteor", {"alpha": 2}, "alpha is 2; it must lie between 0 and 1"),
        ("meteor", {"gamma": -1}, "gamma is -1; it must lie between 0 and 1"),
        ("meteor", {"beta": -1}, "beta is -1; it must be a finite number, 0 or more"),
        ("meteor", {"alpha": "0.9"}, r"alpha is '0\.9'; it must be a number"),
        ("meteor", {"synonyms": "no"}, "synonyms is 'no'; it must be true or false"),
        ("bleu", {"lowercase": "false"}, "lowercase is 'false'; it must be true or false"),
        ("chrf", {"whitespace": 0}, "whitespace is 0; it must be true or false"),
        ("rouge", {"stemmer": "false"}, "stemmer is 'false'; it must be true or false"),
    ],
)
def test_what_is_refused(name: str, params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_scorer([RewardConfig(type=name, params=params)], plugins.get(), ["reference"])
    with pytest.raises(AlignTuneError, match="needs a reference"):
        build_scorer([RewardConfig(type=name)], plugins.get(), ["prompt"])


def test_sacrebleu_says_nothing_of_every_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        BleuReward().compute("one", "one")
        BleuReward(max_order=2).compute("one two .", "one two .")
    assert not caplog.messages


def test_without_its_library_the_extra_is_named() -> None:
    """A process that cannot import what an extra brings."""
    code = (
        "import sys\n"
        "for gone in ('sacrebleu', 'nltk', 'rouge_score', 'sentence_transformers'):\n"
        "    sys.modules[gone] = None\n"
        "import aligntune_rewards as rewards\n"
        "from aligntune.errors import UnavailableError\n"
        "for name in ('Bleu', 'Chrf', 'Rouge', 'Meteor', 'SemanticSimilarity', 'Relevance'):\n"
        "    try:\n        getattr(rewards, name + 'Reward')().load()\n"
        "    except UnavailableError as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extra = 'pip install "aligntune-rewards[{}]"'.format
    assert done.stdout.splitlines() == [
        f"reward 'bleu' needs sacrebleu: {extra('reference')}",
        f"reward 'chrf' needs sacrebleu: {extra('reference')}",
        f"reward 'rouge' needs rouge_score: {extra('reference')}",
        f"reward 'meteor' needs nltk: {extra('reference')}",
        f"reward 'semantic_similarity' needs sentence_transformers: {extra('embeddings')}",
        f"reward 'relevance' needs sentence_transformers: {extra('embeddings')}",
    ]


def test_words_sentences_and_plain_forms() -> None:
    assert words("It's 5_6 Straße, ÉCOLE e\u0301 日本 ไทย") == [
        *("it", "s", "5", "6", "straße", "école", "é", "日", "本", "ไ", "ท", "ย"),
    ]
    assert sentences("One. Two!  Three?\n\nfour\n五。六") == [
        *("One.", "Two!", "Three?", "four", "五。", "六")
    ]
    tricks = ["a\u200bb\u00ad c", "А\u0301b\u0336 с", "\uff21\U0001d41b \u24d2", "a\0b c"]
    assert {plain_form(text) for text in tricks} == {"ab c"}
