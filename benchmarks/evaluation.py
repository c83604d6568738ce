"""Evaluation beside lm-eval: the same generation task, model, batch size and stop texts.

    python benchmarks/evaluation.py [--rounds 4] [--rows 64]

Both read the rows from a file, complete their prompts greedily with one model object, and compare
the completions with the references; they take turns. In the first task nothing stops a completion
before its last token; in the second a stop text ends most completions early, each at another place.
That both complete every prompt with the same text is checked first.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"

import torch
import yaml
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from run import table
from transformers import Qwen3Config, Qwen3ForCausalLM

from aligntune import plugins
from aligntune.evaluation import EvalTask, Evaluation
from aligntune.testing import make_tokenizer, write_jsonl
from aligntune_eval.tasks import prepare_task

BATCH = 16
TOKENS = 48


@dataclass
class Case:
    """A task as lm-eval's YAML and as ours, over one model."""

    name: str
    folder: Path
    rows: int
    model: Any
    tokenizer: Any
    stop: tuple[str, ...]

    def __post_init__(self) -> None:
        self.file = self.folder / f"{self.name}.jsonl"
        draw = random.Random(0)
        letters = [token for token in self.tokenizer.get_vocab() if len(token) == 1]
        texts = ["".join(draw.choices(letters, k=draw.randint(8, 60))) for _ in range(self.rows)]
        write_jsonl(self.file, [{"prompt": text, "answer": "1"} for text in texts])
        task = {
            "task": self.name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": str(self.file)},
            "test_split": "train",
            "output_type": "generate_until",
            "doc_to_text": "{{prompt}}",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {
                "until": list(self.stop), "max_gen_toks": TOKENS, "do_sample": False,
            },
            "metric_list": [
                {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
            ],
        }  # fmt: skip
        (self.folder / f"{self.name}.yaml").write_text(yaml.safe_dump(task))
        self.manager = TaskManager(include_path=str(self.folder), include_defaults=False)
        self.lm = HFLM(pretrained=self.model, tokenizer=self.tokenizer, batch_size=BATCH)
        self.task = EvalTask(
            name=self.name,
            dataset=str(self.file),
            metrics=("exact_match",),
            max_new_tokens=TOKENS,
            stop=self.stop,
        )

    def lm_eval(self) -> dict[str, Any]:
        found: dict[str, Any] = simple_evaluate(
            model=self.lm, tasks=[self.name], task_manager=self.manager, verbosity="ERROR"
        )
        return found

    def aligntune(self) -> Evaluation:
        prepared = prepare_task(self.task, plugins.get(), batch_size=BATCH)
        return prepared.run(self.model, self.tokenizer)

    def check(self) -> float:
        """See that both complete all prompts alike; the mean length of a completion."""
        theirs = {each["doc"]["prompt"]: each for each in self.lm_eval()["samples"][self.name]}
        ours = self.aligntune()
        for sample in ours.samples:
            (said,) = theirs[sample["prompt"]]["resps"][0]
            if said != sample["completion"]:
                raise SystemExit(f"{self.name}: {said!r} is not {sample['completion']!r}")
        return statistics.mean(len(sample["completion"]) for sample in ours.samples)


def model_of(tokenizer: Any, hidden: int) -> Any:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=3 * hidden,
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=hidden // 4,
        max_position_embeddings=256, initializer_range=0.2, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return Qwen3ForCausalLM(config).eval()


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of the processor, which a busy machine changes little."""
    begun = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=128)
    given = parser.parse_args()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    tokenizer = make_tokenizer()
    model = model_of(tokenizer, given.hidden)
    lines = []
    with tempfile.TemporaryDirectory() as name:
        for what, stop in (("nothing stops", ("never",)), ("a text stops", ("1", "e", "="))):
            folder = Path(name) / what.replace(" ", "_")
            folder.mkdir()
            case = Case(what.replace(" ", "_"), folder, given.rows, model, tokenizer, stop)
            length = case.check()
            pairs = [(seconds(case.lm_eval), seconds(case.aligntune)) for _ in range(given.rounds)]
            clock, processor = ([(theirs[i], ours[i]) for theirs, ours in pairs] for i in range(2))
            speeds = [given.rows / statistics.median(side) for side in zip(*clock, strict=True)]
            lines.append(
                [what, f"{length:.0f}", f"{speeds[0]:.1f}", f"{speeds[1]:.1f}",
                 *(spread([theirs / ours for theirs, ours in side]) for side in (clock, processor))]
            )  # fmt: skip
    print(f"rows per second, median of {given.rounds} turns of {given.rows} rows\n")
    header = ["task", "characters", "lm-eval", "AlignTune", "ratio", "ratio of CPU seconds"]
    table(header, lines)


if __name__ == "__main__":
    main()
