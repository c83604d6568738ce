"""Tasks prepared without a model: rows, prompts, examples, chat, checks, the fingerprint."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from aligntune import EvalTask
from aligntune.errors import AlignTuneError, EvaluationError
from aligntune.testing import write_jsonl
from aligntune_eval.metrics.exact_match import ExactMatch
from aligntune_eval.tasks import PreparedTask, Runnable, prepare_task

ROWS = [{"question": f"{n}+{n}", "answer": str(2 * n), "kind": "ab"[n % 2]} for n in range(8)]
SUMS = EvalTask(
    name="sums",
    dataset=ROWS,
    prompt="{{ question }}=",
    metrics=["exact_match"],
    max_new_tokens=4,
)

Prepare = Callable[..., Runnable]


@pytest.fixture
def ready(plugins: Any) -> Prepare:
    """`ready(**changes)`: the task above, prepared with these changes."""

    def made(**changes: Any) -> Runnable:
        return prepare_task(SUMS, plugins, changes=changes)

    return made


def prompts(task: Runnable) -> list[Any]:
    return [row["prompt"] for row in task.rows]


def answer_of(question: str) -> str:
    return str(eval(question))


def shots(prompt: str) -> list[str]:
    """The questions of the examples in a prompt, of which each must have its own answer."""
    *examples, _ = prompt.split("\n\n")
    parts = [example.split("= ") for example in examples]
    assert all(answer_of(question) == answer for question, answer in parts)
    return [question for question, _ in parts]


def test_rows_have_the_columns_that_templates_make(ready: Prepare) -> None:
    task = ready(
        reference="{{ answer }}.",
        choices="{{ [answer, 'none'] }}",
        columns={"text": "{{ question }}={{ answer }}", "number": "{{ answer | int }}"},
        max_samples=2,
    )
    made = {"prompt": "1+1=", "reference": "2.", "choices": ["2", "none"], "text": "1+1=2"}
    assert task.rows[1] == {**ROWS[1], **made, "number": 2}
    assert (len(task.rows), task.available) == (2, 8)
    assert task.settings.reference_column == "reference"
    assert task.settings.max_new_tokens == 4


def test_rows_come_from_files_objects_and_functions(ready: Prepare, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    splits = DatasetDict(train=Dataset.from_list(ROWS[:2]), test=Dataset.from_list(ROWS))
    wanted = prompts(ready())
    assert prompts(ready(dataset=str(tmp_path / "rows.jsonl"))) == wanted
    assert prompts(ready(dataset=Dataset.from_list(ROWS))) == wanted
    assert prompts(ready(dataset=splits, split="test")) == wanted
    assert prompts(ready(dataset=lambda: iter(ROWS))) == wanted


def doubled(row: dict[str, Any]) -> dict[str, Any]:
    return {"question": row["question"] * 2, "prompt": "replaced by the template"}


def test_a_function_changes_rows_before_templates_read_them(ready: Prepare) -> None:
    assert prompts(ready(processing_fn=doubled))[1] == "1+11+1="
    for prompt in prompts(ready(processing_fn=doubled, num_fewshot=1)):
        example = prompt.split("= ")[0]
        assert example == example[:3] * 2
    by_name = ready(processing_fn=f"{__name__}:doubled")
    assert by_name.fingerprint != ready().fingerprint


def test_examples_are_other_rows_with_their_answers(ready: Prepare) -> None:
    for prompt in prompts(ready(num_fewshot=3)):
        *_, question = prompt.split("\n\n")
        found = shots(prompt)
        assert len({*found, question.removesuffix("=")}) == 4


def test_examples_do_not_depend_on_order_number_or_run(ready: Prepare) -> None:
    wanted = {row["question"]: row["prompt"] for row in ready(num_fewshot=3).rows}
    mixed = random.Random(0).sample(ROWS, len(ROWS))
    for changes in ({"dataset": mixed}, {"max_samples": 3}, {"dataset": [*ROWS, *ROWS]}):
        again = ready(num_fewshot=3, **changes)
        assert {row["question"]: row["prompt"] for row in again.rows}.items() <= wanted.items()
    # Written down once: another version of Python, or of this code, draws the same.
    assert shots(wanted["0+0"]) == DRAWN


def test_of_twins_the_content_decides_which_one_answers(ready: Prepare) -> None:
    twins = [{"question": "1", "answer": answer} for answer in "abc"]
    rows = [*twins, {"question": "2", "answer": "x"}]
    asked = {
        row["prompt"]
        for order in (rows, rows[::-1])
        for row in ready(dataset=order, num_fewshot=1).rows
        if row["question"] == "2"
    }
    assert len(asked) == 1


DRAWN = ["2+2", "6+6", "3+3"]


def test_another_seed_draws_others_and_more_begin_like_fewer(ready: Prepare) -> None:
    few, more = (prompts(ready(num_fewshot=n)) for n in (2, 3))
    assert [shots(p)[:2] for p in more] == [shots(p) for p in few]
    assert prompts(ready(num_fewshot=2, fewshot_seed=1)) != few


def test_examples_are_drawn_evenly(ready: Prepare) -> None:
    rows = [{"question": f"{n}+0", "answer": str(n)} for n in range(200)]
    drawn = [q for p in prompts(ready(dataset=rows, num_fewshot=5)) for q in shots(p)]
    counts = [drawn.count(row["question"]) for row in rows]
    # Each of 1,000 draws takes one of 200 questions: 5 +- 2.2 on average, never a favourite.
    assert max(counts) < 16
    assert sum(count == 0 for count in counts) < 10


def test_the_first_examples_and_those_of_a_group(ready: Prepare) -> None:
    first = ready(num_fewshot=2, fewshot_sampler="first")
    assert [shots(p) for p in prompts(first)[:3]] == [
        ["1+1", "2+2"],
        ["0+0", "2+2"],
        ["0+0", "1+1"],
    ]
    grouped = ready(num_fewshot=3, fewshot_group="kind")
    for row in grouped.rows:
        assert {int(q[0]) % 2 for q in shots(row["prompt"])} == {int(row["question"][0]) % 2}


def test_examples_come_from_another_split_with_their_own_form(
    ready: Prepare, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "test.jsonl", ROWS[:4])
    write_jsonl(tmp_path / "train.jsonl", ROWS[3:5])
    task = ready(
        dataset=str(tmp_path),
        split="test",
        fewshot_split="train",
        num_fewshot=1,
        fewshot_answer="{{ answer }}!",
        target_delimiter="",
        fewshot_delimiter=" ; ",
        system_prompt="Add ({{ kind }}):",
    )
    assert task.rows[0]["prompt"] in (
        "Add (a): ; 3+3=6! ; 0+0=",
        "Add (a): ; 4+4=8! ; 0+0=",
    )
    assert task.rows[3]["prompt"] == "Add (b): ; 4+4=8! ; 3+3="
    assert task.available == 4


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"answer": "2"}, "row 1 of those that may be examples has no prompt"),
        ({"prompt": None, "answer": "2"}, "row 1 of those that may be examples has no prompt"),
        ({"prompt": "b", "choices": ["x"], "answer": 1}, "names none of its 1 choices"),
        ({"prompt": "b", "choices": ["x"], "answer": -1}, "names none of its 1 choices"),
        (
            {"prompt": [{"role": "user", "content": "b"}], "answer": "2"},
            "row 0 asks in text, and one of its examples in chat messages",
        ),
    ],
)
def test_what_cannot_be_an_example_is_refused(
    ready: Prepare, other: dict[str, Any], said: str
) -> None:
    with pytest.raises(EvaluationError, match=said):
        ready(
            dataset=[{"prompt": "a", "answer": "1"}, other],
            prompt=None,
            reference=None,
            num_fewshot=1,
            max_samples=1,
        )


def test_a_chat_has_examples_as_turns(ready: Prepare) -> None:
    task = ready(chat=True, num_fewshot=1, fewshot_sampler="first", system_prompt="Add.")
    turns = [("system", "Add."), ("user", "0+0="), ("assistant", "0"), ("user", "1+1=")]
    assert prompts(task)[1] == [{"role": role, "content": text} for role, text in turns]


def test_prompts_that_are_messages_stay_a_chat(ready: Prepare) -> None:
    system = {"role": "system", "content": "Add."}
    rows = [
        {"prompt": [system, {"role": "user", "content": f"{n}"}], "answer": n} for n in range(3)
    ]
    task = ready(dataset=rows, prompt=None, num_fewshot=1, fewshot_sampler="first")
    said = [(m["role"], m["content"]) for m in prompts(task)[1]]
    assert said == [("system", "Add."), ("user", "0"), ("assistant", "0"), ("user", "1")]


def test_answers_of_a_chat_are_messages(ready: Prepare) -> None:
    rows = [{"question": "1", "answer": "1", "chosen": "yes", "rejected": "no"}]
    (row,) = ready(dataset=rows, chat=True).rows
    assert row["chosen"] == [{"role": "assistant", "content": "yes"}]
    assert row["answer"] == "1"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"num_fewsot": 1}, "a task has no field 'num_fewsot'; did you mean 'num_fewshot'"),
    ({"num_fewshot": 8}, "num_fewshot is 8, and row 0 finds 7 other questions in the rows"),
    ({"num_fewshot": 4, "fewshot_group": "kind"}, "finds 3 other questions with its kind"),
    ({"num_fewshot": 1, "fewshot_group": "sort"}, "the column 'sort', which row 0 does not have"),
    ({"num_fewshot": 1, "dataset": [{"question": "1"}, {"question": "2"}]}, "has no answer: set"),
    ({"prompt": "{{ qestion }}"}, "'prompt' of row 0: there is no column 'qestion'"),
    ({"prompt": "{{ [1] }}"}, "'prompt' of row 0 must be text or chat messages"),
    ({"choices": "{{ answer }}"}, "'choices' of row 0 is '0', and no list"),
    ({"prompt": None}, "needs 'prompt', which row 0 does not have"),
    ({"prompt": None, "chat": True}, "`chat` has no effect, because the rows have no prompt"),
    ({"prompt": None, "system_prompt": "x"}, "`system_prompt` has no effect"),
    ({"chat_template_kwargs": {"x": 1}}, "`chat_template_kwargs` has no effect without `chat"),
    ({"metrics": ["blue"]}, "unknown evaluator 'blue'; did you mean 'bleu'"),
    ({"metrics": ["perplexity"]}, "`max_new_tokens` has no effect: no completion is generated"),
    ({"metrics": [{"type": "exact_match", "params": {"a": 1}}]}, "unexpected keyword argument 'a'"),
    ({"reference": "{{ missing }}"}, "'reference' of row 0: there is no column 'missing'"),
    ({"dataset": "none.jsonl"}, "none.jsonl: there is no such file"),
    ({"dataset": list}, "there are no rows"),
    ({"dataset": lambda: [3]}, "the function .*: row 0 is no dict of columns, but 3"),
    ({"dataset": lambda: 1 / 0}, "which is its data set, raised ZeroDivisionError"),
    ({"processing_fn": len}, "processing_fn len returned 3; expected a dict"),
    ({"processing_fn": "json:none"}, "points at 'json:none', which cannot be imported"),
    ({"num_fewshot": -1}, "num_fewshot: must be at least 0"),
]


@pytest.mark.parametrize(
    ("changes", "said"), REFUSED, ids=[f"{next(iter(c))}-{n}" for n, (c, _) in enumerate(REFUSED)]
)
def test_what_cannot_work_is_refused_before_a_model(
    ready: Prepare, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(AlignTuneError, match=said):
        ready(**changes)


def test_two_system_messages_are_refused(ready: Prepare) -> None:
    turns = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    with pytest.raises(AlignTuneError, match="have a system message of their own"):
        ready(dataset=[{"prompt": turns, "answer": 1}], prompt=None, system_prompt="c")


def test_a_chat_needs_a_chat_template(ready: Prepare, tokenizer: Any) -> None:
    class Bare:
        chat_template = None

    with pytest.raises(AlignTuneError, match="task 'sums' has `chat: true`, and the tokenizer of"):
        ready(chat=True).run(None, Bare())


def test_a_task_runs(ready: Prepare, model: Any, tokenizer: Any) -> None:
    for changes in ({}, {"chat": True, "num_fewshot": 1}):
        task = ready(**changes)
        evaluation = task.run(model, tokenizer)
        assert evaluation.metric("exact_match").n == 8
        assert len(evaluation.samples) == 8


def same(text: str, reference: str) -> float:
    return float(text == reference)


OTHER: list[dict[str, Any]] = [
    {"dataset": ROWS[::-1]},
    {"dataset": ROWS[:7]},
    {"max_samples": 7},
    {"prompt": "{{ question }} ="},
    {"num_fewshot": 1},
    {"chat": True},
    {"system_prompt": "Add."},
    {"max_new_tokens": 5},
    {"temperature": 0.5},
    {"stop": ["\n"]},
    {"seed": 1},
    {"version": 2},
    {"metrics": ["exact_match", "chrf"]},
    {"metrics": [{"type": "exact_match", "params": {"ignore_case": True}}]},
    {"metrics": [ExactMatch()]},
    {"metrics": [{"type": "custom_metric", "params": {"function": same}}]},
]


@pytest.mark.parametrize(
    "changes", OTHER, ids=[f"{next(iter(c))}-{n}" for n, c in enumerate(OTHER)]
)
def test_the_fingerprint_changes_with_what_results_rest_on(
    ready: Prepare, changes: dict[str, Any]
) -> None:
    assert ready(**changes).fingerprint != ready().fingerprint


class Fixed:
    """A metric that is an object."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, predictions: list[str], references: list[Any]) -> list[float]:
        return [self.value] * len(predictions)


