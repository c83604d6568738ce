"""The TRL backend: says how a policy is loaded. The trainers here load it and hand it to TRL."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jinja2 import TemplateError, TemplateSyntaxError

from aligntune.data.chat import chat_template, pad_token
from aligntune.enums import PrecisionType
from aligntune.errors import ConfigError, Problem, did_you_mean
from aligntune_trl.arguments import argument_values

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from aligntune.config.sections.model import ModelConfig
    from aligntune.plan import Plan

__all__ = [
    "Head",
    "Policy",
    "TRLBackend",
    "is_path",
    "load_kwargs",
    "load_tokenizer",
    "load_with_head",
    "lora_arguments",
    "start",
    "torch_dtype",
]

logger = logging.getLogger("aligntune")


@dataclass(frozen=True)
class Head:
    """What a model puts on its last hidden states.

    Attributes:
        task: as peft calls it: the next token, a label for the text, or one for each token.
        labels: how many labels; of no meaning for `CAUSAL_LM`.
        names: what they are called, in order; empty where they have no names.
    """

    task: Literal["CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS"] = "CAUSAL_LM"
    labels: int = 0
    names: tuple[str, ...] = ()


@dataclass
class Policy:
    """What a TRL trainer is given as its model.

    `model` is a name or folder that TRL loads with `init_kwargs` (the reference model too), or a
    loaded model; `peft` is the adapter that TRL adds, or None when the model has it or needs none.
    """

    model: str | PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    init_kwargs: dict[str, Any] | None = None
    peft: LoraConfig | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


class TRLBackend:
    """Plain TRL."""

    name = "trl"

    def prepare(self, plan: Plan) -> None:
        """Nothing to prepare: TRL patches no other library."""

    def load(self, plan: Plan, tokenizer: PreTrainedTokenizerBase, head: Head) -> Policy:
        """Say how TRL is to load the policy."""
        config = plan.config
        peft = None
        if config.model.peft_enabled:
            from peft import LoraConfig

            peft = LoraConfig(task_type=head.task, **lora_arguments(plan, "LoraConfig"))
        if head.task == "CAUSAL_LM":
            return Policy(start(plan), tokenizer, load_kwargs(plan), peft)
        return Policy(load_with_head(plan, tokenizer, head), tokenizer, None, peft)


def load_with_head(plan: Plan, tokenizer: PreTrainedTokenizerBase, head: Head) -> PreTrainedModel:
    """Load the model with a head that gives labels; one that it lacks starts at random."""
    import transformers

    classes = {
        "SEQ_CLS": transformers.AutoModelForSequenceClassification,
        "TOKEN_CLS": transformers.AutoModelForTokenClassification,
    }
    named: dict[str, Any] = {"num_labels": head.labels}
    if head.names:
        named = {
            "id2label": dict(enumerate(head.names)),
            "label2id": {name: number for number, name in enumerate(head.names)},
        }
    loader: Any = classes[head.task]
    model: PreTrainedModel = loader.from_pretrained(start(plan), **named, **load_kwargs(plan))
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def start(plan: Plan) -> str:
    """Name or folder of the model that the policy, and with it the reference, starts from."""
    return str(plan.config.model.sft_path or plan.config.model.name_or_path)


def _start_field(plan: Plan) -> tuple[str, str]:
    """The field that names it, and where that was set."""
    field = "model.name_or_path" if plan.config.model.sft_path is None else "model.sft_path"
    return field, plan.config.origins.get(field, "")


def lora_arguments(plan: Plan, owner: str) -> dict[str, Any]:
    """The arguments of the adapter; default target modules give way to those of the architecture.

    The documented default names the attention of Llama's family. Where peft knows other names for
    the architecture, and nobody set any, those are taken.
    """
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    from transformers import AutoConfig

    arguments = argument_values(plan, owner)
    model = plan.config.model
    default = arguments.get("target_modules")
    if default is None or "target_modules" in model.model_fields_set:
        return arguments
    config = AutoConfig.from_pretrained(
        start(plan), revision=model.revision, trust_remote_code=model.trust_remote_code
    )
    known = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(config.model_type)
    if known is None or set(known) & set(default):
        return arguments
    logger.info("LoRA on %s, as %s names it", ", ".join(known), config.model_type)
    return arguments | {"target_modules": list(known)}


def load_kwargs(plan: Plan) -> dict[str, Any]:
    """The arguments of `from_pretrained` for the policy, and for a reference like it."""
    model = plan.config.model
    found = {
        **model.model_init_kwargs,
        "dtype": torch_dtype(model.precision, trained=not model.peft_enabled),
        "trust_remote_code": model.trust_remote_code,
        **argument_values(plan, "model_init_kwargs"),
    }
    if model.quantization:
        import transformers

        quantization: Any = transformers.BitsAndBytesConfig
        found["quantization_config"] = quantization(**_bits(model))
    return found


def _bits(model: ModelConfig) -> dict[str, Any]:
    """The arguments of bitsandbytes; 4 bits are QLoRA's (Dettmers et al. 2023) unless told so."""
    if not model.quantization.get("load_in_4bit"):
        return model.quantization
    return {
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": torch_dtype(model.precision, trained=False),
        **model.quantization,
    }


