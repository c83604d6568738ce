"""What the tests of the documentation share: an environment in which its commands run literally."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """`pip install` goes into a folder of its own, where the commands after it find it.

    What packages need is there already, as is their build backend, so nothing is downloaded.
    """
    site = tmp_path_factory.mktemp("site")
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(site),
        "PIP_TARGET": str(site),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this 0 as: no isolation
        "PIP_QUIET": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",  # a second thread on so small a model only waits
        "COLUMNS": "100",
        "TERM": "dumb",
    }
