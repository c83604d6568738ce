"""What lm-eval logged of each row, as our samples: prompt, answer, target, scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from aligntune_eval.harness.numbers import prefix_of, score_name, terms_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aligntune_eval.harness.prepare import PreparedHarness

__all__ = ["samples_of"]


def samples_of(ready: PreparedHarness, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One sample per row of `ready.rows`, in their order; lm-eval has one per row and filter."""
    found: list[dict[str, Any]] = []
    several = len(ready.loaded["tasks"]) > 1
    for name, task in ready.loaded["tasks"].items():
        begin = len(found)
        for line in results["samples"][name]:
            place = begin + int(line["doc_id"])
            if place == len(found):
                found.append(_sample(place, line, task, name if several else None))
                if not several:
                    found[place]["logged"] = _logged(line, task)
            _add_scores(found[place], line, task, name, ready)
    return found


def _sample(place: int, line: Mapping[str, Any], task: Any, name: str | None) -> dict[str, Any]:
    asked = line["arguments"]
    sample: dict[str, Any] = {"row": place}
    if name is not None:
        sample["task"] = name
    sample["prompt"] = str(asked[0][0])
    # As lm-eval writes it, so that a row has the same key in its files and in ours.
    sample["reference"] = str(line["target"])
    if task.OUTPUT_TYPE == "generate_until":
        answers = [str(answer) for answer in line["resps"][0]]
        sample |= {"completions": answers} if len(answers) > 1 else {"completion": answers[0]}
    elif task.OUTPUT_TYPE == "loglikelihood_rolling":
        sample["nll"] = -float(line["resps"][0][0])
    else:
        sample["requests"] = [
            {
                "context": str(each[0]),
                "continuation": str(each[1]),
                "logprob": float(answers[0][0]),
                "greedy": bool(answers[0][1]),
            }
            for each, answers in zip(asked, line["resps"], strict=True)
        ]
        if task.OUTPUT_TYPE == "multiple_choice":
            # Mutual information asks each choice a second time, without the question.
            count = len(asked) // (2 if "acc_mutual_info" in task.aggregation() else 1)
            sample |= _choice(sample["requests"][:count], line["target"])
    return sample


def _logged(line: Mapping[str, Any], task: Any) -> dict[str, Any]:
    """What lm-eval writes of a row that our sample has in another form."""
    logged: dict[str, Any] = {}
    if task.OUTPUT_TYPE == "generate_until":
        logged["generation"] = dict(line["arguments"][0][1])
    if line["filter"] == "none":
        logged["values"] = {metric: _json(line[metric]) for metric in line["metrics"]}
    return logged


def _json(value: Any) -> Any:
    """A value of numpy's, or a tuple of them, as JSON has it."""
    if isinstance(value, (list, tuple)):
        return [_json(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def _choice(requests: Sequence[Mapping[str, Any]], target: Any) -> dict[str, Any]:
    """The likeliest continuation and the right one, as text."""
    best = max(requests, key=lambda each: float(each["logprob"]))
    noted = {"chosen": best["continuation"]}
    if isinstance(target, int) and 0 <= target < len(requests):
        noted["right"] = requests[target]["continuation"]
    return noted


def _add_scores(
    sample: dict[str, Any], line: Mapping[str, Any], task: Any, name: str, ready: PreparedHarness
) -> None:
    """The values of one filter, as metrics of the task and of each group that holds it."""
    scores = sample.setdefault("scores", {})
    held = ready.loaded.get("groups") or {}
    groups = [each for each in held if name in (t.task_name for t in held[each].get_all_tasks())]
    if task.OUTPUT_TYPE == "generate_until" and line["filter"] != "none":
        sample.setdefault("extracted", {})[line["filter"]] = line["filtered_resps"][0]
    for metric in line["metrics"]:
        key, value = score_name(metric, line["filter"]), line[metric]
        shown = prefix_of(name, ready) + key
        if (terms := terms_of(task, metric, value)) is not None:
            scores[f"{shown}.top"], scores[f"{shown}.bottom"] = terms
        elif isinstance(value, (bool, int, float)) or hasattr(value, "item"):
            number = float(value)
            if math.isfinite(number):
                scores |= {f"{prefix_of(each, ready)}{key}": number for each in (name, *groups)}
