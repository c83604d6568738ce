"""A tiny random Qwen3 with a byte-level tokenizer, and the evaluators of this distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from aligntune.evaluation import EvaluationContext, EvaluationSettings
from aligntune.facts import EvaluatorFacts, RewardFacts
from aligntune.plugins import Plugins, Register, Switches
from aligntune_eval import plugin
from aligntune_eval.asking.generation import Completion

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, then the two special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({byte: index for index, byte in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|end|>", pad_token="<|pad|>", chat_template=TEMPLATE
    )
    assert len(made) == 258
    return made


@pytest.fixture(scope="session")
def model() -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=258,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=64,
        # Wide weights keep the two likeliest tokens apart, so that no rounding decides.
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=256,
        pad_token_id=257,
    )
    return Qwen3ForCausalLM(config).eval()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, model: Any, tokenizer: Any) -> Path:
    """The model as it is saved; tests that change it copy it first."""
    folder: Path = tmp_path_factory.mktemp("saved") / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def same(text: str, reference: str) -> float:
    return float(text.strip() == str(reference))


def size(text: str) -> float | None:
    return float(len(text)) if text else None


@pytest.fixture
def plugins() -> Plugins:
    """The evaluators here, and two rewards as another distribution would bring them."""
    found = Plugins(Switches(only=frozenset()))
    plugin.aligntune_register_evaluators(Register(found, found.evaluators, EvaluatorFacts))
    register = Register(found, found.rewards, RewardFacts)
    register("accuracy", same, summary="right or wrong", requires=("reference",))
    register("size", size, summary="characters", range=(0.0, 1e9))
    return found


@pytest.fixture
def make_context(model: Any, tokenizer: Any, plugins: Plugins) -> Any:
    def make(rows: list[dict[str, Any]], **settings: Any) -> EvaluationContext:
        return EvaluationContext(model, tokenizer, rows, EvaluationSettings(**settings), plugins)

    return make


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the model answer row i with the texts `answers[i]`; `ids` are their tokens."""

    def set_answers(answers: list[list[str]], ids: list[list[list[int]]] | None = None) -> None:
        tokens = ids or [[[1]] * len(each) for each in answers]
        made = [
            [
                Completion("asked", text, kept, finished=True)
                for text, kept in zip(*each, strict=True)
            ]
            for each in zip(answers, tokens, strict=True)
        ]
        monkeypatch.setattr("aligntune_eval.asking.generation._generate_all", lambda context: made)
        monkeypatch.setattr("aligntune_eval.asking.generation._check_lengths", lambda *_: None)

    return set_answers
