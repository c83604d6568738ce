"""Throw-away distributions (real metadata and modules on `sys.path`), and a real browser."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from browsing import chromium

from aligntune import plugins as process_plugins
from aligntune.plugins import Plugins, Switches

if TYPE_CHECKING:
    from selenium import webdriver

MakeDist = Callable[..., Path]
Discover = Callable[..., Plugins]

_VARIABLES = ("ALIGNTUNE_PLUGINS", "ALIGNTUNE_DISABLE_PLUGINS", "ALIGNTUNE_STRICT_PLUGINS")


def write_dist(
    site: Path,
    name: str,
    source: str,
    *,
    version: str = "1.0",
    requires: str = "aligntune-core>=0.1,<0.2",
    entry: str | None = None,
    module: str | None = None,
) -> Path:
    """Install a distribution as pip would: `name-1.0.dist-info` and a module, into a folder.

    `source` is that of the module that the entry point names, where `hookimpl` is imported already.
    The entry point is called as the distribution, unless `entry` says otherwise.
    """
    plain = name.replace("-", "_")
    module = module or f"{plain}_manifest"
    info = site / f"{plain}-{version}.dist-info"
    info.mkdir(parents=True)
    required = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}"
    )
    (info / "entry_points.txt").write_text(f"[aligntune]\n{entry or name} = {module}\n")
    head = "from aligntune.hookspecs import hookimpl\n"
    (site / f"{module}.py").write_text(head + dedent(source))
    return site


@pytest.fixture(autouse=True)
def _no_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def _plugins_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes the plugins of its process is forgotten after it."""
    monkeypatch.setattr(process_plugins, "_current", process_plugins._current)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder at the front of `sys.path`; what was imported from it is forgotten."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def make_dist(site: Path) -> MakeDist:
    """`make_dist(name, source, **more)` installs a distribution that the next discovery finds."""

    def make(name: str, source: str, **more: str) -> Path:
        write_dist(more.pop("into", site), name, source, **more)  # type: ignore[arg-type]
        importlib.invalidate_caches()
        return site

    return make


@pytest.fixture
def discover() -> Discover:
    """`discover(*names, **switches)`: the plugins of this process, of these names alone."""

    def found(*only: str, **switches: object) -> Plugins:
        return Plugins(Switches.make(only=only, **switches))  # type: ignore[arg-type]

    return found


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """The process has no plugins, whatever is installed in this environment."""
    empty = Plugins(Switches.make(only=[]))
    monkeypatch.setattr(process_plugins, "_current", empty)
    return empty


@pytest.fixture
def toy(site: Path, discover: Discover, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """The process has the one plugin `toy`, whatever is installed in this environment."""
    source = (Path(__file__).parent / "toy.py").read_text()
    write_dist(site, "toy", "", module="toy")
    (site / "toy.py").write_text(source)
    importlib.invalidate_caches()
    found = discover("toy")
    monkeypatch.setattr(process_plugins, "_current", found)
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@dataclass
class Answer:
    """What a command left behind; white space is folded, because tables wrap."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join(self.out.split())

    @property
    def wrong(self) -> str:
        assert self.code == 2
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert "Traceback" not in self.err
        return self.err


Run = Callable[..., Answer]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(*arguments)` runs the command line in a fresh working directory."""
    from aligntune.cli.main import app, main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["aligntune", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Answer(0 if code is None else int(code), *capsys.readouterr())

    return call
