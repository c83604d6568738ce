"""Classifiers of texts and of words: what is learned, kept, measured and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from datasets import ClassLabel, Dataset, Features, IterableDataset, List, Value
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
)

from aligntune import create_sft_trainer
from aligntune.errors import AlignTuneError, ConfigError, DataError
from aligntune.testing import make_model, write_jsonl
from aligntune_trl.classification.loss import loss_function
from aligntune_trl.classification.tokens import check_tags

STEPS = 4
COMPARED = ("loss", "grad_norm", "learning_rate")
HEADS = {"text": AutoModelForSequenceClassification, "token": AutoModelForTokenClassification}
WORDS = ("Anna", "Rome", "sees", "éł", "😀")
TAGS = {"Anna": "B-PER", "Rome": "B-LOC"}
LORA: dict[str, Any] = {
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "v_proj"],
}
each_task = pytest.mark.parametrize("task", ["text", "token"])


def text_rows(count: int) -> list[dict[str, Any]]:
    return [{"text": f"{n} is", "label": "odd" if n % 2 else "even"} for n in range(count)]


def token_rows(count: int) -> list[dict[str, Any]]:
    rows = [[WORDS[(n * k) % 5] for k in range(1, 2 + n % 4)] for n in range(count)]
    return [{"tokens": row, "ner_tags": [TAGS.get(word, "O") for word in row]} for row in rows]


ROWS = {"text": text_rows, "token": token_rows}
NAMES = {"text": ["even", "odd"], "token": ["B-LOC", "B-PER", "O"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classification")
    make_model(folder / "model")
    # A head for tokens has dropout, unless the configuration says otherwise.
    without = make_model(folder / "no_dropout")
    config = json.loads((without / "config.json").read_text())
    (without / "config.json").write_text(json.dumps(config | {"classifier_dropout": 0.0}))
    for task, rows in ROWS.items():
        write_jsonl(folder / f"{task}.jsonl", rows(40))
        write_jsonl(folder / f"{task}_held_out.jsonl", rows(9))
    return folder


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Any:
    """Make a trainer of a task; any setting can be replaced."""

    def trainer(task: str, **settings: Any) -> Any:
        given = {
            "model_name": str(folder / "model"),
            "dataset_name": str(folder / f"{task}.jsonl"),
            "task_type": f"{task}_classification",
            "num_labels": len(NAMES[task]),
            "backend": "trl",
            "output_dir": str(tmp_path / "run"),
            "max_steps": STEPS,
            "batch_size": 4,
            "learning_rate": 3e-3,
            "max_seq_length": 32,
            "logging_steps": 1,
            "save_strategy": "no",
            "seed": 7,
            "precision": "fp32",
            "loggers": "none",
        } | settings
        return create_sft_trainer(**{k: v for k, v in given.items() if v is not None})

    return trainer


def logged(run: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [{name: line[name] for name in COMPARED} for line in history if "loss" in line]


def tokens_of(task: str, row: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """As a script for this tokenizer has them, which makes a token of each byte."""
    if task == "text":
        return {**tokenizer(row["text"]), "labels": NAMES[task].index(row["label"])}
    ids, labels = [], []
    for number, word in enumerate(row["tokens"]):
        if number:
            ids += tokenizer(" ")["input_ids"]
            labels += [-100]
        here = tokenizer(word)["input_ids"]
        ids += here
        labels += [NAMES[task].index(row["ner_tags"][number]), *[-100] * (len(here) - 1)]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@each_task
def test_the_numbers_of_a_hand_written_script(
    make: Any, folder: Path, tmp_path: Path, task: str, adapter: bool
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    collators: dict[str, Any] = {
        "text": DataCollatorWithPadding,
        "token": DataCollatorForTokenClassification,
    }
    rows = [tokens_of(task, row, tokenizer) for row in ROWS[task](40)]
    transformers.set_seed(7)
    loader: Any = HEADS[task]
    model = loader.from_pretrained(
        folder / "model", num_labels=len(NAMES[task]), dtype="float32", pad_token_id=0
    )
    if adapter:
        kind = "SEQ_CLS" if task == "text" else "TOKEN_CLS"
        model = get_peft_model(model, LoraConfig(task_type=kind, r=4, **LORA))
    raw = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            output_dir=str(tmp_path / "raw"),
            max_steps=STEPS,
            per_device_train_batch_size=4,
            learning_rate=3e-3,
            weight_decay=0.01,
            optim="adamw_torch",
            lr_scheduler_type="cosine",
            warmup_steps=0.1,
            max_grad_norm=1.0,
            logging_steps=1,
            seed=7,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
        ),
        data_collator=collators[task](tokenizer),
        train_dataset=Dataset.from_list(rows),
    )
    raw.train()
    settings = {"peft_enabled": True, "lora_rank": 4, **LORA} if adapter else {}
    expected, found = (
        by_step(raw.state.log_history),
        by_step(logged(make(task, **settings).train())),
    )
    assert len(expected) == STEPS
    assert [list(step.values()) for step in found] == [
        pytest.approx(list(step.values()), rel=1e-5) for step in expected
    ]


@each_task
def test_a_step_in_several_passes_is_the_same_step(
    make: Any, folder: Path, tmp_path: Path, task: str
) -> None:
    settings: dict[str, Any] = {"model_name": str(folder / "no_dropout")}
    whole = by_step(logged(make(task, batch_size=8, **settings).train()))
    settings |= {"batch_size": 2, "gradient_accumulation_steps": 4}
    parts = by_step(logged(make(task, output_dir=str(tmp_path / "parts"), **settings).train()))
    assert [list(step.values()) for step in parts] == [
        pytest.approx(list(step.values()), rel=1e-4) for step in whole
    ]


def test_label_smoothing_is_that_of_transformers() -> None:
    smoother: Any = transformers.trainer_pt_utils.LabelSmoother(epsilon=0.2)
    logits, labels = torch.randn(3, 5, 4), torch.tensor([[0, -100, 3, 1, -100]] * 3)
    outputs: Any = transformers.modeling_outputs.TokenClassifierOutput(logits=logits)
    torch.testing.assert_close(loss_function(0.2)(outputs, labels), smoother(outputs, labels))


def test_label_smoothing_reaches_the_loss(make: Any, tmp_path: Path) -> None:
    found = [
        make("text", label_smoothing_factor=smoothing, max_steps=1, output_dir=str(tmp_path / name))
        for name, smoothing in (("plain", 0.0), ("smoothed", 0.5))
    ]
    losses = [by_step(logged(trainer.train()))[0]["loss"] for trainer in found]
    assert losses[0] != losses[1]


@each_task
def test_what_is_saved_is_loaded_again_with_its_labels(make: Any, task: str) -> None:
    trainer = make(task)
    run = trainer.train()
    loader: Any = HEADS[task]
    again = loader.from_pretrained(run.model)
    assert again.config.id2label == dict(enumerate(NAMES[task]))
    assert again.config.label2id == {name: n for n, name in enumerate(NAMES[task])}
    assert again.config.pad_token_id == 0
    trained = trainer.trainer.model.state_dict()
    assert all(torch.equal(weight, trained[name]) for name, weight in again.state_dict().items())
    assert json.loads(run.data.read_text())["labels"] == NAMES[task]
    assert "task_type" in run.config.read_text()
    assert "algo: sft" in run.config.read_text()


@each_task
def test_an_adapter_is_saved_with_its_head(make: Any, folder: Path, task: str) -> None:
    trainer = make(task, peft_enabled=True, lora_rank=4, **LORA)
    run = trainer.train()
    loader: Any = HEADS[task]
    base = loader.from_pretrained(folder / "model", num_labels=len(NAMES[task]), pad_token_id=0)
    again: Any = PeftModel.from_pretrained(base, run.model).eval()
    model: Any = trainer.trainer.model.eval()
    ids = torch.tensor([[40, 41, 42, 43]])
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model(ids).logits)
    started = loader.from_pretrained(folder / "model", num_labels=len(NAMES[task]))
    heads = [w for name, w in model.named_parameters() if "score" in name and w.requires_grad]
    assert heads
    assert not any(torch.equal(head, started.score.weight) for head in heads)


def test_recomputing_activations_beneath_an_adapter_changes_no_number(
    make: Any, tmp_path: Path
) -> None:
    found = [
        by_step(
            logged(
                make(
                    "text",
                    peft_enabled=True,
                    gradient_checkpointing=on,
                    gradient_checkpointing_kwargs={"use_reentrant": True} if on else None,
                    output_dir=str(tmp_path / str(on)),
                    **LORA,
                ).train()
            )
        )
        for on in (False, True)
    ]
    assert found[0] == found[1]


@each_task
def test_a_run_that_is_resumed_has_the_weights_of_one_that_was_not(
    make: Any, tmp_path: Path, task: str
) -> None:
    settings = {"save_strategy": "steps", "save_interval": 2}
    whole = make(task, **settings)
    whole.train()
    make(task, output_dir=str(tmp_path / "cut"), stop_after_steps=2, **settings).train()
    resumed = make(task, output_dir=str(tmp_path / "cut"), **settings)
    resumed.train(resume=True)
    expected = whole.trainer.model.state_dict()
    found = resumed.trainer.model.state_dict()
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())


@each_task
def test_what_is_measured_chooses_the_best_checkpoint(make: Any, folder: Path, task: str) -> None:
    metric = {"text": "macro_f1", "token": "entity_f1"}[task]
    trainer = make(
        task,
        eval_datasets=[str(folder / f"{task}_held_out.jsonl")],
        eval_strategy="steps",
        eval_interval=1,
        save_strategy="steps",
        save_interval=1,
        load_best_model_at_end=True,
        metric_for_best_model=metric,
        early_stopping_patience=3,
        before_training=True,
    )
    run = trainer.train()
    evaluations = [line for line in logged(run) if "eval_loss" in line]
    assert trainer.trainer.state.best_metric == max(line[f"eval_{metric}"] for line in evaluations)
    written = [json.loads(line) for line in run.evaluation.read_text().splitlines()]
    names = {"accuracy", "macro_f1"} | ({"entity_f1"} if task == "token" else set())
    assert {line["name"] for line in written} == names
    assert {(line["when"], line["step"]) for line in written} == {
        ("before", 0),
        *(("during", line["step"]) for line in evaluations),
        ("after", trainer.trainer.state.global_step),
    }
    during = [
        line["value"] for line in written if (line["when"], line["name"]) == ("during", metric)
    ]
    assert during == [line[f"eval_{metric}"] for line in evaluations]
    assert all(line["low"] <= line["value"] <= line["high"] for line in written)
    after = {line["name"]: line["value"] for line in written if line["when"] == "after"}
    assert after[metric] == trainer.trainer.state.best_metric
    assert trainer.evaluate()["eval_accuracy"] == after["accuracy"]


def test_measuring_before_training_changes_nothing(make: Any, folder: Path, tmp_path: Path) -> None:
    """The head for tokens has dropout, which a measurement must not use up."""
    held_out = {"eval_datasets": [str(folder / "token_held_out.jsonl")], "eval_strategy": "no"}
    held_out["load_best_model_at_end"] = False  # type: ignore[assignment]
    one = make("token", before_training=True, **held_out).train()
    other = make("token", output_dir=str(tmp_path / "other"), **held_out).train()
    assert by_step(logged(one)) == by_step(logged(other))


def test_predictions_are_names(make: Any) -> None:
    trainer = make("text", max_steps=30, learning_rate=1e-2, batch_size=16)
    trainer.train()
    texts = [row["text"] for row in text_rows(12)]
    found = trainer.predict(texts)
    assert set(found) <= {"even", "odd"}
    model, tokenizer = trainer.trainer.model, trainer.tokenizer
    with torch.no_grad():
        alone = [
            model.config.id2label[
                model.eval()(torch.tensor([tokenizer(text)["input_ids"]])).logits.argmax().item()
            ]
            for text in texts
        ]
    assert found == alone
    assert trainer.predict([]) == []
    with pytest.raises(ConfigError, match="a list of texts"):
        trainer.predict("one text")
    with pytest.raises(ConfigError, match="leave out temperature"):
        trainer.predict(["a"], temperature=1.0)


def test_words_have_tags_and_words_that_are_cut_have_none(make: Any) -> None:
    trainer = make("token", max_steps=60, batch_size=16)
    trainer.train()
    found = trainer.predict([["Anna", "sees", "Rome"], ["😀"] * 9])
    assert found[0] == ["B-PER", "O", "B-LOC"]
    # 32 tokens: each is 4 bytes and a space before it, but for the first.
    assert found[1] == ["O"] * 7 + [None] * 2
    with pytest.raises(ConfigError, match="lists of words"):
        trainer.predict(["Anna sees"])


@pytest.mark.parametrize(("mode", "kept"), [("keep_start", "abcd"), ("keep_end", "efgh")])
def test_texts_are_cut_and_counted(make: Any, tmp_path: Path, mode: str, kept: str) -> None:
    rows = [{"text": "abcdefgh", "label": 0}, {"text": "abc", "label": 1}]
    trainer = make(
        "text",
        dataset_name=str(write_jsonl(tmp_path / "rows.jsonl", rows)),
        max_seq_length=4,
        truncation_mode=mode,
        max_steps=1,
    )
    run = trainer.train()
    made = trainer.trainer.train_dataset["input_ids"]
    assert [trainer.tokenizer.decode(ids) for ids in made] == [kept, "abc"]
    assert json.loads(run.data.read_text())["cut_to_fit"] == 1


def test_tags_at_the_end_stay_where_the_end_stays(make: Any, tmp_path: Path) -> None:
    rows = [{"tokens": ["Anna", "sees", "Rome"], "ner_tags": ["B-PER", "O", "B-LOC"]}]
    trainer = make(
        "token",
        dataset_name=str(write_jsonl(tmp_path / "rows.jsonl", rows)),
        max_seq_length=6,
        truncation_mode="keep_end",
    )
    row = trainer.setup().train_dataset[0]
    assert trainer.tokenizer.decode(row["input_ids"]) == "s Rome"
    # Of `sees` one letter is read, which is the first token of it that is.
    assert row["labels"] == [2, -100, 0, -100, -100, -100]


def test_batches_are_padded_and_grouped_as_asked(make: Any) -> None:
    trainer = make("token", pad_to_multiple_of=8, group_by_length=True, dataset_num_proc=2)
    inner = trainer.setup()
    batch = inner.data_collator([inner.train_dataset[index] for index in range(3)])
    assert batch["input_ids"].shape[1] % 8 == 0
    assert ((batch["labels"] == -100) | (batch["attention_mask"] == 1)).all()
    assert inner.args.train_sampling_strategy == "group_by_length"
    assert "LengthGrouped" in type(inner._get_train_sampler()).__name__


def test_labels_that_the_model_knows_keep_their_numbers(make: Any, tmp_path: Path) -> None:
    model = make_model(tmp_path / "start")
    config = json.loads((model / "config.json").read_text())
    config["id2label"] = {"0": "odd", "1": "even"}
    config["label2id"] = {"odd": 0, "even": 1}
    (model / "config.json").write_text(json.dumps(config))
    trainer = make("text", model_name=str(model))
    assert trainer.setup().train_dataset["labels"][:3] == [1, 0, 1]
    assert trainer.trainer.model.config.id2label == {0: "odd", 1: "even"}


def test_class_labels_keep_their_order_and_numbers_their_values(make: Any) -> None:
    rows = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
    features = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    named = make("text", dataset_name=Dataset.from_list(rows, features=features))
    assert named.setup().train_dataset["labels"][:] == [0, 1]
    assert named.trainer.model.config.id2label == {0: "pos", 1: "neg"}
    assert named.predict(["a"])[0] in ("pos", "neg")
    plain = make("text", dataset_name=Dataset.from_list(rows), num_labels=4)
    assert plain.setup().train_dataset["labels"][:] == [0, 1]
    assert plain.trainer.model.config.num_labels == 4
    tags = Features(
        {"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "X"]))}
    )
    tagged = Dataset.from_list([{"tokens": ["a", "b"], "ner_tags": [1, 0]}], features=tags)
    assert make("token", dataset_name=tagged, num_labels=2).setup().train_dataset[0]["labels"] == [
        1,
        -100,
        0,
    ]


def test_labels_to_evaluate_on_go_by_their_names(make: Any) -> None:
    """Whatever order their own `ClassLabel` has."""

    def rows(*names: str) -> Dataset:
        features = Features({"text": Value("string"), "label": ClassLabel(names=list(names))})
        said = [{"text": "a", "label": "pos"}, {"text": "b", "label": "neg"}]
        return Dataset.from_list(said, features=features)

    for first in (rows("pos", "neg"), named(["neg", "pos"])):
        trainer = make("text", dataset_name=first, eval_datasets=[{"name": rows("neg", "pos")}])
        names = trainer.setup().model.config.id2label
        assert [names[n] for n in trainer.eval_rows["labels"]] == ["pos", "neg"]


def test_unicode_is_read_and_rows_without_text_are_left_out(make: Any, tmp_path: Path) -> None:
    rows = [
        {"text": "naïve 😀 \u202eabc", "label": "ü"},
        {"text": "", "label": "ü"},
        {"text": "  ", "label": "ö"},
        {"text": None, "label": "ö"},
        {"text": "نص", "label": "ö"},
    ]
    trainer = make("text", dataset_name=str(write_jsonl(tmp_path / "rows.jsonl", rows)))
    run = trainer.train()
    report = json.loads(run.data.read_text())["train"][0]
    assert (report["read"], report["kept"], sum(report["left_out"].values())) == (5, 2, 3)
    assert trainer.trainer.model.config.id2label == {0: "ö", 1: "ü"}


def named(labels: list[Any]) -> Dataset:
    return Dataset.from_list([{"text": f"t{n}", "label": label} for n, label in enumerate(labels)])


def tagged(*rows: list[str]) -> Dataset:
    return Dataset.from_list([{"tokens": [word], "ner_tags": [tag]} for word, tag in rows])


# What is set, what the error says.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "text",
        {"num_labels": None},
        "must be set for a classifier; the data has 2 labels: even, odd",
    ),
    ("text", {"num_labels": None}, "set `model.num_labels: 2`"),
    ("text", {"num_labels": 3}, "3, and the data has 2 labels: even, odd"),
    ("text", {"num_labels": 1}, "there is nothing to tell apart"),
    ("token", {"num_labels": None}, "the data has 3 labels: B-LOC, B-PER, O"),
    (
        "text",
        {"num_labels": None, "dataset_name": named([0, 4])},
        "the data has 5 labels, of the numbers 0 to 4",
    ),
    (
        "text",
        {"num_labels": 3, "dataset_name": named([0, 1, 3])},
        "row 2 of the rows to train on: the label is 3, and `model.num_labels: 3` allows 0 to 2",
    ),
    (
        "text",
        {"eval_datasets": [{"name": named(["even", "neither"])}]},
        "row 1 of the rows to evaluate on: the label is 'neither', and the labels are: even, odd",
    ),
    (
        "text",
        {"eval_datasets": [{"name": named([0, 1])}]},
        "row 0 of the rows to evaluate on: the label is 0, and the labels are: even, odd",
    ),
    (
        "text",
        {"dataset_name": named([0, 1]), "eval_datasets": [{"name": named(["even"])}]},
        "the label is 'even', and the rows to train on have numbers",
    ),
    (
        "text",
        {"dataset_name": named(["even", "even"])},
        "'even' is the only label in the rows to train on, so there is nothing to tell apart",
    ),
    ("text", {"dataset_name": named([1, -1]), "num_labels": 2}, "1 is the only label"),
    ("text", {"label_column": "stars"}, "stars"),
    ("text", {"task_type": "token_classification"}, "tokens"),
    (
        "token",
        {"dataset_name": tagged(["Anna", "name"], ["sees", "verb"]), "num_labels": 2}
        | {"eval_datasets": [{"name": tagged(["sees", "verb"])}]}
        | {"metric_for_best_model": "entity_f1"},
        "'entity_f1' is measured of BIO tags (O, B-..., I-...), and these are none",
    ),
    ("text", {"max_seq_length": 4096}, "4096, and the model reads 512 tokens"),
    ("text", {"system_prompt": "Be brief."}, "a classifier is asked nothing"),
    ("text", {"packing": True}, "it belongs to SFT"),
    ("text", {"completion_only_loss": True}, "it belongs to"),
    ("text", {"loss_type": "dft"}, "it belongs to"),
    ("text", {"chat_template": "{{ messages }}"}, "without a chat template"),
    ("text", {"compute_rouge": True}, "a classifier completes nothing"),
    ("text", {"evaluators": ["perplexity"], "val_size": 2}, "a classifier completes nothing"),
    ("text", {"sample_logging": {"enabled": True}}, "a classifier completes nothing"),
    ("text", {"remove_unused_columns": False}, "and no other column"),
    ("text", {"streaming": True}, "all labels are looked at before the model loads"),
    ("text", {"rewards": ["length"]}, "does not learn from rewards"),
]


@pytest.mark.parametrize(("task", "given", "says"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_says_why_before_the_model_loads(
    make: Any, monkeypatch: pytest.MonkeyPatch, task: str, given: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr("aligntune_trl.backend.TRLBackend.load", None)
    with pytest.raises(AlignTuneError) as caught:
        make(task, **given).train()
    assert says in str(caught.value)


def test_rows_in_which_no_word_begins_are_refused() -> None:
    rows = Dataset.from_list([{"labels": [-100, -100]}, {"labels": []}])
    with pytest.raises(DataError, match="none of 2 rows to evaluate on keeps a tag"):
        check_tags(rows, "to evaluate on")
    check_tags(Dataset.from_list([{"labels": [-100, 0]}]), "to evaluate on")


def test_a_stream_is_refused(make: Any) -> None:
    stream = IterableDataset.from_generator(lambda: iter(text_rows(4)))
    with pytest.raises(ConfigError, match="a stream was passed"):
        make("text", dataset_name=stream)


def test_tasks_that_different_trainers_train_on_are_not_mixed(make: Any, folder: Path) -> None:
    datasets = [
        {"name": str(folder / "text.jsonl"), "task_type": "text_classification"},
        {"name": str(folder / "text.jsonl"), "task_type": "text_generation"},
    ]
    with pytest.raises(ConfigError, match="which are not trained on together"):
        make("text", dataset_name=None, task_type=None, datasets=datasets)


def test_a_data_set_without_a_task_goes_by_the_others(make: Any, folder: Path) -> None:
    plan = make("text", eval_datasets=[str(folder / "text_held_out.jsonl")]).plan
    assert (plan.config.algo, plan.algorithm.name) == ("sft", "text_classification")
    assert plan.config.eval_datasets[0].task_type == "text_classification"
    named = make("text", task_type=None, algorithm="text_classification").plan
    assert named.config.datasets[0].task_type == "text_classification"
    assert named.algorithm.name == "text_classification"


def test_numbers_and_names_do_not_stand_together(make: Any, tmp_path: Path) -> None:
    names = str(write_jsonl(tmp_path / "names.jsonl", [{"text": "a", "label": "good"}] * 2))
    numbers = str(write_jsonl(tmp_path / "numbers.jsonl", [{"text": "b", "label": 0}] * 2))
    datasets = [{"name": n, "task_type": "text_classification"} for n in (names, numbers)]
    with pytest.raises(DataError):
        make("text", dataset_name=None, task_type=None, datasets=datasets).train()


@each_task
def test_a_preview_shows_tokens_and_labels(make: Any, task: str) -> None:
    shown = make(task, num_labels=None, max_seq_length=10).preview(rows=6)
    if task == "text":
        assert shown.rows[1].sequences[0].role == "label odd"
        assert "".join(token.text for token in shown.rows[1].sequences[0].tokens) == "1 is"
        return
    row = shown.rows[1]
    assert row.normalised == {"tokens": ["Rome", "sees"], "tags": ["B-LOC", "O"]}
    assert [token.text for token in row.sequences[0].tokens if token.trained] == ["R", "s"]
    assert any("cut to 10 tokens" in warning for warning in shown.warnings)
