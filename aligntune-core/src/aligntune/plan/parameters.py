"""Where each configuration field goes: the declarative table of an algorithm on a backend.

A field goes `To` an argument of the backend's own trainer, to `Ours` (code of AlignTune), is
`Fixed` to what the run does anyway, or is `Refused` with the reason. The table is what builds the
arguments, writes the plan and refuses what the run would not use, so that it cannot say one thing
while the code does another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aligntune.errors import Problem
from aligntune.evaluation.switches import SWITCHES

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = [
    "CORE_USES",
    "Bend",
    "Check",
    "Fixed",
    "HardwareCheck",
    "Ours",
    "ParameterTable",
    "Refused",
    "To",
    "Use",
    "When",
]


@dataclass(frozen=True)
class When:
    """A condition on another field; a field is used only while it holds."""

    path: str
    values: tuple[Any, ...]

    def holds(self, values: Mapping[str, Any]) -> bool:
        return values.get(self.path) in self.values

    def __str__(self) -> str:
        return f"`{self.path}` is {' or '.join(_written(value) for value in self.values)}"


@dataclass(frozen=True)
class Measured(When):
    """A condition: evaluators are listed, or one of the fields `by` turns something on.

    As any condition, it holds where `path` has one of its values.
    """

    by: tuple[str, ...] = ()

    def holds(self, values: Mapping[str, Any]) -> bool:
        listed = any(path.startswith("evaluation.evaluators.") for path in values)
        return listed or any(values.get(path) for path in self.by)

    def __str__(self) -> str:
        return f"`evaluation.evaluators` lists something, or {self.path} or another metric is on"


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(getattr(value, "value", value))


@dataclass(frozen=True)
class To:
    """The value becomes the argument `argument` of `owner` (such as `GRPOConfig`).

    `convert` turns the value into the argument's; `drop_none` leaves the argument out when it is
    None, so that the owner's own default stands.
    """

    argument: str
    owner: str
    convert: Callable[[Any], Any] | None = None
    drop_none: bool = False
    when: When | None = None

    def __str__(self) -> str:
        return f"{self.owner}.{self.argument}"


@dataclass(frozen=True)
class Ours:
    """The value is used by AlignTune's own code, for what `how` says."""

    how: str
    when: When | None = None

    def __str__(self) -> str:
        return self.how


@dataclass(frozen=True)
class Refused:
    """The run would not use the value: any other than the default is an error that says why."""

    because: str

    def __str__(self) -> str:
        return f"refused: {self.because}"


@dataclass(frozen=True)
class Fixed:
    """The run does what these values say and nothing else: another that is set is an error.

    Unlike with `Refused`, the field's default is an error too where somebody set it and it is not
    among the values.
    """

    values: tuple[Any, ...]
    because: str

    def __str__(self) -> str:
        return f"always {' or '.join(_written(value) for value in self.values)}: {self.because}"


Use = To | Ours | Fixed | Refused
# A default that bends: (config, hardware or None) -> (value, why) or None to leave it.
Bend = Callable[["RunConfig", "Hardware | None"], tuple[Any, str] | None]
Check = Callable[["RunConfig"], Iterable[Problem]]
# What must hold on the machine that the run is planned for.
HardwareCheck = Callable[["RunConfig", "Hardware"], Iterable[Problem]]


@dataclass(frozen=True)
class ParameterTable:
    """The uses of every field, the defaults that bend, and what must hold between fields.

    Paths have no list index: `datasets.name` stands for every data set. `here` holds what must hold
    on this machine: it is checked where the hardware is known, so not by `aligntune validate`.
    `measures` names what the trainer measures by itself (patterns), each with whether more of it is
    better; empty where it does not say.
    """

    uses: Mapping[str, Use]
    bends: tuple[tuple[str, Bend], ...] = ()
    checks: tuple[Check, ...] = ()
    lines: Callable[[RunConfig], list[str]] = field(default=lambda config: [])
    here: tuple[HardwareCheck, ...] = ()
    measures: Mapping[str, bool | None] = field(default_factory=dict)

    def use(self, path: str) -> Use:
        generic = ".".join(part for part in path.split(".") if not part.isdigit())
        head = generic.partition(".")[0]
        if generic in self.uses:
            return self.uses[generic]
        if head == "eval_datasets" and "." in generic:
            return self.use("datasets" + generic.removeprefix("eval_datasets"))
        parent = generic
        while parent := parent.rpartition(".")[0]:  # the nearest row for a whole section
            if f"{parent}.*" in self.uses:
                return self.uses[f"{parent}.*"]
        return Refused("this algorithm does not use it on this backend")


