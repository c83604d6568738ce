"""Environments that hold wheels of this tree, and the way to run what is installed in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment, and the way to run what is installed in it."""

    path: Path

    def pip(self, command: str, *arguments: str | Path) -> None:
        pip = [sys.executable, "-m", "pip", "--python", self.path / "bin" / "python"]
        run(*pip, command, "--quiet", *arguments)

    def aligntune(
        self, *arguments: str | Path, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the installed command, which never answers with a traceback."""
        variables.setdefault("MARK", str(self.path / "imported"))
        command = self.path / "bin" / "aligntune"
        done = run(command, *arguments, cwd=cwd or self.path, variables=variables, check=False)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done

    def fails(self, *arguments: str | Path, **more: Any) -> str:
        """Run a command that must fail as a user's mistake does; returns the error, on one line."""
        done = self.aligntune(*arguments, **more)
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stderr.count("error: ") == 1, done.stderr
        return " ".join(done.stderr.partition("error: ")[2].split())

    def plugins(self, **variables: str) -> dict[str, dict[str, Any]]:
        done = self.aligntune("plugins", "--json", **variables)
        assert done.returncode == 0, done.stderr
        return {plugin["name"]: plugin for plugin in json.loads(done.stdout)}

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        command = (self.path / "bin" / "python", "-c", code)
        return run(*command, cwd=self.path, variables={"MARK": str(self.path / "imported")})


def run(
    *command: str | Path,
    cwd: Path | None = None,
    variables: dict[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command without what this process was told about plugins and where modules are."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("ALIGNTUNE_")
    }
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd, env=inherited | (variables or {}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def environment(path: Path) -> Environment:
    run(sys.executable, "-m", "venv", "--without-pip", path)
    return Environment(path)


def build_wheels(work: Path, sources: Iterable[Path]) -> dict[str, Path]:
    """Build wheels into a folder; returns them by distribution."""
    pip = (sys.executable, "-m", "pip")
    # Installed once and shared: an environment of its own for each of the builds takes a minute.
    backend = work / "hatchling"
    run(*pip, "install", "--quiet", "-c", CONSTRAINTS, "--target", backend, "hatchling")
    built = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", work / "built")
    run(*pip, *built, *sources, variables={"PYTHONPATH": str(backend)})
    return {path.name.split("-")[0].replace("_", "-"): path for path in work.glob("built/*.whl")}


def lending_environment(folder: Path) -> Environment:
    """An environment without anything of AlignTune, and with all else that is installed here.

    Installing torch takes minutes and gigabytes and proves nothing about plugins. A folder of links
    lends everything that is installed but AlignTune, of which the tests' environment holds editable
    installations, so that whatever is found of AlignTune comes from a wheel.
    """
    made = environment(folder / "venv")
    lent = folder / "lent"
    lent.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "aligntune" not in path.name and path.suffix != ".pth":
            (lent / path.name).symlink_to(path)
    (site,) = made.path.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(f"{lent}\n")
    return made
