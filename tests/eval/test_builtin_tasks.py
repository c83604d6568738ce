"""The tasks that come with AlignTune, on a hub with rows of the real columns, by a tiny model.

One process does all of it, because the clients of the hub read where it is when they are imported.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from aligntune.facts import TaskFacts
from aligntune.plugins import Plugins, Register
from aligntune.testing import Hub, make_model, write_jsonl
from aligntune_eval import plugin
from aligntune_eval.tasks import prepare_task
from aligntune_eval.tasks.builtin.text import detokenized
from aligntune_eval.tasks.facts import TASKS
from aligntune_eval.tasks.find import load_task

ROWS = 12
FIRST = 1 + ROWS  # number of the first row of a data set's second split
LETTERS = ["A", "B", "C", "D"]


def gsm8k(n: int) -> dict[str, Any]:
    return {
        "question": f"Ada has {n} pens and buys 1,000. How many?",
        "answer": f"She has {n}+1000=<<{n}+1000={n + 1000}>>{n + 1000}.\n#### 1,{n:03}",
    }


def math500(n: int) -> dict[str, Any]:
    return {
        "problem": f"Half of ${n}$?",
        "solution": rf"It is $\boxed{{\frac{{{n}}}{{2}}}}$.",
        "answer": rf"\frac{{{n}}}{{2}}",
        "subject": "Algebra",
        "level": 1,
        "unique_id": f"test/algebra/{n}.json",
    }


def humaneval(n: int) -> dict[str, Any]:
    return {
        "task_id": f"HumanEval/{n}",
        "prompt": f'def add_{n}(x: int) -> int:\n    """Add {n} to x."""\n',
        "canonical_solution": f"    return x + {n}\n",
        "test": f"METADATA = {{}}\n\n\ndef check(candidate):\n    assert candidate(1) == {n + 1}\n",
        "entry_point": f"add_{n}",
    }


def mbpp(n: int) -> dict[str, Any]:
    return {
        "task_id": n,
        "text": f"Write a function add_{n}.",
        "code": f"def add_{n}(x):\r\n    return x + {n}",
        "test_list": [f"assert add_{n}({x}) == {x + n}" for x in (0, 1, 2)],
        "test_setup_code": "",
        "challenge_test_list": [],
    }


def arc(n: int) -> dict[str, Any]:
    # Some questions of the real data have digits for letters.
    label = LETTERS if n % 2 else ["1", "2", "3", "4"]
    texts = [f"{n} stones", f"{n} stars", f"{n} seeds", f"{n} suns"]
    return {
        "id": f"Mercury_{n}",
        "question": f"What falls {n} times?",
        "choices": {"text": texts, "label": label},
        "answerKey": label[n % 4],
    }


def mmlu(n: int) -> dict[str, Any]:
    return {
        "question": f" Which is {n}?",
        "subject": "abstract_algebra" if n % 2 else "anatomy",
        "choices": [str(n), str(n + 1), str(n + 2), str(n + 3)],
        "answer": n % 4,
    }


def wikitext(n: int) -> dict[str, Any]:
    return {"page": f" = Page {n} = \n \n It has 1 @,@ {n:03} words , and ( some ) marks . \n"}


def cnn(n: int) -> dict[str, Any]:
    return {"article": f"It rained {n} days.", "highlights": f"Rain for {n} days .", "id": str(n)}


def wmt(n: int) -> dict[str, Any]:
    return {"translation": {"de": f"Es regnet {n} Tage.", "en": f"It rains {n} days."}}


def hh(n: int) -> dict[str, Any]:
    asked = f"\n\nHuman: What is {n}?\n\nAssistant: A number.\n\nHuman: And then?\n\nAssistant:"
    return {"chosen": f"{asked} It is {n + 1}.", "rejected": f"{asked} No idea."}


# Data set -> subset -> (row by number, splits). The subset "" is the whole of a data set without.
HUB: dict[str, dict[str, tuple[Any, tuple[str, ...]]]] = {
    "openai/gsm8k": {"main": (gsm8k, ("train", "test"))},
    "HuggingFaceH4/MATH-500": {"": (math500, ("test",))},
    "openai/openai_humaneval": {"": (humaneval, ("test",))},
    "google-research-datasets/mbpp": {
        "full": (mbpp, ("train", "test", "validation", "prompt")),
        "sanitized": (mbpp, ("test",)),
    },
    "allenai/ai2_arc": {
        "ARC-Easy": (arc, ("train", "test")),
        "ARC-Challenge": (arc, ("train", "test")),
    },
    "cais/mmlu": {"all": (mmlu, ("test", "dev"))},
    "EleutherAI/wikitext_document_level": {"wikitext-2-raw-v1": (wikitext, ("train", "test"))},
    "abisee/cnn_dailymail": {"3.0.0": (cnn, ("train", "test"))},
    "wmt/wmt16": {"de-en": (wmt, ("validation", "test")), "cs-en": (wmt, ("test",))},
    "Anthropic/hh-rlhf": {"": (hh, ("train", "test"))},
}

CLIENT = """
import json, sys
import datasets
from aligntune.plugins import Plugins
from aligntune_eval.models.load import load_model
from aligntune_eval.tasks import find_tasks, prepare_task

