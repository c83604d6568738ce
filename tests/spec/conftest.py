"""The hub that the snippets of the pages use instead of the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from stand_ins import GATED, MOVED, make_hub

from aligntune.testing import Hub

# The user whose name stands in the pages, with the token that stands there.
USER, TOKEN = "username", "hf_..."
SECONDS = 300

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    make_hub(folder)
    gated = {name: {USER} for name in GATED}
    with Hub(folder, tokens={TOKEN: USER}, gated=gated, moved=MOVED) as hub:
        yield hub


@pytest.fixture(scope="session")
def environment(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Variables under which the snippets run: the hub, its user, and a run of a few steps."""
    return {
        **os.environ,
        **hub.environment(tmp_path_factory.mktemp("cache")),
        "HF_TOKEN": TOKEN,
        "ALIGNTUNE_MAX_STEPS": "1",
        "WANDB_MODE": "offline",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        "TERM": "dumb",
    }


@pytest.fixture
def run(environment: Mapping[str, str], tmp_path: Path) -> Run:
    """`run(*command)`: what a command did in an empty folder of its own."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, cwd=tmp_path, env=environment, check=False, text=True, timeout=SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return command
