"""A command that is killed goes on when it is given again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aligntune.cli.main import main

# The command itself, killed as `kill -9` kills it once so much has been put on disk.
KILLED = """\
import os, signal, sys
from aligntune_eval.runner.store import FileStore

put, left = FileStore.put, [int(sys.argv.pop(1))]

def counted(store, entries):
    put(store, entries)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

FileStore.put = counted
from aligntune.cli.main import main
main()
"""


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> list[str]:
    monkeypatch.chdir(tmp_path)
    Path("model").symlink_to(model_folder)
    rows = [{"prompt": f"{i}+1=", "completion": str(i + 1), "answer": str(i + 1)} for i in range(9)]
    Path("sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    metrics = ["--metrics", "exact_match,perplexity", "--max-new-tokens", "3", "--batch-size", "2"]
    return ["eval", "model", "--dataset", "sums.jsonl", *metrics, "--temperature", "1", "--json"]


def results(arguments: list[str], folder: str, capsys: pytest.CaptureFixture[str]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["aligntune", *arguments, "--output-dir", folder])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return json.loads(capsys.readouterr().out)["results"][0]


def samples(result: dict[str, Any]) -> str:
    return Path(result["files"][1]).read_text()


def test_a_killed_command_goes_on(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "7", *arguments, "--output-dir", "out"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TQDM_DISABLE": "1"},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in Path("out/model").iterdir()] == ["partial_sums.jsonl"]
    kept = Path("out/model/partial_sums.jsonl").read_text().splitlines()
    assert len(kept) == 1 + 7
    # As a process that was killed while it wrote a line leaves it.
    Path("out/model/partial_sums.jsonl").write_text("\n".join(kept)[:-5])

    whole = results(arguments, "whole", capsys)
    resumed = results(arguments, "out", capsys)
    assert resumed["state"] == "resumed"
    assert resumed["resumed"] == sum(len(json.loads(line)["entries"]) for line in kept[1:-1])
    assert resumed["metrics"] == whole["metrics"]
    assert samples(resumed) == samples(whole)
    assert not Path("out/model/partial_sums.jsonl").exists()
    assert results(arguments, "out", capsys)["state"] == "read"