def fixed(predictions: list[str], references: list[Any], value: float = 0.0) -> list[float]:
    return Fixed(value)(predictions, references)


def around(value: float) -> Any:
    return lambda predictions, references: fixed(predictions, references, value)


def without_source(value: float) -> Any:
    return eval(f"lambda predictions, references: [{value}] * len(predictions)")


@pytest.mark.parametrize(
    "make",
    [Fixed, around, without_source, lambda value: partial(fixed, value=value)],
    ids=["object", "closure", "no source", "partial"],
)
def test_the_fingerprint_knows_what_a_function_holds(ready: Prepare, make: Any) -> None:
    found = [ready(metrics=[make(value)]).fingerprint for value in (0.0, 0.0, 1.0)]
    assert found[0] == found[1] != found[2]


def test_the_fingerprint_stays_with_what_they_do_not_rest_on(ready: Prepare, plugins: Any) -> None:
    other = replace(SUMS, name="x", description="y", category="math", metadata={"a": 1})
    assert prepare_task(other, plugins, batch_size=3).fingerprint == ready().fingerprint
    assert ready(dataset=lambda: ROWS).fingerprint == ready().fingerprint


def test_the_fingerprint_knows_the_versions_of_libraries(
    ready: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ready(metrics=["chrf"]).fingerprint
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99.0")
    assert ready(metrics=["chrf"]).fingerprint != before


def test_a_prepared_task_says_what_it_is(ready: Prepare) -> None:
    task = ready(num_fewshot=1)
    assert isinstance(task, PreparedTask)
    assert task.task.num_fewshot == 1
    assert task.task.name == "sums"
