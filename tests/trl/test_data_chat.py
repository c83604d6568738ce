"""What data settings say of the tokenizer, and chats that its template refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.errors import ConfigError, DataError
from aligntune.testing import CHAT_TEMPLATE, addition_rows, make_model, write_jsonl

Q, A = {"role": "user", "content": "1+1="}, {"role": "assistant", "content": "2"}
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant') }}{% endif %}{{ m.content }}"
    "{% endfor %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chat")
    make_model(folder / "model")
    write_jsonl(folder / "chat.jsonl", addition_rows(8, chat=True))
    write_jsonl(folder / "middle.jsonl", [{"messages": [Q, A, A]}] * 8)
    return folder


def settings(folder: Path, tmp_path: Path, rows: str = "chat.jsonl", **more: Any) -> dict[str, Any]:
    return {
        "model_name": str(folder / "model"),
        "datasets": [{"name": str(folder / rows), **more}],
        "backend": "trl",
        "output_dir": str(tmp_path / "run"),
        "precision": "fp32",
        "max_steps": 1,
        "loggers": "none",
    }


def test_a_data_set_brings_the_template_and_the_padding_token(folder: Path, tmp_path: Path) -> None:
    template = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
    given = settings(folder, tmp_path, chat_template=template, pad_token="<|user|>")
    trainer: Any = create_sft_trainer(**given)
    row = trainer.setup().train_dataset[0]
    shown = trainer.tokenizer.decode(row["input_ids"])
    (first, *_) = addition_rows(8, chat=True)
    assert shown.startswith(f"<{first['prompt'][0]['content']}><")
    assert trainer.tokenizer.pad_token == "<|user|>"
    assert trainer.tokenizer.chat_template == template


def test_a_padding_token_that_the_model_does_not_know(folder: Path, tmp_path: Path) -> None:
    unknown: Any = create_sft_trainer(**settings(folder, tmp_path, pad_token="<|pat|>"))
    with pytest.raises(ConfigError, match=r"'<\|pat\|>' is no token of .*") as caught:
        unknown.setup()
    assert "did you mean '<|pad|>'?" in str(caught.value)
    assert "datasets.0.pad_token" in str(caught.value)


def test_data_sets_that_say_different_things_of_one_tokenizer(folder: Path, tmp_path: Path) -> None:
    given = settings(folder, tmp_path, chat_template="a", pad_token="<|pad|>")
    other = {**given["datasets"][0], "chat_template": "b", "pad_token": "<|end|>"}
    with pytest.raises(ConfigError) as caught:
        create_sft_trainer(**{**given, "datasets": [*given["datasets"], other]})
    assert "datasets.1.chat_template: a run has one tokenizer, and `datasets.0.chat_template`" in (
        str(caught.value)
    )
    assert "datasets.1.pad_token: a run has one tokenizer" in str(caught.value)
    with pytest.raises(ConfigError, match="and `chat_template` says something else"):
        create_sft_trainer(**given, chat_template=CHAT_TEMPLATE)
    create_sft_trainer(**given, chat_template="a")


@pytest.mark.parametrize("algorithm", ["sft", "grpo"])
def test_a_chat_that_the_template_refuses(algorithm: str, folder: Path, tmp_path: Path) -> None:
    given = settings(folder, tmp_path, "middle.jsonl", chat_template=STRICT)
    if algorithm == "grpo":
        turns = [{"messages": [Q, A, A, Q], "answer": "2"}] * 8
        write_jsonl(folder / "middle.jsonl", turns)
        trainer: Any = create_rl_trainer(
            algorithm="grpo", rewards=["length"], max_prompt_length=64, batch_size=2,
            num_generations=2, **given,
        )  # fmt: skip
    else:
        trainer = create_sft_trainer(**given)
    with pytest.raises((ConfigError, DataError), match="Roles must alternate user/assistant"):
        trainer.setup()


def test_the_tools_are_rendered(folder: Path, tmp_path: Path) -> None:
    template = "{{ tools | tojson }}" + CHAT_TEMPLATE
    tool = {"type": "function", "function": {"name": "add_up", "parameters": {}}}
    given = settings(folder, tmp_path, chat_template=template, tools=[tool])
    trainer: Any = create_sft_trainer(**given)
    row = trainer.setup().train_dataset[0]
    assert trainer.tokenizer.decode(row["input_ids"]).startswith(json.dumps([tool])[:40])
