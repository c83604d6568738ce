"""What the tests of the documentation share: an environment in which its commands run literally."""

from __future__ import annotations

import pytest
from snippets import environment_for


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment_for(tmp_path_factory.mktemp("site"))