def torch_dtype(precision: PrecisionType, *, trained: bool) -> str:
    """The dtype of the weights: float32 for those that are trained, under autocast to `precision`.

    A small update of a bfloat16 weight is rounded away, and a gradient scaler cannot unscale
    float16 gradients. The frozen base of an adapter is loaded in bfloat16 where that is asked for.
    """
    return "bfloat16" if precision is PrecisionType.BF16 and not trained else "float32"


def load_tokenizer(plan: Plan, *, padding_side: str | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of the model, with the chat template that the configuration sets.

    Raises:
        ConfigError: if there is no such model, it brings no tokenizer, or does not know the padding
            token that is set.
    """
    from transformers import AutoTokenizer

    model = plan.config.model
    check_model_path(plan)
    more = {} if padding_side is None else {"padding_side": padding_side, "truncation_side": "left"}
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            start(plan),
            revision=model.revision or "main",
            trust_remote_code=model.trust_remote_code,
            **more,
        )
    except (OSError, ValueError, KeyError) as error:
        raise model_error(plan, error) from error
    if not tokenizer("a")["input_ids"]:  # transformers makes up an empty one where none is
        field, where = _start_field(plan)
        message = f"{start(plan)!r} brings no tokenizer"
        raise ConfigError(Problem(field, message, where, "save one beside it"))
    if (template := chat_template(plan.config)) is not None:
        _set_chat_template(plan, tokenizer, template)
    if (said := pad_token(plan.config)) is not None:
        _set_pad_token(plan, tokenizer, *said)
    elif tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _set_chat_template(plan: Plan, tokenizer: PreTrainedTokenizerBase, template: str) -> None:
    """Render with this template, which must be one; what it refuses depends on the chat."""
    tokenizer.chat_template = template
    try:
        tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False)
    except TemplateSyntaxError as error:
        message, where = f"it is no Jinja template: {error}", ""
        for path in ("chat_template", "datasets.0.chat_template"):
            where = where or plan.config.origins.get(path, "")
        raise ConfigError(Problem("chat_template", message, where)) from error
    except (TemplateError, TypeError, ValueError):  # it refuses such a chat, or needs more
        return


def _set_pad_token(plan: Plan, tokenizer: PreTrainedTokenizerBase, path: str, token: str) -> None:
    """Pad with a token that the model knows; a new one would have no embedding."""
    known = tokenizer.get_vocab()
    if token not in known:
        special = [one for one in tokenizer.all_special_tokens if one in known]
        hint = did_you_mean(token, special) or f"such as {', '.join(special)}"
        where = plan.config.origins.get(path, "")
        message = f"{token!r} is no token of {plan.config.model.name_or_path!r}"
        raise ConfigError(Problem(path, message, where, hint))
    tokenizer.pad_token = token


def is_path(name: str) -> bool:
    """Whether this can only be a folder: a name on the hub is NAME or OWNER/NAME."""
    return name.count("/") > 1 or name.startswith(("./", "../", "/", "~"))


def check_model_path(plan: Plan) -> None:
    """Refuse a local path that holds no model.

    Raises:
        ConfigError: names the path, and what a model folder holds.
    """
    name = start(plan)
    path = Path(name).expanduser()
    if not (is_path(name) or path.exists()):
        return
    field, where = _start_field(plan)
    if not path.exists():
        raise ConfigError(Problem(field, f"there is no folder {name!r}", where))
    if name.startswith("~"):
        message = f"{name!r}: write the path of the folder in full"
        raise ConfigError(Problem(field, message, where))
    if (path / "adapter_config.json").is_file() and not (path / "config.json").is_file():
        raise ConfigError(
            Problem(
                field,
                f"{name!r} is a LoRA adapter, and a run starts from a whole model",
                where,
                f"merge it into its base first, and name that folder: aligntune merge {name} "
                "--output FOLDER",
            )
        )
    if not (path / "config.json").is_file():
        raise ConfigError(Problem(field, f"{name!r} holds no model: config.json is missing", where))


def model_error(plan: Plan, error: Exception) -> ConfigError:
    """What went wrong when a model or tokenizer was loaded, as an error of ours."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    said = lines[0] if lines else type(error).__name__
    hint = ""
    if "trust_remote_code" in str(error):
        hint = (
            "it comes with code of its own; after reading it, set `model.trust_remote_code: true`"
        )
    name = start(plan)
    field, where = _start_field(plan)
    return ConfigError(Problem(field, f"{name!r} cannot be loaded: {said}", where, hint))
