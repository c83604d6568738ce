"""How fit a model is: it completes each problem several times, and the best completion counts.

Of a reward that is 1 for what is right and 0 for what is wrong, that is pass@k, estimated from k
completions (Chen et al. 2021, arXiv 2107.03374). With one completion it is the mean reward.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError, RewardError
from aligntune.evaluation.state import undisturbed
from aligntune.scoring import Part, RewardBatch, Scorer, build_reward
from aligntune.scoring.faults import raw_values, sample
from aligntune_trl.generation import prompt_ids

if TYPE_CHECKING:
    from datasets import Dataset

    from aligntune_trl.base import TRLTrainer

__all__ = ["check_room", "fitness_of", "fitness_part", "score_each"]


def fitness_part(scorer: Scorer, name: str | None, plugins: Any) -> Part:
    """The reward that fitness is measured by.

    Args:
        scorer: of the run; has the parts that `rewards` lists.
        name: one of those, or a registered reward; None for the first part.
        plugins: where a registered reward is looked up.

    Raises:
        AlignTuneError: if there is no such reward, or it cannot be made without parameters.
    """
    if name is None:
        return scorer.parts[0]
    named = [part for part in scorer.parts if part.name == name]
    if named:
        return named[0]
    shown, reward = build_reward(name, {}, plugins)
    reward.load()
    return Part(shown, reward)


def check_room(trainer: TRLTrainer, most: int) -> None:
    """Refuse completions for which the model has no positions.

    Args:
        trainer: a run that was set up, with evaluation data.
        most: longest completion, in tokens.

    Raises:
        EvaluationError: says which would fit.
    """
    assert trainer.trainer is not None
    assert trainer.eval_data is not None
    model: Any = trainer.trainer.accelerator.unwrap_model(trainer.trainer.model)
    limit = getattr(model.config, "max_position_embeddings", None)
    longest = max(
        len(prompt_ids(trainer.tokenizer, prompt, trainer.template_arguments))
        for prompt in trainer.eval_data.rows["prompt"]
    )
    if limit is not None and longest + most > limit:
        raise EvaluationError(
            f"a prompt of the evaluation data has {longest} tokens, and the model {limit} "
            f"positions: `meta_es.eval_max_tokens` is {most}, and may be {max(limit - longest, 0)}"
        )


def fitness_of(
    trainer: TRLTrainer, part: Part, *, seed: int, k: int, temperature: float, most: int, limit: int
) -> float:
    """Mean over the evaluation rows of the best of `k` completions.

    Args:
        trainer: a run that was set up, with evaluation data.
        part: the reward; neither its weight nor what is done to its values counts.
        seed: of the sampling, which leaves the state of the run's generators as it was.
        k: completions per row.
        temperature: 0 takes the likeliest tokens, of which there is one completion.
        most: longest completion, in tokens.
        limit: seconds to score one completion; see `score_each`.

    Raises:
        RewardError: if the reward raises, gives no finite number, or applies to no row.
    """
    import torch

    assert trainer.trainer is not None
    assert trainer.eval_data is not None
    model = trainer.trainer.accelerator.unwrap_model(trainer.trainer.model)
    rows = trainer.eval_data.rows
    with undisturbed(model):
        torch.manual_seed(seed)
        texts, ids = _completed(trainer, model, rows, k=k, temperature=temperature, most=most)
    batches = _one_by_one(rows, texts, ids, k, part)
    values = score_each(part, batches, limit)
    best = []
    for start in range(0, len(values), k):
        applied = [value for value in values[start : start + k] if value is not None]
        if applied:
            best.append(max(applied))
    if not best:
        raise RewardError(f"the fitness {part.name!r} applies to none of {len(rows)} rows")
    return math.fsum(best) / len(best)


def _completed(
    trainer: TRLTrainer, model: Any, rows: Dataset, *, k: int, temperature: float, most: int
) -> tuple[list[str], list[list[int]]]:
    """`k` completions of each prompt, one after the other: texts, and tokens without padding."""
    import torch

    tokenizer = trainer.tokenizer
    encoded = [prompt_ids(tokenizer, p, trainer.template_arguments) for p in rows["prompt"]]
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    sampling: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_p": 1.0}
    texts, ids = [], []
    together = trainer.config.train.per_device_eval_batch_size
    for start in range(0, len(encoded), together):
        prompts = encoded[start : start + together]
        width = max(map(len, prompts))
        padded = [[pad] * (width - len(p)) + p for p in prompts]
        mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts]
        with torch.no_grad():
            made = model.generate(
                input_ids=torch.tensor(padded, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                max_new_tokens=most,
                num_return_sequences=k,
                pad_token_id=pad,
                top_k=0 if temperature > 0 else None,
                **sampling,
            )
        for tokens in made[:, width:].tolist():
            kept = tokens[: tokens.index(end) + 1] if end in tokens else tokens
            ids.append(kept)
            texts.append(str(tokenizer.decode(kept, skip_special_tokens=True)))
    return texts, ids


def _one_by_one(
    rows: Dataset, texts: Sequence[str], ids: Sequence[list[int]], k: int, part: Part
) -> Iterator[RewardBatch]:
    """Each completion as a batch of its own, with the columns of its row."""
    columns = [name for name in rows.column_names if name != "prompt"]
    scorer = Scorer([part], part.reference_column)
    scorer.check(columns)
    for index, text in enumerate(texts):
        row: Mapping[str, Any] = rows[index // k]
        talk = not isinstance(row["prompt"], str)
        yield RewardBatch(
            texts=[text],
            prompts=[row["prompt"]],
            references=None if scorer.reference_column is None else [row[scorer.reference_column]],
            columns={name: [row[name]] for name in columns},
            completion_ids=[ids[index]],
            messages=[[{"role": "assistant", "content": text}]] if talk else None,
        )


def score_each(part: Part, batches: Iterator[RewardBatch], limit: float) -> list[float | None]:
    """The raw value of each completion; one that takes longer than `limit` seconds earns the least.

    Scores are made in a thread, which is left behind where it hangs.

    Raises:
        RewardError: if the reward raises, or takes too long and has no least value.
    """
    todo = list(batches)
    values: list[float | None] = []
    while len(values) < len(todo):
        done: queue.SimpleQueue[list[float | None] | BaseException] = queue.SimpleQueue()
        arguments = (part, todo[len(values) :], done)
        threading.Thread(target=_score, args=arguments, daemon=True).start()
        try:
            while len(values) < len(todo):
                found = done.get(timeout=limit)
                if isinstance(found, BaseException):
                    raise found
                values.extend(found)
        except queue.Empty:
            values.append(_least(part, todo[len(values)], limit))
    return values


def _score(part: Part, batches: Sequence[RewardBatch], done: queue.SimpleQueue[Any]) -> None:
    for batch in batches:
        try:
            done.put(raw_values(part.name, part.reward, batch))
        except BaseException as error:  # noqa: BLE001 - carried over to the waiting thread
            done.put(error)
            return


def _least(part: Part, batch: RewardBatch, limit: float) -> float:
    least = part.reward.range[0]
    if not math.isfinite(least):
        raise RewardError(
            f"the fitness {part.name!r} took longer than {limit:g} s for {sample(batch, 0)}, and "
            "its reward declares no least value; raise `meta_es.eval_timeout`"
        )
    return least
