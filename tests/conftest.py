"""What holds for every test: no network, no GPU, and under CI no test that quietly did not run."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator

# Set before any test module imports the libraries that read them; child processes inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# Tiny models gain nothing from a second thread, and threads that wait on a busy machine cost a lot.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


def skipped(config: pytest.Config) -> int:
    """How many tests were skipped where a skip is a failure: 0 on a developer's machine."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return 0
    return len(reporter.stats.get("skipped", []))


frozen: set[str] = set()  # the modules whose objects are


def pytest_runtest_setup() -> None:
    """Once libraries have been imported, let the garbage collector leave them alone.

    Each run of a trainer asks for a collection, which looks at a million objects of torch and
    transformers that stay to the end.
    """
    if len(sys.modules) - len(frozen) > 300:
        frozen.update(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _logger_as_before() -> Iterator[None]:
    """What a command does to the log of its process does not reach the tests after it."""
    logger = logging.getLogger("aligntune")
    before = (logger.level, logger.propagate, list(logger.handlers))
    yield
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1], before[2]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if count := skipped(terminalreporter.config):
        terminalreporter.write_line(f"CI is set: {count} skipped, so this run fails.", red=True)
