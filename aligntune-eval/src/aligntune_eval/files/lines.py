"""A sample as a line of lm-eval's samples file, and back.

The shape is lm-eval 0.4.13's (`SampleResult` in its result_schema.py, as `evaluation_tracker.py`
writes it): what stands in `resps` and `filtered_resps` is text, also where it is a number. What the
shape has no place for stands under `aligntune`, so that nothing is lost on the way back.

What a model was asked about a row is read off the sample: `completion` and `completions` for what
it wrote; `requests`, a list of `{"context", "continuation", "logprob", "greedy"}`, for
continuations whose likelihood was computed, such as the choices of a question; `nll` for a text or
completion that was scored. `logged`, of a task of lm-eval, holds what lm-eval itself writes of it:
`{"generation": arguments, "values": {metric: value}}`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from aligntune.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aligntune.evaluation import EvaluationSettings

__all__ = ["generation_arguments", "hash_of", "line_of", "output_type", "sample_of"]

_KEYS = frozenset(
    (
        "doc_id",
        "doc",
        "target",
        "arguments",
        "resps",
        "filtered_resps",
        "filter",
        "metrics",
        "doc_hash",
        "prompt_hash",
        "target_hash",
        "aligntune",
    )
)


def line_of(
    sample: Mapping[str, Any], row: Mapping[str, Any], settings: EvaluationSettings
) -> dict[str, Any]:
    """One line of the samples file: the sample of one row."""
    scores = {
        name: score
        for name, score in sample.get("scores", {}).items()
        if isinstance(score, (int, float))
    }
    notes = {
        key: value
        for key, value in sample.items()
        if key not in ("row", *scores, *_KEYS) and isinstance(value, (int, float))
    }
    measured = {name: value for name, value in scores.items() if name not in _KEYS} | notes
    prompt = _text(sample.get("prompt", row.get(settings.prompt_column, "")))
    target = _text(sample.get("reference", ""))
    arguments, responses, filtered = _requests(sample, row, prompt, settings)
    logged = sample.get("logged", {}).get("values", {})
    return {
        "doc_id": sample["row"],
        "doc": dict(row),
        "target": target,
        "arguments": {f"gen_args_{place}": each for place, each in enumerate(arguments)},
        "resps": responses,
        "filtered_resps": filtered,
        "filter": "none",
        "metrics": list(logged or measured),
        "doc_hash": hash_of(_json(dict(row), indent=2)),
        "prompt_hash": hash_of(arguments[0]["arg_0"] if arguments else prompt),
        "target_hash": hash_of(target),
        **(measured | logged),
        "aligntune": _rest(sample, prompt, target, notes),
    }


def sample_of(line: Mapping[str, Any]) -> dict[str, Any]:
    """The sample that `line_of` made a line of."""
    rest = dict(line["aligntune"])
    sample: dict[str, Any] = {"row": line["doc_id"]}
    for key in rest.pop("elsewhere"):
        if key == "prompt":
            sample[key] = line["arguments"]["gen_args_0"]["arg_0"]
        elif key == "reference":
            sample[key] = line["target"]
        else:
            answers = line["resps"][0]
            sample[key] = answers if key == "completions" else answers[0]
    notes = [name for name in line["metrics"] if name not in rest.get("scores", {})]
    return sample | {name: line[name] for name in notes} | rest


def _rest(
    sample: Mapping[str, Any], prompt: str, target: str, notes: Mapping[str, Any]
) -> dict[str, Any]:
    """What the line does not hold already; `elsewhere` names the parts of the sample it does."""
    held = {"prompt": prompt, "reference": target}
    if "requests" in sample:
        del held["prompt"]
    elsewhere = [key for key in held if key in sample and sample[key] == held[key]]
    if "requests" not in sample:
        elsewhere += [key for key in ("completion", "completions") if key in sample]
    held_already = {"row", *elsewhere, *notes}
    kept = {key: value for key, value in sample.items() if key not in held_already}
    return {"elsewhere": elsewhere, **kept}


def generation_arguments(settings: EvaluationSettings) -> dict[str, Any]:
    """The settings of generation by the names that lm-eval has for them."""
    return {
        "until": redact(list(settings.stop)),
        "max_gen_toks": settings.max_new_tokens,
        "do_sample": settings.temperature > 0,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
    }


def output_type(
    samples: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    settings: EvaluationSettings,
) -> str:
    """What the model was asked for, by lm-eval's name for it."""
    if requests := [sample["requests"] for sample in samples if "requests" in sample]:
        return "multiple_choice" if any(len(each) > 1 for each in requests) else "loglikelihood"
    if any("completion" in sample or "completions" in sample for sample in samples):
        return "generate_until"
    paired = all(row.get(settings.prompt_column) and row.get("completion") for row in rows)
    return "loglikelihood" if paired else "loglikelihood_rolling"


def hash_of(text: str) -> str:
    """SHA-256 of a text, as lm-eval takes it."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _requests(
    sample: Mapping[str, Any], row: Mapping[str, Any], prompt: str, settings: EvaluationSettings
) -> tuple[list[dict[str, Any]], list[Any], list[Any]]:
    """Arguments, responses and filtered responses of what the model was asked about one row."""
    if "requests" in sample:
        asked = sample["requests"]
        arguments = [{"arg_0": each["context"], "arg_1": each["continuation"]} for each in asked]
        answers = [[str(each["logprob"]), str(each["greedy"])] for each in asked]
        return arguments, [[answer] for answer in answers], answers
    if "completion" in sample or "completions" in sample:
        answers = list(sample.get("completions") or [sample["completion"]])
        own = sample.get("logged", {}).get("generation")
        arguments = [{"arg_0": prompt, "arg_1": own or generation_arguments(settings)}]
        return arguments, [answers], [answers if len(answers) > 1 else answers[0]]
    arguments = [{"arg_0": _scored(row, prompt)}]
    if row.get(settings.prompt_column) is not None and row.get("completion") is not None:
        arguments = [{"arg_0": prompt, "arg_1": _text(row["completion"])}]
    if "nll" not in sample:
        return arguments, [], []
    value = str(-float(sample["nll"]))
    return arguments, [[value]], [value]


def _scored(row: Mapping[str, Any], prompt: str) -> str:
    """The text of a row that was scored as a whole."""
    return prompt or next((_text(row[k]) for k in ("text", "messages") if row.get(k)), "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, default=str)
