"""Reads YAML files in lm-eval's form, and refuses what is wrong in one or not allowed.

Nothing is imported or run here: `!function utils.score` is a name with a line, not a function.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError, did_you_mean
from aligntune_eval.harness.library import task_folder, task_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import yaml

__all__ = ["Document", "check_document", "read_document"]

_OUTPUTS = ("generate_until", "loglikelihood", "loglikelihood_rolling", "multiple_choice")


@dataclass
class Document:
    """A file with what it includes: values, where each key stands, and the Python it names."""

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """File and line of a key, as errors name them."""
        return self.places.get(key, str(self.path))


def read_document(path: Path, within: tuple[Path, ...] = ()) -> Document:
    """Read a file and what it includes; its own keys win.

    Raises:
        EvaluationError: if it cannot be read, is no YAML, or includes itself.
    """
    if path in within:
        raise EvaluationError(f"{path} includes itself, by way of {within[-1]}")
    node = _compose(path)
    read = Document(path)
    own: dict[str, Any] = {}
    for key, value in node.value:
        place = f"{path}, line {key.start_mark.line + 1}"
        name = str(key.value)
        own[name] = _plain(value, path, read.functions)
        read.places[name] = place
    includes = own.pop("include", None) or []
    for other in includes if isinstance(includes, list) else [includes]:
        inner = (path.parent / str(other)).resolve()
        if not inner.is_file():
            raise EvaluationError(f"{read.place('include')}: there is no file {inner}")
        included = read_document(inner, (*within, path))
        read.values |= included.values
        read.places = included.places | read.places
        read.functions |= included.functions
    read.values |= own
    return read


def check_document(
    read: Document, *, trust_remote_code: bool, defaults: Mapping[str, Any] | None = None
) -> None:
    """Refuse a task or group that is wrong, or runs code that nobody allowed.

    Args:
        read: the file.
        trust_remote_code: whether code that the file names may run.
        defaults: what the group of a task sets for it.

    Raises:
        EvaluationError: for the first thing wrong; names file and line.
    """
    values = {**read.values, **(defaults or {})}
    local = task_folder().resolve() not in read.path.parents
    if local:
        _check_functions(read, trust_remote_code)
        _check_keys(read)
    for each in _described(values):
        if each.get("unsafe_code"):
            raise EvaluationError(
                f"{read.place('unsafe_code')}: {_named(each)} runs code that the model wrote, and "
                "lm-eval does so outside any sandbox; the tasks humaneval and mbpp of AlignTune "
                "and the metric pass_at_k run it in one"
            )
    if "group" in values:
        for each in _described(values) if local else ():
            _check_metrics(read, each, trust_remote_code)
    elif "class" not in values:
        if local:
            _check_task(read, values)
        _check_metrics(read, values, trust_remote_code)


def _described(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A task or group, and the tasks and groups that a group describes in its own file."""
    yield values
    inner = values.get("task")
    for each in inner if isinstance(inner, list) else ():
        if isinstance(each, dict):
            yield from _described(each)


def _check_functions(read: Document, trust_remote_code: bool) -> None:
    if read.functions and not trust_remote_code:
        function, place = next(iter(read.functions.items()))
        more = len(read.functions) - 1
        raise EvaluationError(
            f"{place}: `!function {function}`{f' (and {more} more)' if more else ''} is Python "
            "code that would run on this machine; read it, and then allow it with "
            "--trust-remote-code (trust_remote_code=True)"
        )


def _check_keys(read: Document) -> None:
    of_task, of_group = task_keys()
    known = of_group if "group" in read.values else of_task
    for key in read.values:
        if key not in known:
            hint = did_you_mean(key, sorted(known))
            raise EvaluationError(
                f"{read.place(key)}: lm-eval knows no key {key!r}{f'; {hint}' if hint else ''}"
            )


