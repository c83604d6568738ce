"""What a preview says of a run is what TRL then trains on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.cli.main import main
from aligntune.errors import DataError
from aligntune.preview import Preview, Sequence
from aligntune.testing import make_model, make_tokenizer

END = "<|end|>"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model folder without its weights: a preview needs none."""
    folder = make_model(tmp_path_factory.mktemp("preview") / "model")
    (folder / "model.safetensors").unlink()
    return str(folder)


@pytest.fixture
def seen(model: str, write: Callable[..., str]) -> Callable[..., Preview]:
    def preview(rows: list[dict[str, Any]], **settings: Any) -> Preview:
        make = create_sft_trainer if "algorithm" not in settings else create_rl_trainer
        trainer = make(
            **{"model_name": model, "backend": "trl"} | settings, dataset_name=write(rows)
        )
        return trainer.preview(len(rows))

    return preview


def trained(sequence: Sequence) -> str:
    return "".join(token.text for token in sequence.tokens if token.trained)


def only(preview: Preview) -> Sequence:
    (row,) = preview.rows
    (sequence,) = row.sequences
    return sequence


def test_of_a_prompt_and_a_completion_the_completion_is_trained(seen: Any) -> None:
    preview = seen([{"prompt": "2+2=", "completion": "4 🙂é"}])
    sequence = only(preview)
    assert sequence.text == f"2+2=4 🙂é{END}"
    assert trained(sequence) == f"4 🙂é{END}"
    assert sequence.stop_trained is True
    assert preview.rows[0].read == {"prompt": "2+2=", "completion": "4 🙂é"}
    assert preview.stop_tokens == [END]
    assert preview.warnings == []
    ids = make_tokenizer()(f"2+2=4 🙂é{END}")["input_ids"]
    assert [token.id for token in sequence.tokens] == ids
    assert preview.lengths == [len(ids)]


CHAT = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "yes?"},
    {"role": "user", "content": "go"},
    {"role": "assistant", "content": "gone"},
]


def test_of_a_chat_everything_is_trained_or_the_assistant_alone(seen: Any) -> None:
    rendered = f"<|user|>hi<|assistant|>yes?{END}<|user|>go<|assistant|>gone{END}"
    sequence = only(seen([{"messages": CHAT}]))
    assert trained(sequence) == sequence.text == rendered
    alone = only(seen([{"messages": CHAT}], assistant_only_loss=True))
    assert alone.text == rendered
    assert trained(alone) == f"yes?{END}gone{END}"


def test_plain_text_is_trained_as_a_whole(seen: Any) -> None:
    assert trained(only(seen([{"text": "once upon"}]))) == f"once upon{END}"


def test_what_is_cut_is_counted_and_what_is_left_out_says_why(seen: Any) -> None:
    rows = [
        {"prompt": "ab", "completion": "c" * 20},
        {"prompt": "p" * 12, "completion": "c"},
        {"prompt": "  ", "completion": "c"},
    ]
    preview = seen(rows, max_seq_length=10)
    cut, no_room, empty = preview.rows
    assert cut.sequences[0].cut == 13
    assert trained(cut.sequences[0]) == "c" * 8
    assert cut.sequences[0].stop_trained is False
    assert "nothing to train on fits into 10 tokens" in no_room.left_out
    assert empty.left_out == "the prompt is empty"
    assert empty.read == rows[2]
    assert empty.sequences == ()
    assert preview.limit == 10
    assert preview.lengths == [23, 14]
    said = " ".join(preview.warnings)
    assert "no stop token is trained on in 1 of 1 sequences, 1 of which are cut" in said
    assert "1 of 2 rows would be left out" in said
    assert any("2 of 3 rows" in line for line in preview.counts)


def test_nothing_left_of_any_row_is_shown_rather_than_raised(seen: Any) -> None:
    preview = seen([{"prompt": "p" * 12, "completion": "c"}], max_seq_length=8)
    assert "nothing to train on" in preview.rows[0].left_out
    assert trained(preview.rows[0].sequences[0]) == f"c{END}"


