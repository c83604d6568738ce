"""Small stand-ins of the models and data sets that pages name: the same names, columns and shapes.

A model has the architecture of its original, and a tokenizer that lacks what the original's lacks:
DialoGPT and Llama 2 have no pad token. A data set has the columns, subsets and splits of its
original, in rows written here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligntune.testing import CHAT_TEMPLATE, make_tokenizer

__all__ = ["DATASETS", "GATED", "MODELS", "MOVED", "ROWS", "Model", "make_hub"]

ROWS = 64
MOVED = {"gsm8k": "openai/gsm8k"}
GATED = {"meta-llama/Llama-2-7b-hf"}

_DIALOG = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"
_TOXIC = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
_MODERATION = ("H", "H2", "HR", "OK", "S", "S3", "SH", "V", "V2")


@dataclass(frozen=True)
class Model:
    """What a stand-in has in common with its original."""

    family: str
    """The architecture, as transformers calls it."""
    labels: tuple[str, ...] = ()
    """Labels of a classifier; a model without is a language model."""
    pad: bool = True
    """Whether the tokenizer has a pad token."""
    chat: str | None = None
    """Chat template of the tokenizer."""
    problem: str | None = None
    """`problem_type` of a classifier."""
    commit: str | None = None
    """The commit of the original that a reward asks for."""


MODELS = {
    "Qwen/Qwen3-0.6B": Model("qwen3", chat=CHAT_TEMPLATE),
    "microsoft/DialoGPT-small": Model("gpt2", pad=False, chat=_DIALOG),
    "microsoft/DialoGPT-medium": Model("gpt2", pad=False, chat=_DIALOG),
    "meta-llama/Llama-2-7b-hf": Model("llama", pad=False),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Model(
        "llama", chat=CHAT_TEMPLATE, commit="12fd25f77366fa6b3b4b768ec3050bf629380bac"
    ),
    "OpenAssistant/reward-model-deberta-v3-large-v2": Model("deberta-v2", labels=("LABEL_0",)),
    "unitary/toxic-bert": Model("bert", labels=_TOXIC, problem="multi_label_classification"),
    "KoalaAI/Text-Moderation": Model("deberta-v2", labels=_MODERATION),
}
_SIZES = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 1024},
    "": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 2048,
    },
}


def _write_model(folder: Path, like: Model) -> None:
    import transformers

    tokenizer = make_tokenizer()
    tokenizer.chat_template = like.chat
    if not like.pad:
        tokenizer.pad_token = None
    more: dict[str, Any] = dict(_SIZES.get(like.family, _SIZES[""]))
    if like.family == "qwen3":
        more |= {"head_dim": 16, "num_key_value_heads": 2}
    if like.labels:
        more["id2label"] = dict(enumerate(like.labels))
        more["label2id"] = {name: index for index, name in enumerate(like.labels)}
        more["problem_type"] = like.problem
    config = transformers.AutoConfig.for_model(
        like.family,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.eos_token_id,
        **more,
    )
    auto: Any = transformers.AutoModelForCausalLM
    if like.labels:
        auto = transformers.AutoModelForSequenceClassification
    auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _alpaca(number: int) -> dict[str, Any]:
    instruction = f"Add {number} to the given number."
    given = "" if number % 3 == 0 else f"The number is {number + 7}."
    output = f"The sum is {2 * number + 7}."
    middle = f"\n\n### Input:\n{given}" if given else ""
    text = f"### Instruction:\n{instruction}{middle}\n\n### Response:\n{output}"
    return {"instruction": instruction, "input": given, "output": output, "text": text}


def _hh_rlhf(number: int) -> dict[str, Any]:
    turns = f"\n\nHuman: What is {number} and {number}?"
    if number % 2:
        turns += f"\n\nAssistant: A sum.\n\nHuman: Which one? I mean {number}+{number}."
    good, bad = f"It is {2 * number}.", "I would rather not say."
    return {
        "chosen": f"{turns}\n\nAssistant: {good}",
        "rejected": f"{turns}\n\nAssistant: {bad}",
    }


def _gsm8k(number: int) -> dict[str, Any]:
    total = 2 * number + 3
    question = f"Ada has {number} pens and buys {number + 3} more. How many pens does she have?"
    steps = f"She has {number}+{number + 3}=<<{number}+{number + 3}={total}>>{total} pens."
    return {"question": question, "answer": f"{steps}\n#### {total}"}


def _mbpp(number: int) -> dict[str, Any]:
    name = f"add_{number}"
    return {
        "task_id": number,
        "text": f"Write a function {name} that adds {number} to a number.",
        "code": f"def {name}(x):\r\n    return x + {number}",
        "test_list": [f"assert {name}({x}) == {x + number}" for x in (0, 1, 10)],
        "test_setup_code": "",
        "challenge_test_list": [],
    }


def _sanitized(number: int) -> dict[str, Any]:
    row = _mbpp(number)
    return {
        "source_file": "Benchmark Questions Verification V2.ipynb",
        "task_id": row["task_id"],
        "prompt": row["text"],
        "code": row["code"],
        "test_imports": [],
        "test_list": row["test_list"],
    }


_SPLITS = ("train", "test")
_MORE_SPLITS = ("train", "test", "validation", "prompt")
# Name -> subset -> (a row by its number, splits). The subset "" is the whole of a data set without.
DATASETS: dict[str, dict[str, tuple[Callable[[int], dict[str, Any]], tuple[str, ...]]]] = {
    "tatsu-lab/alpaca": {"": (_alpaca, ("train",))},
    "Anthropic/hh-rlhf": {"": (_hh_rlhf, _SPLITS)},
    "openai/gsm8k": {"main": (_gsm8k, _SPLITS), "socratic": (_gsm8k, _SPLITS)},
    "google-research-datasets/mbpp": {
        "full": (_mbpp, _MORE_SPLITS),
        "sanitized": (_sanitized, _MORE_SPLITS),
    },
}
_DEFAULT_SUBSETS = {"google-research-datasets/mbpp": "full"}


def _write_dataset(folder: Path, name: str) -> None:
    from datasets import Dataset

    configs = []
    for subset, (row, splits) in DATASETS[name].items():
        files = []
        for index, split in enumerate(splits):
            path = Path(subset or "data") / f"{split}-00000-of-00001.parquet"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            rows = [row(1 + index * ROWS + number) for number in range(ROWS)]
            Dataset.from_list(rows).to_parquet(folder / path)
            files.append({"split": split, "path": f"{path.parent}/{split}-*"})
        default = {"default": True} if _DEFAULT_SUBSETS.get(name) == subset else {}
        configs.append({"config_name": subset or "default", "data_files": files, **default})
    card = f"---\nconfigs: {json.dumps(configs)}\n---\n"
    (folder / "README.md").write_text(card)


def make_hub(folder: Path) -> None:
    """Write every stand-in to the folder of a hub."""
    import torch

    torch.manual_seed(0)
    for name, like in MODELS.items():
        _write_model(folder / "models" / name, like)
        if like.commit:
            at = f"{name}@{like.commit}"
            shutil.copytree(folder / "models" / name, folder / "models" / at)
    for name in DATASETS:
        _write_dataset(folder / "datasets" / name, name)