def _check_task(read: Document, values: Mapping[str, Any]) -> None:
    if not isinstance(values.get("task"), str):
        raise EvaluationError(f"{read.path} names neither a `task` nor a `group`")
    if not values.get("dataset_path") and "custom_dataset" not in values:
        raise EvaluationError(
            f"{read.path}: {_named(values)} has no data; set `dataset_path` to a data set of the "
            "hub, or to `json` with `dataset_kwargs: {data_files: FILE}`"
        )
    if not values.get("test_split") and not values.get("validation_split"):
        raise EvaluationError(
            f"{read.path}: {_named(values)} does not say what to measure on; set `test_split` or "
            "`validation_split` (a local file has the split `train`)"
        )
    kind = values.get("output_type", "generate_until")
    if kind not in _OUTPUTS:
        hint = did_you_mean(str(kind), _OUTPUTS)
        raise EvaluationError(
            f"{read.place('output_type')}: unknown output_type {kind!r}; "
            f"{f'{hint}; ' if hint else ''}there are: {', '.join(_OUTPUTS)}"
        )
    choices = values.get("doc_to_choice")
    if isinstance(choices, list) and any("{{" in str(each) for each in choices):
        raise EvaluationError(
            f"{read.place('doc_to_choice')}: lm-eval takes a list as it stands and fills in no "
            "column; write one template that gives a list, such as "
            '"{{ [right, wrong] }}"'
        )


def _check_metrics(read: Document, values: Mapping[str, Any], trust_remote_code: bool) -> None:
    """Refuse metrics that lm-eval would fetch from the hub as code, or that nothing has."""
    import lm_eval.api.metrics  # noqa: F401  (registers them)
    from lm_eval.api.registry import aggregation_registry, metric_registry

    metrics = values.get("metric_list") or []
    where = read.place("metric_list" if "metric_list" in read.values else "task")
    if not isinstance(metrics, list) or not all(isinstance(each, dict) for each in metrics):
        raise EvaluationError(f"{where}: metric_list is a list of entries `- metric: NAME`")
    if "process_results" in values:
        return  # a function makes the values; the names are its own
    for metric in metrics:
        name = metric.get("metric")
        if name is None:
            raise EvaluationError(f"{where}: an entry of metric_list names no `metric`")
        way = metric.get("aggregation")
        if isinstance(way, str) and way not in (*read.functions, *aggregation_registry.keys()):
            raise EvaluationError(
                f"{where}: the metric {name!r}: lm-eval has no aggregation {way!r}; there are: "
                f"{', '.join(sorted(aggregation_registry.keys()))}"
            )
        if name in read.functions or trust_remote_code:
            continue
        known = list(metric_registry.keys())
        if metric.get("hf_evaluate") or name not in known:
            asked = (
                "`hf_evaluate: true` asks for it elsewhere"
                if metric.get("hf_evaluate")
                else "; ".join(filter(None, ("lm-eval has none", did_you_mean(str(name), known))))
            )
            raise EvaluationError(
                f"{where}: the metric {name!r}: {asked}; the library evaluate would fetch it from "
                "the hub as Python code, which has to be allowed with --trust-remote-code "
                "(trust_remote_code=True)"
            )


def _named(values: Mapping[str, Any]) -> str:
    return f"the task {values.get('task')!r}"


def _compose(path: Path) -> yaml.MappingNode:
    import yaml

    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise EvaluationError(f"{path}{line}: this is no YAML: {error.problem}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise EvaluationError(f"{path} is no task of lm-eval: it holds no `key: value` lines")
    return node


def _plain(node: yaml.Node, path: Path, functions: dict[str, str]) -> Any:
    """The value of a node; a function is its name, and noted with its place."""
    import yaml

    class Loader(yaml.SafeLoader):
        """One file's loader."""

    def function(loader: Any, tagged: yaml.Node) -> str:
        name = str(tagged.value)
        functions[name] = f"{path}, line {tagged.start_mark.line + 1}"
        return name

    Loader.add_constructor("!function", function)
    loader = Loader("")
    try:
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise EvaluationError(f"{path}{line}: {error.problem}") from error
    finally:
        loader.dispose()
