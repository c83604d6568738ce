"""Stop texts end a completion wherever they appear, and are no part of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext
from aligntune_eval.asking.generation import Completion, completions, generation_details
from aligntune_eval.asking.stopping import Ends

MakeContext = Callable[..., EvaluationContext]
ROWS = [{"prompt": prompt} for prompt in ("abc", "1+1", "to be or not", "x", "é")]


def whole(make_context: MakeContext) -> list[Completion]:
    return completions(make_context(ROWS, max_new_tokens=24))


def alone(context: EvaluationContext, row: int) -> Completion:
    """The completion of one row in a batch of its own."""
    settings = replace(context.settings, batch_size=1)
    rows = [context.rows[row]]
    (made,) = completions(replace(context, rows=rows, settings=settings, memo={}, samples=[]))
    return made


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_completion_ends_before_its_first_stop_text(
    make_context: MakeContext, batch_size: int
) -> None:
    plain = whole(make_context)
    assert all(len(one.text) > 6 for one in plain)
    stop = (plain[0].text[3:5], plain[3].text[2:3])
    context = make_context(ROWS, max_new_tokens=24, stop=stop, batch_size=batch_size)
    made = completions(context)
    assert any(one.finished for one in made)
    for one, long in zip(made, plain, strict=True):
        places = [place for text in stop if (place := long.text.find(text)) >= 0]
        assert one.text == (long.text[: min(places)] if places else long.text)
        assert one.finished == (bool(places) or long.finished)
        assert one.ids == long.ids[: len(one.ids)]
    # What stopped is not generated further: the stop text is the last that its tokens say.
    assert len(made[0].ids) < len(plain[0].ids)
    assert generation_details(context)["truncated"] == sum(not one.finished for one in made)


def test_rows_that_stopped_leave_the_batch(make_context: MakeContext, model: Any) -> None:
    plain = whole(make_context)
    stop = tuple(one.text[1:3] for one in plain[:4])
    context = make_context(ROWS, max_new_tokens=24, stop=stop, batch_size=5)
    context.model = copy.deepcopy(model)
    sizes: list[int] = []
    context.model.register_forward_pre_hook(
        lambda _, __, given: sizes.append(given["input_ids"].shape[0]), with_kwargs=True
    )
    made = completions(context)
    assert sizes[0] == 5
    assert sizes[-1] < 3
    assert len(sizes) <= 25
    assert made == [alone(context, row) for row in range(5)]


def test_rows_go_on_without_their_cache_where_it_cannot_be_cut(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = tuple(one.text[1:3] for one in whole(make_context)[:4])
    made = completions(make_context(ROWS, max_new_tokens=24, stop=stop, batch_size=5))
    monkeypatch.setattr("aligntune_eval.asking.decoding._selected", lambda cache, kept: None)
    assert completions(make_context(ROWS, max_new_tokens=24, stop=stop, batch_size=5)) == made


def test_a_special_token_as_stop_text_ends_a_completion(
    make_context: MakeContext, model: Any
) -> None:
    context = make_context(ROWS, stop=("<|pad|>",))
    ends = Ends(context.model, context.tokenizer, context.settings.stop)
    assert (ends.ids, ends.texts) == ([256, 257], ())


def test_a_special_token_within_a_stop_text_is_refused(make_context: MakeContext) -> None:
    with pytest.raises(EvaluationError, match=r"'<\|end\|>' in it is a special token.*alone"):
        completions(make_context(ROWS, max_new_tokens=4, stop=("<|end|>\n",)))


def test_a_stop_text_may_begin_with_the_space_of_a_token(model: Any) -> None:
    words = ["▁the", "▁end", "▁", "!", "</s>"]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "!"))
    core.decoder = decoders.Metaspace()
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, eos_token="</s>"
    )
    ends = Ends(model, tokenizer, (" ", "e end"))
    assert [ends.could_end(token) for token in range(4)] == [True, True, True, False]
    assert ends.reached([3, 0, 1])
    assert not ends.reached([3, 3])


def test_a_stop_text_of_several_tokens_per_letter_ends_a_completion(
    make_context: MakeContext, tokenizer: Any
) -> None:
    ends = Ends(make_context(ROWS).model, tokenizer, ("é。",))
    ids = tokenizer("ab é。")["input_ids"]
    ended = [at for at in range(1, len(ids) + 1) if ends.reached(ids[:at])]
    assert ended == [len(ids)]
