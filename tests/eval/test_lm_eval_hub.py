"""Standard tasks of lm-eval, by name, with data from a hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from aligntune.testing import Hub, write_jsonl

SCRIPT = """
import json, sys
from aligntune_eval.harness import harness_task
from aligntune_eval.models.load import load_model
import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from aligntune_eval.harness.library import task_folder

loaded = load_model(sys.argv[1], device="cpu")
tag = harness_task("lm_eval:ai2_arc", num_fewshot=2, max_samples=5)
ours = tag.run(loaded.model, loaded.tokenizer)
manager = TaskManager(include_path=str(task_folder() / "arc"), include_defaults=False)
asked = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=16)
theirs = lm_eval.simple_evaluate(
    asked, tasks=["ai2_arc"], task_manager=manager, num_fewshot=2, limit=5
)
processed = harness_task("lm_eval:hellaswag").run(loaded.model, loaded.tokenizer)
print(json.dumps({
    "ours": {m.name: [m.value, m.stderr] for m in ours.metrics},
    "theirs": {
        f"{task}.{name}": [found[name + ",none"], found[name + "_stderr,none"]]
        for task, found in theirs["results"].items() for name in ("acc", "acc_norm")
    },
    "prompt": ours.samples[0]["prompt"],
    "available": tag.available,
    "processed": [processed.metric("acc_norm").n, processed.samples[0]["prompt"]],
}))
"""


def write_hub(folder: Path) -> None:
    arc = folder / "datasets" / "allenai" / "ai2_arc"
    splits = ("train", "validation", "test")
    subsets = ("ARC-Easy", "ARC-Challenge")
    card = "---\nconfigs:\n"
    for subset in subsets:
        card += f"- config_name: {subset}\n  data_files:\n"
        for split in splits:
            rows = [
                {
                    "question": f"{split}: what is {n} + {len(subset)}?",
                    "choices": {
                        "text": [str(n + len(subset)), str(n), str(n + 11)],
                        "label": ["A", "B", "C"],
                    },
                    "answerKey": "ABC"[n % 3],
                }
                for n in range(9)
            ]
            write_jsonl(arc / subset / f"{split}.jsonl", rows)
            card += f"  - split: {split}\n    path: {subset}/{split}.jsonl\n"
    (arc / "README.md").write_text(card + "---\n")
    rows = [
        {
            "activity_label": "Counting",
            "ctx_a": "A child counts.",
            "ctx_b": "she",
            "endings": [f"says {n}.", "sleeps.", "[title] runs.", "counts on."],
            "label": str(n % 4),
        }
        for n in range(6)
    ]
    for split in ("train", "validation"):
        write_jsonl(folder / "datasets" / "Rowan" / "hellaswag" / f"{split}.jsonl", rows)


def test_standard_tasks_have_the_numbers_of_lm_eval(tmp_path: Path, model_folder: Path) -> None:
    write_hub(tmp_path / "hub")
    (tmp_path / "script.py").write_text(SCRIPT)
    with Hub(tmp_path / "hub") as hub:
        done = subprocess.run(
            [sys.executable, "script.py", str(model_folder)],
            cwd=tmp_path,
            env=os.environ | hub.environment(tmp_path / "cache"),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["ours"] == said["theirs"]
    assert len(said["ours"]) == 4
    assert said["available"] == 18
    assert said["prompt"].count("Answer:") == 3
    # The task's own code, which comes with lm-eval, has put the parts together.
    assert said["processed"] == [6, "Counting: A child counts. She"]
