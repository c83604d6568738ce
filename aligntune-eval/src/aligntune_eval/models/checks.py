"""What shows of a model without its weights: whether it will load, and can do the tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aligntune.errors import EvaluationError
from aligntune.run.files import read_json
from aligntune.scoring.conversation import is_conversation
from aligntune_eval.models.load import load_tokenizer, what_it_is

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune_eval.models.sources import ModelSource
    from aligntune_eval.tasks import Runnable

__all__ = ["check_loadable"]

_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")


def check_loadable(
    source: ModelSource, tasks: Sequence[Runnable], *, trust_remote_code: bool
) -> None:
    """Refuse a model that will not load, and one without a chat template for tasks that chat.

    Raises:
        EvaluationError: if its configuration cannot be read, weights or tokenizer are not there, or
            a task asks in chat messages and there is no template for them.
    """
    if source.loaded is not None:
        tokenizer = source.loaded.tokenizer
    else:
        _check_configuration(source.base or source.place, trust_remote_code)
        for place in filter(None, (source.place, source.base)):
            _check_weights(place)
        tokenizer = load_tokenizer(source.place, source.base, trust_remote_code=trust_remote_code)
    for task in tasks:
        asks = next(iter(task.rows), {}).get(task.settings.prompt_column)
        if is_conversation(asks) and tokenizer.chat_template is None:
            raise EvaluationError(
                f"the task {task.task.name!r} asks in chat messages, and the tokenizer of "
                f"{source.name} has no chat template; save one with the model, or ask without a "
                "chat (--no-chat)"
            )


def _check_configuration(place: str, trust_remote_code: bool) -> None:
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{what_it_is(place)} cannot be loaded: {error}") from error


def _check_weights(place: str) -> None:
    folder = Path(place).expanduser()
    if not folder.is_dir():
        return
    if not any(any(folder.glob(pattern)) for pattern in _WEIGHTS):
        raise EvaluationError(f"{place} holds no weights ({', '.join(_WEIGHTS)})")
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):  # reads its table of contents only
                pass
        except (OSError, SafetensorError) as error:
            raise EvaluationError(
                f"{place} cannot be loaded: {path.name} is damaged or cut off: {error}"
            ) from error
    for path in sorted(folder.glob("*.safetensors.index.json")):
        shards = set(read_json(path)["weight_map"].values())
        if missing := sorted(name for name in shards if not (folder / name).is_file()):
            raise EvaluationError(
                f"{place} lacks {', '.join(missing)}, which {path.name} names; copy all its files"
            )
