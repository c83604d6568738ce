"""What the tests of the documentation share: an environment in which its commands run literally."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from snippets import environment_for
from warm import start


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of commands that need not import the heavy libraries."""
    with start(tmp_path_factory.mktemp("warm")) as commands:
        yield commands


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory, warm: Path) -> dict[str, str]:
    return environment_for(tmp_path_factory.mktemp("site"), warm)
