"""The program that measures code with ruff and radon, in a process of its own.

Requests: `{"codes": […], "folder": …, "select": […], "line_length": …}`, where the folder is empty
and the caller's to remove. Answers: `{"found": […]}` with one of these per code: `{"problems": n,
"complexity": n}` or `{"failed": kind}`; or `{"wrong": …}` with what ruff says of its arguments.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from aligntune.answering import serve
from aligntune_rewards.code.parsing import does_something, parsed

__all__ = ["complexity", "measured"]


def complexity(code: str) -> int:
    """McCabe's complexity of the worst function or class body, or of what stands outside of them.

    What is within another function or class counts for itself.
    """
    from radon.visitors import ComplexityVisitor

    tree = ast.parse(code)
    scopes = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    found = []
    for scope in (tree, *(node for node in ast.walk(tree) if isinstance(node, scopes))):
        visitor = ComplexityVisitor()
        for child in ast.iter_child_nodes(scope):  # decorators and defaults, too
            visitor.visit(child)
        found.append(int(visitor.complexity))
    return max(found)


def measured(codes: list[str], folder: str, select: list[str], line_length: int) -> dict[str, Any]:
    """What ruff and radon say of each code."""
    from ruff import find_ruff_bin

    found: list[dict[str, Any]] = []
    for index, code in enumerate(codes):
        kind = _failure(code)
        if kind is None:
            try:
                found.append({"complexity": complexity(code)})
                Path(folder, f"completion_{index}.py").write_text(code + "\n", encoding="utf-8")
                continue
            except RecursionError:
                kind = "too deep"
        found.append({"failed": kind})
    done = subprocess.run(
        [
            *(find_ruff_bin(), "check", "--isolated", "--no-cache", "--ignore-noqa", "--exit-zero"),
            *("--output-format", "json-lines", "--quiet", "--line-length", str(line_length)),
            *("--target-version", f"py3{min(sys.version_info.minor, 13)}"),
            *("--select", ",".join(select), "."),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode < 0:  # it was ended by a signal: let the caller find out by whose code
        os._exit(1)
    if done.returncode:
        return {"wrong": done.stderr.strip() or f"ruff ended with status {done.returncode}"}
    # `splitlines` would also split at what a line quotes of a program, such as U+2028.
    lines = done.stdout.removesuffix("\n").split("\n") if done.stdout else []
    problems = Counter(Path(json.loads(line)["filename"]).name for line in lines)
    for index, each in enumerate(found):
        if "failed" not in each:
            each["problems"] = problems[f"completion_{index}.py"]
    return {"found": found}


def _failure(code: str) -> str | None:
    tree = parsed(code)
    if tree is None:
        return "syntax error"
    return None if does_something(tree) else "no code"


if __name__ == "__main__":
    serve(lambda request: measured(**request))
