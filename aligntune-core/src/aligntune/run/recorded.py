"""Writes down what a run is made of when it starts, and how it ends, whatever happens between."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aligntune.plan import plan_as_dict, save_resolved
from aligntune.run.directory import RunDirectory
from aligntune.run.record import environment, plugin_records
from aligntune.run.report import write_report

if TYPE_CHECKING:
    from aligntune.plan import Plan

__all__ = ["recorded"]

logger = logging.getLogger("aligntune")


@contextmanager
def recorded(run: RunDirectory, plan: Plan) -> Iterator[None]:
    """Record a run: configuration, plan, environment and plugins before; status and report after.

    What is raised inside passes through; the run directory then says how the run ended.
    """
    name = plan.config.logging.run_name or run.path.name
    run.start(name=name, algorithm=plan.algorithm.name, backend=plan.backend.name, why=plan.why)
    save_resolved(plan, run.config)
    run.write_json(run.plan, plan_as_dict(plan))
    run.write_json(run.environment, environment())
    run.write_json(run.plugins, plugin_records(plan.plugins))
    try:
        yield
        plan.plugins.call("aligntune_run_finished", run=run)
    except BaseException as error:
        run.fail(error)
        _report_of_failed(run)
        raise
    run.finish()
    write_report(run)


def _report_of_failed(run: RunDirectory) -> None:
    """The report of a failed run must not hide why the run failed."""
    try:
        write_report(run)
    except Exception:  # the run's own error is being raised, and is the one to see
        logger.exception("the report of the failed run could not be written")
