"""How a run goes on TRL, whatever the algorithm: rewards, data, tokenizer, model, training, report.

A trainer of an algorithm says which TRL trainer it is and how its data and arguments are made; it
holds no training loop. What a backend does differently is in the backend's `load`.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError
from safetensors import SafetensorError

from aligntune.core.trainer_base import TrainerBase
from aligntune.data import Prepared, prepare
from aligntune.errors import AlignTuneError, ConfigError, DataError, RewardError
from aligntune.evaluation import Measurements, prepare_measurements
from aligntune.evaluation.run_tasks import measure_tasks, prepare_run_tasks
from aligntune.hardware import Hardware
from aligntune.redact import redact
from aligntune.run import RunDirectory
from aligntune.run.record import environment
from aligntune.run.recorded import recorded
from aligntune.run.starting import refuse_another_run, refuse_inputs_inside
from aligntune_trl import hub
from aligntune_trl.arguments import check_arguments, trainer_arguments
from aligntune_trl.backend import Head, Policy, load_tokenizer, model_error
from aligntune_trl.bars import library_bars
from aligntune_trl.callbacks import NothingLeft, ProgressCallback, add_measured, write_samples
from aligntune_trl.lora.adapters import LABELS
from aligntune_trl.lora.checks import is_pissa
from aligntune_trl.lora.targets import no_target, refuse_missing_targets
from aligntune_trl.rescue import Rescue
from aligntune_trl.run_callbacks import run_callbacks
from aligntune_trl.sampling import prompts_of

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase, Trainer

    from aligntune.evaluation import Metric
    from aligntune.plan import Plan
    from aligntune.preview import Preview
    from aligntune.scoring import Scorer
    from aligntune_trl.preview.rows import Seen

__all__ = ["TRLTrainer"]

logger = logging.getLogger("aligntune")

# What libraries raise for settings that do not fit, and for broken weights and templates.
SETUP_ERRORS = (
    ValueError,
    TypeError,
    ImportError,
    RuntimeError,
    TemplateError,
    SafetensorError,
)


class TRLTrainer(TrainerBase):
    """Base of the trainers on TRL.

    Attributes:
        trainer: the TRL trainer, once the run has been set up; None before.
        run: the run directory.
    """

    owner: str  # the TRL configuration class, as parameter tables name it
    padding_side: str | None = None
    tokenizer: PreTrainedTokenizerBase  # once the run has been set up
    scorer: Scorer | None = None  # where the algorithm learns from rewards, once data are read

    def __init__(self, plan: Plan, backend: Any) -> None:
        super().__init__(plan, backend)
        self.run = RunDirectory(Path(self.config.logging.output_dir))
        self.trainer: Trainer | None = None
        self.data: Prepared | None = None
        self.eval_data: Prepared | None = None
        self.measurements: Measurements | None = None
        self.tasks: Sequence[Any] = ()
        self.sampled: list[Any] = []  # prompts that are completed while the run trains
        self.progress = ProgressCallback()
        self.rescue = Rescue(self)
        self.training = False
        self.pissa_start: dict[str, Any] | None = None  # the factors that PiSSA began with
        self._begun = False

    @abstractmethod
    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        """Build the TRL trainer from what was loaded."""

    def prepare_data(self) -> None:
        """Read and check training and evaluation rows."""
        contract = self.plan.algorithm.facts.data
        keep = self.plan.algorithm.facts.kind == "rl"
        train = self.config.train
        seed = train.seed if train.data_seed is None else train.data_seed
        self.data = prepare(self.config.datasets, contract, keep_columns=keep, seed=seed)
        if self.data.held_out is not None:
            self.eval_data = Prepared(self.data.held_out, self.data.reports)
        if self.config.eval_datasets:
            self.eval_data = prepare(self.config.eval_datasets, contract, keep_columns=True)
            shapes = self.data.reports[0].shape, self.eval_data.reports[0].shape
            if shapes[0] != shapes[1]:
                raise DataError(
                    f"rows to train on have {shapes[0]}, and rows to evaluate on {shapes[1]}: "
                    "give both one shape"
                )
        rows = None if self.eval_data is None else self.measured(list(self.eval_data.rows))
        self.measurements = prepare_measurements(
            self.config,
            rows,
            self.plan.plugins,
            self.template_arguments,
            self.plan.table.measures,
        )
        self.tasks = prepare_run_tasks(self.config, self.plan.plugins)

    def measured(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows of the evaluation data as evaluators read them: the answer is `completion`."""
        return rows

    def setup(self) -> Trainer:
        """Load everything, in the order in which mistakes are cheapest; the second call is free."""
        if self.trainer is None:
            with library_bars(shown=not self.config.logging.disable_tqdm):
                self.trainer = self._load()
        return self.trainer

    def _load(self) -> Trainer:
        from transformers import set_seed

        self.tokenizer = load_tokenizer(self.plan, padding_side=self.padding_side)
        self.prepare_data()
        self.sampled = self._prompts_to_sample()
        logs = self.config.logging.logging_dir or str(self.run.logs)
        os.environ["TENSORBOARD_LOGGING_DIR"] = logs
        arguments = trainer_arguments(self.plan, self.owner, self.run, Hardware.detect().device)
        set_seed(self.config.train.seed)  # adapters begin at random; TRL 1.14 does not seed that
        try:
            policy = self.backend.load(self.plan, self.tokenizer, self.head)
            arguments |= {"model_init_kwargs": policy.init_kwargs, **policy.arguments}
            trainer = self.make_trainer(policy, arguments, run_callbacks(self))
        except AlignTuneError:
            raise
        except OSError as error:
            raise model_error(self.plan, error) from error
        except SETUP_ERRORS as error:
            if str(error).startswith("Target modules "):  # peft's, where none of them is there
                raise no_target(self.config) from error
            raise ConfigError(f"{self.plan.algorithm.name} cannot be set up: {error}") from error
        check_arguments(self.plan, trainer.args)
        self._prepare_adapter(trainer)
        # The model is loaded, and the arguments are written into every checkpoint and log.
        if policy.init_kwargs is not None:
            written: Any = trainer.args
            written.model_init_kwargs = redact(written.model_init_kwargs)
        for ours in ("PrinterCallback", "ProgressCallback"):
            for callback in list(trainer.callback_handler.callbacks):
                if type(callback).__name__ == ours and callback is not self.progress:
                    trainer.remove_callback(callback)
        processes = trainer.args.world_size
        if processes != self.config.distributed.num_processes:
            asked = self.config.distributed.num_processes
            raise ConfigError(
                f"{processes} processes are running and distributed.num_processes is {asked}"
            )
        return trainer

    def _prepare_adapter(self, trainer: Trainer) -> None:
        """What neither TRL nor peft does with an adapter by itself."""
        model = self.config.model
        if model.peft_enabled:
            policy: Any = trainer.model
            refuse_missing_targets(self.config, policy)
        if model.peft_enabled and is_pissa(model.init_lora_weights):
            from aligntune_trl.lora.pissa import remember

            self.pissa_start = remember(trainer)
        if model.peft_enabled and model.loraplus_lr_ratio is not None:
            from aligntune_trl.lora.plus import use_loraplus

            use_loraplus(trainer, model.loraplus_lr_ratio)

    def _prompts_to_sample(self) -> list[Any]:
        assert self.data is not None
        settings = self.config.logging.sample_logging
        return prompts_of(settings, self.data.rows) if settings.enabled else []

    def train(self, *, resume: bool = False, overwrite: bool = False) -> RunDirectory:
        """Train, evaluate, and leave a complete run directory."""
        logging.getLogger("aligntune").setLevel(self.config.logging.log_level)
        if self._begun:  # a run starts from the model as it lies on disk
            self.trainer = None
        if overwrite:  # what is to be replaced stays until this run is known to start
            refuse_inputs_inside(self.run, self.config)
            self.setup()
        self.reserve_repository()
        if resume:
            refuse_another_run(self.run, self.plan)
        self.run = RunDirectory.create(self.run.path, overwrite=overwrite, resume=resume)
        checkpoint = self.run.last_checkpoint() if resume else None
        self._begun = True
        with recorded(self.run, self.plan):
            self.train_from(checkpoint)
        return self.run

    def reserve_repository(self) -> None:
        """Make sure of the repository that the model is to be uploaded to, if it is."""
        if self.config.logging.push_to_hub:
            hub.reserve(self._repository, self._hub_token)

    def train_from(self, checkpoint: Path | None) -> None:
        """Train from a checkpoint or from the start, in the run directory, until all is saved."""
        trainer = self.setup()
        self._record_data()
        if self.plan.reward_model is not None:
            self.run.write_json(self.run.reward_model, self.plan.reward_model.as_dict())
        if self.scorer is not None and (said := self.scorer.record()):
            self.run.write_json(self.run.environment, environment() | {"rewards": said})
        if checkpoint is not None:
            step = int(checkpoint.name.rpartition("-")[2])
            self.run.truncate_after(step)
            logger.info("resuming from %s", checkpoint)
            self.resumed_from(step)
        elif self.config.evaluation.before_training:
            self.measure("before")
        try:
            self.training = True
            with library_bars(shown=False):  # each checkpoint would draw one
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except RewardError as error:
            raise self.rescue.save(trainer, error) from error
        except NothingLeft:
            logger.info("there is no step left to train")
            trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
            if trainer.args.load_best_model_at_end and trainer.state.best_model_checkpoint:
                trainer._load_best_model()  # noqa: SLF001 (there is no other way)
        finally:
            self.training = False
            self.progress.close()
            self._record_data()
        self.save_model()  # first, so that no evaluator can lose it
        self.measure("after")
        if self.config.logging.push_to_hub:
            address = self.push_to_hub(self._repository, token=self._hub_token)
            logger.info("the model is at %s", address)

    def resumed_from(self, step: int) -> None:
        """Say what a run that resumes from the checkpoint of this step does otherwise."""

    @property
    def _repository(self) -> str:
        logging_settings = self.config.logging
        return logging_settings.hub_model_id or logging_settings.run_name or self.run.path.name

    @property
    def _hub_token(self) -> str | None:
        token = self.config.logging.hub_token
        return None if token is None else token.get_secret_value()

    def _record_data(self) -> None:
        """Write down what became of the rows; for a stream, of those that were reached so far."""
        assert self.data is not None
        record = {"train": [report.as_dict() for report in self.data.reports]}
        if self.config.eval_datasets and self.eval_data is not None:
            record["eval"] = [report.as_dict() for report in self.eval_data.reports]
        too_long = self._too_long()
        self.run.write_json(self.run.data, {**record, "too_long": too_long, **self.about_data()})

    def about_data(self) -> dict[str, Any]:
        """What else there is to write down about the rows."""
        return {}

    def _too_long(self) -> int | None:
        """Rows to train on that were left out for their length; None where nobody can tell.

        Packed rows are no longer the rows that were given.
        """
        if self.config.train.packing or any(data.streams for data in self.config.datasets):
            return None
        assert self.data is not None
        given = sum(
            report.kept - report.held_out if report.drawn is None else report.drawn
            for report in self.data.reports
        )
        kept: Any = self.setup().train_dataset
        return given - len(kept)

    def measure_during(self) -> list[Metric]:
        """What the configured evaluators find in an evaluation of the trainer's; none else.

        It is logged like the trainer's own, which transformers has logged already, so that trackers
        such as TensorBoard show its curves.
        """
        if not self.training:
            return []
        found = self.measure("during")
        trainer = self.setup()
        if found and trainer.is_world_process_zero():
            logs = {f"eval_{metric.name}": metric.value for metric in found}
            trainer.state.log_history.append({**logs, "step": trainer.state.global_step})
            trainer.callback_handler.on_log(trainer.args, trainer.state, trainer.control, logs)
        return found

    def measure(self, when: str) -> list[Metric]:
        """Run the configured evaluators and write down what they found.

        Args:
            when: `"before"`, `"during"` or `"after"` training.
        """
        trainer = self.setup()
        if when != "during":
            self._measure_tasks(when)
        if self.measurements is None or self.eval_data is None:
            return []
        model = trainer.accelerator.unwrap_model(trainer.model)
        found = self.measurements.run(model, self.tokenizer, quality=when != "during")
        write_samples(self.run, trainer.state.global_step, found.samples)
        self.write_metrics(when, found.metrics)
        return list(found.metrics)

    def _measure_tasks(self, when: str = "") -> dict[str, float]:
        """Measure the model on the tasks of the run; write it down if `when` says when that is."""
        model = self.setup().accelerator.unwrap_model(self.setup().model)
        found: dict[str, float] = {}
        for name, metrics in measure_tasks(self.tasks, model, self.tokenizer):
            found |= {f"eval_{metric.name}": metric.value for metric in metrics}
            if when:
                self.write_metrics(when, metrics, f"task {name}")
        return found

    def write_metrics(
        self, when: str, metrics: Sequence[Metric], dataset: str | None = None
    ) -> None:
        """Write down what was measured, by default on the evaluation data, and log it."""
        reports = self.eval_data.reports if self.eval_data is not None else []
        place = {
            "step": self.setup().state.global_step,
            "when": when,
            "dataset": dataset or ", ".join(report.name for report in reports),
        }
        for metric in metrics:
            self.run.append_jsonl(self.run.evaluation, {**place, **metric.as_dict()})
            logger.info("%s training: %s", when, _said(metric))

    def evaluate(self) -> dict[str, float]:
        """The trainer's own evaluation (such as `eval_loss`) and the configured evaluators.

        Without evaluation data it is of the rows that are trained on, and every name begins with
        `train_`: none of these numbers is of rows that were held out.
        """
        trainer = self.setup()
        if self.eval_data is None:
            logger.warning("no evaluation data is set: what is measured is the training data")
            rows: Any = trainer.train_dataset
            seen = _numbers(trainer.evaluate(rows, metric_key_prefix="train"))
            # Trainers put `eval_` before metrics of their own, whatever the prefix.
            bare = {n.removeprefix("train_").removeprefix("eval_"): seen[n] for n in seen}
            return {f"train_{name}": value for name, value in bare.items()} | self._measure_tasks()
        own = _numbers(trainer.evaluate()) | self._measure_tasks()
        if self.measurements is None:
            return own
        model = trainer.accelerator.unwrap_model(trainer.model)
        found = self.measurements.run(model, self.tokenizer, quality=True)
        add_measured(own, found.values("eval_"))
        return own

    def predict(self, prompts: Sequence[Any], **generation: Any) -> list[str]:
        """Complete prompts, in order.

        Args:
            prompts: strings, or lists of chat messages.
            generation: `max_new_tokens`, `temperature` and `top_p`.
        """
        from aligntune_trl.generation import complete

        if isinstance(prompts, str):
            raise ConfigError(f"predict takes a list of prompts, not the one string {prompts!r}")
        trainer = self.setup()
        model = trainer.accelerator.unwrap_model(trainer.model)
        given = {"template_arguments": self.template_arguments, **generation}
        return complete(model, self.tokenizer, prompts, **given)

    @property
    def head(self) -> Head:
        """What the model puts on its last hidden states."""
        return Head()

    @property
    def template_arguments(self) -> dict[str, Any]:
        """Further arguments of the chat template, wherever the model is prompted."""
        return {}

    @property
    def length_limit(self) -> int | None:
        """The most tokens of a row that are kept."""
        limit: int | None = self.config.model.max_seq_length
        return limit

    def rows_seen(self, rows: Dataset) -> list[Seen]:
        """Rows as the trainer would train on them, for `preview`."""
        from aligntune_trl.preview.rows import rows_seen

        return rows_seen(self, rows)

    def preview(self, rows: int = 3, lengths: int = 1000) -> Preview:
        """Rows as read, normalised, rendered and as tokens, before any weight loads."""
        from aligntune_trl.preview.page import make_preview

        with library_bars(shown=False):
            return make_preview(self, rows, lengths)

    def save_model(self, path: str | Path | None = None) -> str:
        """Save model (or adapter) and tokenizer; return the folder."""
        trainer = self.setup()
        target = Path(path) if path is not None else self.run.model
        with library_bars(shown=False):
            trainer.save_model(str(target))
        if self.config.model.peft_enabled and self.head.names:  # an adapter says nothing of them
            (target / LABELS).write_text(json.dumps(self.head.names), encoding="utf-8")
        if self.pissa_start is not None:
            from aligntune_trl.lora.pissa import on_original

            on_original(target, self.pissa_start)
        return str(target)

    def push_to_hub(self, repo_id: str, *, token: str | None = None, private: bool = False) -> str:
        """Upload model and tokenizer to the hub; return the address.

        Raises:
            RunError: if the hub refuses; the token is never part of the message.
        """
        trainer = self.setup()
        model = trainer.accelerator.unwrap_model(trainer.model)
        with library_bars(shown=not self.config.logging.disable_tqdm):
            if self.pissa_start is not None:  # what is in memory is for other weights
                with tempfile.TemporaryDirectory() as folder:
                    self.save_model(folder)
                    return hub.push_folder(folder, repo_id, token=token, private=private)
            return hub.push(model, self.tokenizer, repo_id, token=token, private=private)


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Without those that TRL has no number for, such as the deviation of one reward."""
    return {name: float(value) for name, value in metrics.items() if value is not None}


def _said(metric: Metric) -> str:
    text = f"{metric.name} {metric.value:.4g}"
    if metric.interval is not None:
        low, high = metric.interval
        text += f" ({low:.4g} to {high:.4g})"
    return f"{text}, n = {metric.n}"