datasets.disable_progress_bars()
plugins = Plugins()
model = load_model(sys.argv[1])
for name, changes in json.load(sys.stdin):
    (task,) = find_tasks([name], plugins)
    ready = prepare_task(task, plugins, changes=changes)
    done = ready.run(model.model, model.tokenizer)
    answer = {
        "rows": list(ready.rows),
        "available": ready.available,
        "metrics": {metric.name: [metric.value, metric.n] for metric in done.metrics},
    }
    print("ANSWER " + json.dumps(answer), flush=True)
"""
# What is changed so that a tiny model is done soon; prompts and metrics stay what they are.
GENERATES = {"gsm8k", "math500", "humaneval", "mbpp", "cnn_dailymail", "wmt16_en_de"}


def write_hub(folder: Path) -> None:
    for name, subsets in HUB.items():
        place = folder / "datasets" / name
        configs = []
        for subset, (row, splits) in subsets.items():
            files = []
            for number, split in enumerate(splits):
                path = f"{subset or 'data'}/{split}.jsonl"
                rows = [row(1 + number * ROWS + index) for index in range(ROWS)]
                write_jsonl(place / path, rows)
                files.append({"split": split, "path": path})
            configs.append({"config_name": subset or "default", "data_files": files})
        (place / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hub")
    write_hub(folder)
    model = make_model(folder / "tiny", positions=4096)
    wanted = [
        (name, {"max_samples": 2, **({"max_new_tokens": 4} if name in GENERATES else {})})
        for name in TASKS
    ]
    with Hub(folder) as hub:
        environment = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, str(model)],
            input=json.dumps(wanted),
            env=environment | hub.environment(folder / "cache"),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    said = [json.loads(line.removeprefix("ANSWER ")) for line in lines]
    return dict(zip(TASKS, said, strict=True))


MEASURED = {
    "gsm8k": {"math_accuracy"},
    "math500": {"math_accuracy"},
    "humaneval": {"pass@1"},
    "mbpp": {"pass@1"},
    "arc_easy": {"acc", "acc_norm", "acc_bytes"},
    "arc_challenge": {"acc", "acc_norm", "acc_bytes"},
    "mmlu": {"acc", "acc_norm", "acc_bytes"},
    "wikitext": {"perplexity", "bits_per_byte"},
    "cnn_dailymail": {"rouge1", "rouge2", "rougeL", "rougeLsum"},
    "wmt16_en_de": {"bleu", "chrf"},
    "hh_rlhf": {"preference_accuracy"},
}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_measures_what_it_is_known_for(answers: dict[str, Any], name: str) -> None:
    said = answers[name]
    assert set(said["metrics"]) == MEASURED[name]
    assert {n for _, n in said["metrics"].values()} == {2}
    assert said["available"] == ROWS


def row(answers: dict[str, Any], name: str) -> dict[str, Any]:
    first: dict[str, Any] = answers[name]["rows"][0]
    return first


def test_gsm8k_shows_five_solutions_and_asks_for_the_number(answers: dict[str, Any]) -> None:
    asked = row(answers, "gsm8k")
    *examples, question = asked["prompt"].split("\n\n")
    assert asked["reference"] == "1,013"
    assert question == "Question: Ada has 13 pens and buys 1,000. How many?\nAnswer:"
    assert len(examples) == 5
    train = [gsm8k(n) for n in range(1, FIRST)]
    right = {f"Question: {r['question']}\nAnswer: {r['answer']}" for r in train}
    assert set(examples) < right


def test_math500_asks_for_a_box(answers: dict[str, Any]) -> None:
    asked = row(answers, "math500")
    assert asked["reference"] == r"\frac{1}{2}"
    assert asked["prompt"].endswith("put your final answer within \\boxed{}.\n")


def test_mbpp_shows_the_tests_and_three_programs(answers: dict[str, Any]) -> None:
    *examples, question = row(answers, "mbpp")["prompt"].split("\n\nYou are")
    assert question == (
        " an expert Python programmer, and here is your task: Write a function add_13. Your code "
        "should pass these tests:\n\nassert add_13(0) == 13\nassert add_13(1) == 14\n"
        "assert add_13(2) == 15\n[BEGIN]\n"
    )
    # The second to the fourth problem of the split `prompt`, whose first number here is 37.
    ends = [f"[BEGIN]\ndef add_{n}(x):\r\n    return x + {n}\n[DONE]" for n in (38, 39, 40)]
    assert [example.endswith(end) for example, end in zip(examples, ends, strict=True)] == [
        True
    ] * 3


def test_choices_have_the_place_of_the_right_one(answers: dict[str, Any]) -> None:
    assert row(answers, "arc_easy")["prompt"] == "Question: What falls 13 times?\nAnswer:"
    for asked, n in zip(answers["arc_easy"]["rows"], (13, 14), strict=True):
        assert (asked["choices"], asked["answer"]) == (arc(n)["choices"]["text"], n % 4)


def test_mmlu_shows_five_of_the_subject(answers: dict[str, Any]) -> None:
    asked = row(answers, "mmlu")
    begin, *examples, question = asked["prompt"].split("\n\n")
    about = "The following are multiple choice questions (with answers) about abstract algebra."
    assert begin == about
    assert question == "Which is 1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
    assert (asked["choices"], asked["answer"]) == (LETTERS, 1)
    own = [mmlu(n) for n in range(13, 23) if n % 2]
    assert [e.splitlines()[0] for e in examples] == [r["question"].strip() for r in own]
    assert [e[-1] for e in examples] == [LETTERS[r["answer"]] for r in own]


def test_pages_are_put_together(answers: dict[str, Any]) -> None:
    text = row(answers, "wikitext")["text"]
    assert text == " = Page 13 =\n\nIt has 1,013 words, and (some) marks.\n"


def test_pages_are_put_together_as_lm_eval_does() -> None:
    theirs = pytest.importorskip("lm_eval.tasks.wikitext.preprocess_wikitext")
    marks = ["@-@", "@,@", "@.@", ":", ";", ".", "!", "?", ",", "'s", "= =", "= = =", "N", "\n"]
    quoted = ["( a )", "[ b ]", "{ c }", '" d "', "' e '", "\N{DEGREE SIGN}", "dogs ' f", "= = = ="]
    page = " x ".join([*marks, *quoted, *marks]) + " \n " + " ".join([*quoted, *marks])
    assert detokenized({"page": page})["text"] == theirs.wikitext_detokenizer({"page": page})


THEIRS: list[tuple[str, str, Any]] = [
    ("gsm8k", "gsm8k/gsm8k.yaml", gsm8k),
    ("humaneval", "humaneval/humaneval.yaml", humaneval),
    ("mbpp", "mbpp/mbpp.yaml", mbpp),
    ("arc_easy", "arc/arc_easy.yaml", arc),
    ("arc_challenge", "arc/arc_easy.yaml", arc),
    ("mmlu", "mmlu/default/_default_template_yaml", mmlu),
    ("wmt16_en_de", "translation/wmt16_en-de.yaml", wmt),
]


@pytest.mark.parametrize(("name", "file", "made"), THEIRS, ids=[name for name, _, _ in THEIRS])
def test_a_prompt_is_that_of_lm_eval(plugins: Plugins, name: str, file: str, made: Any) -> None:
    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None
    assert spec.origin is not None
    node = yaml.compose((Path(spec.origin).parent / "tasks" / file).read_text())
    theirs = {key.value: value.value for key, value in node.value}
    plugin.aligntune_register_tasks(Register(plugins, plugins.tasks, TaskFacts))
    task = replace(
        load_task(plugins.tasks.get(name)),
        dataset=[made(n) for n in range(4)],
        subset=None,
        split="train",
        fewshot_split=None,
        num_fewshot=0,
        system_prompt=None,
        reference="-",
        choices=None,
        metrics=["exact_match"],
    )
    for row, original in zip(prepare_task(task, plugins).rows, task.dataset, strict=True):
        template = jinja2.Template(theirs["doc_to_text"], keep_trailing_newline=True)
        assert row["prompt"] == template.render(original)


def test_pairs_share_their_prompt(answers: dict[str, Any]) -> None:
    asked = row(answers, "hh_rlhf")
    assert asked["prompt"].endswith("Human: And then?\n\nAssistant:")
    assert asked["prompt"].count("Assistant:") == 2
    assert (asked["chosen"], asked["rejected"]) == (" It is 14.", " No idea.")


def test_texts_have_their_references(answers: dict[str, Any]) -> None:
    assert row(answers, "cnn_dailymail")["prompt"] == "It rained 13 days.\n\nTL;DR:"
    assert row(answers, "cnn_dailymail")["reference"] == "Rain for 13 days ."
    assert row(answers, "wmt16_en_de")["reference"] == "Es regnet 13 Tage."