def _evaluation_uses() -> dict[str, Use]:
    ours = "aligntune.evaluation"
    switches = tuple(f"evaluation.{field}" for field in SWITCHES)
    quality = switches[1:]  # all but perplexity complete prompts
    more = ("evaluation.custom_metrics", "evaluation.dpo_eval_enabled")
    tasks = "evaluation.tasks"
    measured = Measured(switches[0], (True,), (*switches, *more))
    either = Measured(switches[0], (True,), (*switches, *more, tasks))
    completed = Measured(quality[0], (True,), (*quality, *more))
    evaluated = Measured(quality[0], (True,), (*quality, more[0]))  # not by DPO's own
    bertscore = When("evaluation.compute_bertscore", (True,))
    similarity = When("evaluation.compute_semantic_similarity", (True,))
    dpo = Refused("it belongs to DPO")
    return {
        "evaluation.*": Ours(ours),
        tasks: Ours("aligntune-eval"),
        "evaluation.before_training": Ours(f"{ours}: when", when=either),
        "evaluation.max_samples": Ours(f"{ours}: on how many rows", when=measured),
        "evaluation.batch_size": Ours(f"{ours}: rows at once", when=either),
        "evaluation.max_new_tokens": Ours(f"{ours}: completions", when=completed),
        "evaluation.temperature": Ours(f"{ours}: completions", when=completed),
        "evaluation.top_p": Ours(f"{ours}: completions", when=completed),
        "evaluation.top_k": Ours(f"{ours}: completions", when=completed),
        "evaluation.num_samples": Ours(f"{ours}: completions", when=evaluated),
        "evaluation.stop": Ours(f"{ours}: completions", when=evaluated),
        **{path: Ours(f"{ours}: turns a metric on") for path in (*switches, more[0])},
        "evaluation.max_samples_for_quality_metrics": Ours(
            f"{ours}: on how many rows",
            when=evaluated,
        ),
        "evaluation.bertscore_model": Ours(f"{ours}: the model of BERTScore", when=bertscore),
        "evaluation.semantic_similarity_model": Ours(f"{ours}: its model", when=similarity),
        "evaluation.dpo_eval_enabled": dpo,
        "evaluation.dpo_eval_max_samples": dpo,
        "evaluation.dpo_zero_shot_max_samples": dpo,
        "evaluation.dpo_few_shot_max_samples": dpo,
        "evaluation.dpo_few_shot_examples_text": dpo,
    }


_DATA = "aligntune.data"
CORE_USES: dict[str, Use] = {
    "algo": Ours("chooses the trainer"),
    "backend": Ours("chooses the backend"),
    "chat_template": Ours("replaces the tokenizer's template"),
    "model.use_unsloth": Ours("chooses the backend"),
    "train.use_trl": Ours("chooses the backend"),
    "datasets.name": Ours(f"{_DATA}: what is read"),
    "datasets.split": Ours(f"{_DATA}: what is read"),
    "datasets.subset": Ours(f"{_DATA}: what is read"),
    "datasets.revision": Ours(f"{_DATA}: what is read"),
    "datasets.streaming": Ours(f"{_DATA}: rows are read as they are needed"),
    "datasets.percent": Ours(f"{_DATA}: how many rows are used"),
    "datasets.max_samples": Ours(f"{_DATA}: how many rows are used"),
    "datasets.weight": Ours(f"{_DATA}: share among several data sets"),
    "datasets.val_size": Ours(f"{_DATA}: rows held out for evaluation"),
    "datasets.column_mapping": Ours(f"{_DATA}: renames columns"),
    "datasets.task_type": Ours(f"{_DATA}: what rows are for; in SFT, which trainer"),
    "datasets.format_type": Ours(f"{_DATA}: how rows are read"),
    "datasets.auto_detect_fields": Ours(f"{_DATA}: columns told by their usual names"),
    "datasets.text_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.instruction_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.response_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.output_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.input_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.context_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.label_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.tokens_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.tags_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.messages_column": Ours(f"{_DATA}: which column holds what"),
    "datasets.dataset_text_field": Ours(f"{_DATA}: which column holds what"),
    "datasets.chat_template": Ours("replaces the tokenizer's template"),
    "datasets.pad_token": Ours("the tokenizer's padding token"),
    "datasets.tools": Ours(f"{_DATA}: the column `tools`, which the chat template renders"),
    "datasets.preprocessing": Refused(
        "nothing defines its keys; use `processing_fn`, `processing_batched` and "
        "`processing_fn_kwargs`"
    ),
    "datasets.system_prompt": Ours(f"{_DATA}: first message of every prompt"),
    "datasets.preserve_columns": Ours(f"{_DATA}: columns that are kept"),
    "datasets.processing_fn": Ours(f"{_DATA}: applied to every row"),
    "datasets.processing_batched": Ours(f"{_DATA}: how processing_fn is called"),
    "datasets.processing_fn_kwargs": Ours(f"{_DATA}: arguments of processing_fn"),
    "datasets.dataset_num_proc": Ours(f"{_DATA}: processes of Dataset.map"),
    "eval_datasets.*": Ours(f"{_DATA}: the rows that are evaluated on"),
    **_evaluation_uses(),
    "logging.output_dir": Ours("the run directory"),
    "logging.run_name": Ours("name in the run directory, the report and trackers"),
    "logging.log_level": Ours("level of the `aligntune` logger and of transformers"),
    "logging.logging_dir": Ours("TENSORBOARD_LOGGING_DIR"),
    "logging.sample_logging.enabled": Ours("completions written down while the run trains"),
    "logging.sample_logging.*": Ours(
        "completions written down while the run trains",
        when=When("logging.sample_logging.enabled", (True,)),
    ),
    "logging.push_to_hub": Ours("uploads the model when the run ends"),
    "logging.hub_model_id": Ours("where to", when=When("logging.push_to_hub", (True,))),
    "logging.hub_token": Ours("with which token", when=When("logging.push_to_hub", (True,))),
    "distributed.*": Ours("checked against the processes that run"),
    "meta_es.*": Refused("it belongs to Meta-ES"),
    "tasks": Refused("evaluation tasks are given to `aligntune eval`"),
    "caching": Refused(
        "nothing defines its keys; HF_HOME and HF_DATASETS_CACHE say where the libraries cache"
    ),
    "plugins.*": Ours("which plugins may load"),
}
