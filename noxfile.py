"""Every job of this repository: `nox -l` lists them, `nox -s NAME` runs one.

All environments install through a constraints file, so that a job means the same thing everywhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "typing", "docs", "tests"]
nox.options.reuse_venv = "yes"
# pip everywhere, also where uv is installed: the two do not read the same configuration.
nox.options.default_venv_backend = "virtualenv"

ROOT = Path(__file__).parent
CONSTRAINTS = "constraints.txt"
CONSTRAINTS_UNSLOTH = "constraints-unsloth.txt"

CORE = "./aligntune-core"
TRL = "./aligntune-trl"
UNSLOTH = "./aligntune-unsloth"
REWARDS = "./aligntune-rewards"
EVAL = "./aligntune-eval"
DISTRIBUTIONS = (CORE, TRL, UNSLOTH, REWARDS, EVAL)
EVERYTHING_BUT_UNSLOTH = (
    f"{CORE}[testing]",
    f"{TRL}[tensorboard]",
    f"{REWARDS}[math]",
    f"{EVAL}[text]",
)
# The same, with the libraries of all rewards.
EVERYTHING_AND_LIBRARIES = (
    *EVERYTHING_BUT_UNSLOTH[:2],
    f"{REWARDS}[all]",
    f"{EVAL}[lm-eval,text]",
)

# Which distributions an environment holds, what its tests need besides, and which folders it runs.
SUITES = {
    "core": (
        (f"{CORE}[testing]",),
        (
            "hypothesis",
            "jsonschema",
            "numpy",
            "pytest-xdist",
            "selenium",
        ),  # selenium opens a report in a browser
        ("tests/core",),
    ),
    # All but core's and Unsloth's: an environment with torch takes a minute to make.
    "trl": (
        EVERYTHING_AND_LIBRARIES,
        # hatchling builds the packages of the documentation, with editables where they are edited;
        # selenium opens the page of an evaluation in a browser.
        ("editables", "hatchling", "hypothesis", "psutil", "pytest-xdist", "selenium", "wandb"),
        (
            *("tests/rewards", "tests/trl", "tests/eval"),
            *("tests/learning", "tests/together", "tests/docs"),
        ),
    ),
    "unsloth": (
        (f"{CORE}[testing]", TRL, UNSLOTH, f"{REWARDS}[math]", EVAL),
        (),
        ("tests/unsloth",),
    ),
}

# Tests are shared between the cores; one that has run out of tests takes over some of the other's.
SHARED = ("-n", "auto", "--dist", "worksteal")

# The combinations that a user may install and that must work without the rest.
COMBINATIONS = (
    ("core",),
    ("core", "rewards"),
    ("core", "eval"),
    ("core", "trl"),
    ("core", "trl", "rewards", "eval"),
    ("core", "unsloth"),
)

suites = nox.parametrize("suite", [nox.param(name, id=name) for name in SUITES])
combinations = nox.parametrize("names", [nox.param(c, id="-".join(c)) for c in COMBINATIONS])


def install(session: nox.Session, *packages: str, editable: tuple[str, ...] = ()) -> None:
    """Install everything a session needs in one call of pip.

    Python compiles what is imported; to compile all of torch takes longer than most sessions.
    """
    editables = [argument for folder in editable for argument in ("-e", folder)]
    session.install("--no-compile", "-c", CONSTRAINTS, *editables, *packages)


def unsloth_environment(session: nox.Session, editable: tuple[str, ...]) -> None:
    """Install the pinned Unsloth environment, and the distributions on top of it.

    Unsloth trains on a CPU from 2026.10.9 on. That version asks for a certifi that registries may
    not carry yet, and for torchvision, which has no build for a CPU build of torch; it works with
    the pinned certifi and without torchvision. Hence the complete list of what it needs, and then
    `--no-deps`.
    """
    session.install("--no-compile", "-r", CONSTRAINTS_UNSLOTH)
    editables = [argument for folder in editable for argument in ("-e", folder)]
    session.install(
        "--no-compile", "--no-deps", "unsloth==2026.10.9", "unsloth_zoo==2026.10.9", *editables
    )


def run_suite(session: nox.Session, suite: str, selection: str, ok: tuple[int, ...] = (0,)) -> None:
    """Run the tests of one suite, or those that the command line names instead."""
    distributions, extra, folders = SUITES[suite]
    if suite == "unsloth":
        unsloth_environment(session, distributions)
    else:
        install(session, *extra, editable=distributions)
    run_tests(session, folders, "-m", selection, ok=ok)


def run_tests(
    session: nox.Session, folders: tuple[str, ...], *options: str, ok: tuple[int, ...] = (0,)
) -> None:
    """Run the tests of some folders, or those that the command line names instead."""
    named = any((ROOT / argument.partition("::")[0]).exists() for argument in session.posargs)
    paths = () if named else folders
    session.run("pytest", *SHARED, *options, *paths, *session.posargs, success_codes=ok)


@nox.session
def quickstart(session: nox.Session) -> None:
    """Train, evaluate and report on a small model: no network, no GPU."""
    install(session, editable=EVERYTHING_BUT_UNSLOTH)
    session.run("aligntune", "quickstart", *session.posargs)


@nox.session
@suites
def tests(session: nox.Session, suite: str) -> None:
    """Run the tests of one distribution in an environment that holds what it may use."""
    run_suite(session, suite, "not slow")


@nox.session
@suites
def tests_slow(session: nox.Session, suite: str) -> None:
    """Run the tests that train for minutes."""
    # pytest ends with 5 where a distribution has no slow test.
    run_suite(session, suite, "slow", ok=(0, 5))


@nox.session
def spec(session: nox.Session) -> None:
    """Run the snippets of ../shared/spec, or of $ALIGNTUNE_SPEC, against a hub on this machine."""
    unsloth_environment(session, SUITES["unsloth"][0])
    run_tests(session, ("tests/spec",))


@nox.session
def learning(session: nox.Session) -> None:
    """Fill docs/learning.md: every algorithm, backend, full and LoRA, three seeds and a control."""
    unsloth_environment(session, SUITES["unsloth"][0])
    session.run("python", "tests/learning/table.py", *session.posargs)


@nox.session
def curves(session: nox.Session) -> None:
    """Draw docs/algorithms/curves: the learning task of each page and its control."""
    install(session, editable=EVERYTHING_BUT_UNSLOTH)
    session.run("python", "tests/learning/curves.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    install(session, "ruff")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types with mypy in strict mode."""
    install(session, "mypy", "types-pyyaml", editable=EVERYTHING_AND_LIBRARIES)
    session.run("mypy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site; a warning is an error."""
    install(session, "furo", "myst-parser", "sphinx", editable=(CORE,))
    session.run(
        "sphinx-build", "--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env",
        "-b", "html", "docs", "docs/_build/html", *session.posargs,
    )  # fmt: skip


@nox.session
def build(session: nox.Session) -> None:
    """Build and check the wheel and the source archive of every distribution, into dist/."""
    install(session, "build", "twine")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for folder in DISTRIBUTIONS:
        session.run("python", "-m", "build", "--outdir", "dist", folder)
    session.run("twine", "check", "--strict", *map(str, sorted((ROOT / "dist").iterdir())))


# The last release of TRL that had PPO, for the benchmark.
TRL_WITH_PPO = "trl==1.12.0"


@nox.session
def bench(session: nox.Session) -> None:
    """Time runs and rewards beside TRL, streams beside datasets.map, evaluation beside lm-eval."""
    install(session, editable=(*EVERYTHING_BUT_UNSLOTH[:-1], f"{EVAL}[lm-eval,text]"))
    old = Path(session.virtualenv.location).with_name("bench-ppo")
    python = str(old / "bin" / "python")
    if not old.exists():
        session.run("python", "-m", "venv", str(old))
        pip = (python, "-m", "pip", "install", "-q")
        needed = ("torch", "transformers", "datasets", "accelerate")
        session.run(*pip, "-c", CONSTRAINTS, *needed, external=True)
        session.run(*pip, "--no-deps", TRL_WITH_PPO, external=True)
    session.run("python", "benchmarks/run.py", "--ppo-python", python, *session.posargs)
    if not session.posargs:
        session.run("python", "benchmarks/stream.py")
        session.run("python", "benchmarks/rewards.py")
        session.run("python", "benchmarks/evaluation.py")


@nox.session(reuse_venv=False)
@combinations
def minimal(session: nox.Session, names: tuple[str, ...]) -> None:
    """Install wheels of some distributions alone, and check what they offer and what they miss."""
    constraints = CONSTRAINTS_UNSLOTH if "unsloth" in names else CONSTRAINTS
    chosen = [f"aligntune-{name}" for name in names]
    session.install("--no-compile", "-c", constraints, "-c", wheels(session), *chosen)
    session.run("python", "-I", "tests/minimal/check.py", *names)
    # The environment serves once; its gigabytes go as soon as it is checked.
    shutil.rmtree(session.virtualenv.location)


def wheels(session: nox.Session) -> str:
    """Build the wheels, once per call of nox; returns a constraints file that points at them.

    As constraints they also answer for siblings that are required but not asked for.
    """
    folder = session.cache_dir / "wheels"
    constraints = folder / "constraints.txt"
    if constraints not in built:
        shutil.rmtree(folder, ignore_errors=True)
        session.run("pip", "wheel", "-q", "--no-deps", "-w", str(folder), *DISTRIBUTIONS)
        lines = [
            f"{path.name.split('-')[0].replace('_', '-')} @ {path.resolve().as_uri()}\n"
            for path in sorted(folder.glob("*.whl"))
        ]
        constraints.write_text("".join(lines))
        built.add(constraints)
    return str(constraints)


built: set[Path] = set()
