"""A model of the hub is known by its commit: another commit is another model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from aligntune.testing import Hub

if TYPE_CHECKING:
    from pathlib import Path

# A process of its own, because clients of the hub read where it is when they are imported.
SCRIPT = """\
import json, sys
from pathlib import Path
from aligntune_eval import EvalTask, evaluate_models

def state():
    task = EvalTask(name="t", dataset=[{"text": "Some text."}], metrics=["perplexity"])
    (result,) = evaluate_models(["ada/tiny"], [task], output_dir="out", page=False)
    return result.state

states = [state(), state()]
config = Path(sys.argv[1]) / "config.json"
config.write_text(config.read_text() + " ")
print(json.dumps([*states, state()]))
"""


def test_another_commit_is_measured_again(model_folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models" / "ada" / "tiny"
    shutil.copytree(model_folder, repository)
    with Hub(tmp_path / "hub") as hub:
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(repository)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | hub.environment(tmp_path / "cache"),
        )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["measured", "read", "measured"]
