"""What a run leaves behind: one directory, and the report that is made from it.

`RunDirectory` knows the files; `write_report` reads them and nothing else, so a report can be made
again at any time, of a run that failed as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligntune.run.directory import RunDirectory
    from aligntune.run.report import write_report

__all__ = ["RunDirectory", "write_report"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line asks for neither most of the time.
    if name == "RunDirectory":
        from aligntune.run.directory import RunDirectory

        return RunDirectory
    if name == "write_report":
        from aligntune.run.report import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