def test_data_that_cannot_be_used_at_all_is_the_error_of_training(seen: Any) -> None:
    with pytest.raises(DataError, match="rows need"):
        seen([{"wrong": "x"}])


def test_a_template_that_forgets_the_end_is_warned_of(seen: Any) -> None:
    template = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
    preview = seen([{"messages": CHAT}], chat_template=template)
    assert only(preview).stop_trained is False
    assert "the model does not learn there to end" in preview.warnings[0]


def test_a_prompt_that_is_rendered_otherwise_at_inference_is_warned_of(seen: Any) -> None:
    template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]<think>{% else %}" + END + "{% endif %}"
    )
    preview = seen([{"messages": CHAT}], chat_template=template)
    (warning,) = preview.rows[0].warnings
    assert "<think>" in warning
    assert "in 1 of 1 rows the prompt is rendered otherwise" in preview.warnings[0]


def test_of_a_prompt_that_is_completed_nothing_is_trained(seen: Any) -> None:
    rows = [
        {"prompt": CHAT[:1], "answer": "1"},
        {"prompt": [{"role": "user", "content": "h" * 600}], "answer": "1"},
    ]
    preview = seen(rows, algorithm="grpo", rewards=["accuracy"])
    sequence = preview.rows[0].sequences[0]
    assert (sequence.role, sequence.trained, sequence.stop_trained) == ("prompt", 0, None)
    assert sequence.text == "<|user|>hi<|assistant|>"
    assert "longer than 512 tokens" in preview.rows[1].left_out
    assert "1 of 2 rows would be left out" in " ".join(preview.warnings)


def test_of_a_preference_both_completions_are_trained(seen: Any) -> None:
    rows = [
        {"chosen": "\n\nHuman: hi\n\nAssistant: yes", "rejected": "\n\nHuman: hi\n\nAssistant: no"},
        {"chosen": "\n\nHuman: hi\n\nAssistant: yes", "rejected": None},
        {"prompt": "p" * 600, "chosen": "a", "rejected": "b"},
    ]
    preview = seen(rows[:2], algorithm="dpo")
    chosen, rejected = preview.rows[0].sequences
    assert (chosen.role, rejected.role) == ("chosen", "rejected")
    assert trained(chosen) == f" yes{END}"
    assert trained(rejected) == f" no{END}"
    assert chosen.text.startswith("\n\nHuman: hi")
    assert preview.rows[1].left_out == "the rejected is empty"
    long = seen(rows[2:], algorithm="dpo")
    assert "longer than 512 tokens" in long.rows[0].left_out


def test_rows_to_hold_out_may_be_more_than_are_looked_at(
    model: str, write: Callable[..., str]
) -> None:
    name = write([{"text": f"row {number}"} for number in range(9)])
    data = [{"name": name, "val_size": 4}]
    trainer = create_sft_trainer(model_name=model, backend="trl", datasets=data)
    assert len(trainer.preview(rows=1, lengths=3).lengths) == 3


def test_the_command_shows_it_and_writes_a_page(
    model: str, write: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    rows = write([{"prompt": "2+2=", "completion": "4"}])
    monkeypatch.chdir(tmp_path)
    common = ["aligntune", "preview", "--model", model, "--dataset", rows]
    monkeypatch.setattr("sys.argv", [*common, "--html", "p.html"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "2|+|2|=⟦4|<|end|>⟧" in capsys.readouterr().out
    assert "trained" in (tmp_path / "p.html").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.html", Path(rows).name]
    monkeypatch.setattr("sys.argv", [*common, "--json"])
    with pytest.raises(SystemExit):
        main()
    said = json.loads(capsys.readouterr().out)
    assert said["rows"][0]["sequences"][0]["stop_trained"] is True


def test_a_mistake_ends_with_one_message(
    model: str, write: Callable[..., str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    rows = write([{"text": "x"}])
    monkeypatch.setattr(
        "sys.argv", ["aligntune", "preview", "--model", f"{model}x", "--dataset", rows]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "there is no folder" in capsys.readouterr().err
