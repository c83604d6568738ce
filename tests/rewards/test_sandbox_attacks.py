"""Every attack of the table, cold and warm: none leaves bubblewrap, weaker tiers do as they say.

`docs/rewards/sandbox.md` states the same table; a test compares the two.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hostile import FAMILIES, World, processes_below

from aligntune_rewards.sandbox import Limits, Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "rewards" / "sandbox.md"
# Attack -> the families that carry it out, and how such a program may end in bubblewrap.
ATTACKS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "3,000 forks": (("forks", "fork bomb", "threads"), {"ok", "timeout"}),
    "10 GB of memory": (("memory", "memory of many", "memory without address"), {"ok", "memory"}),
    "endless loop": (
        ("loop", "loop that holds the lock", "loop that ignores signals"),
        {"timeout"},
    ),
    "sleep": (("sleep",), {"timeout"}),
    "writing outside": (("write outside", "read outside", "namespaces"), {"ok"}),
    "connecting": (("connect", "datagram", "strange sockets"), {"ok"}),
    "the parent's environment": (("environment", "trace", "the harness"), {"ok"}),
    "signals to the parent": (
        ("signals", "signals to all", "signals by the side door"),
        {"ok", "killed"},
    ),
    "1 GB to stdout": (("output",), {"output"}),
    "1 GB to disk": (("disk", "files"), {"ok"}),
    "a daemon that outlives the job": (("daemon", "leave behind"), {"ok"}),
    "crashing": (("crash", "calls of the kernel", "descriptors"), {"ok", "killed"}),
}
CASES = [(attack, name) for attack, (names, _) in ATTACKS.items() for name in names]
# What leaves the walls of the weakest tier, as root (who has users to spare) and as anybody else.
LEAVES_RLIMITS = {"writing outside", "connecting", "10 GB of memory", "1 GB to disk"}
LEAVES_RLIMITS_OF_A_USER = {"the parent's environment", "signals to the parent"}
# Attacks that show in a plain process, and do no harm there.
SHOWN = [
    ("forks", "300 forks"), ("write outside", "wrote in"), ("read outside", "read"),
    ("connect", "reached"), ("datagram", ""), ("environment", ""), ("signals", "signalled"),
    ("daemon", "left"),
]  # fmt: skip


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        yield made


@pytest.fixture(scope="module")
def warm() -> Iterator[Sandbox]:
    with Sandbox(Limits(seconds=0.6), workers=1) as made:
        assert made.tier == "bwrap", made.reason
        yield made


# The heaviest of each.
CHOSEN: dict[str, dict[str, object]] = {
    "forks": {"count": 3000, "sleep": 60},
    "threads": {"count": 3000, "sleep": 60},
    "memory of many": {"processes": 16, "size": 300},
    "disk": {"piece": 10_000_000, "files": 50, "folder": "/tmp"},
    "daemon": {"quiet": 1},
}


def program(name: str, world: World, *, harmless: bool = False) -> str:
    text = FAMILIES[name].draw(random.Random(0), **CHOSEN.get(name, {}))
    return world.fill(text, harmless=harmless)


@pytest.mark.parametrize(("attack", "name"), CASES)
def test_no_attack_leaves_bubblewrap(attack: str, name: str, warm: Sandbox, world: World) -> None:
    assert warm.run("print(1)").stdout == "1\n"
    time.sleep(0.1)  # it makes ready for the next job
    before = processes_below()
    # Enough for what would otherwise succeed.
    limits = None if FAMILIES[name].stalls else Limits(seconds=3.0)
    result = warm.run(program(name, world), limits=limits)
    time.sleep(0.4 if name == "daemon" else 0.0)
    assert world.evidence(result.stdout + result.stderr) == []
    if name != "crash":  # on a busy machine, anything may run out of its time
        assert result.outcome in ATTACKS[attack][1] | {"timeout"}
    assert result.seconds < 5.0
    assert processes_below(before) == before, "a process is left, or the server had to be replaced"
    after = warm.run("import os; print(os.listdir('/tmp'), os.listdir('/dev/shm'))")
    assert after.stdout == "[] []\n"


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_leaves_bubblewrap_started_for_it_alone(attack: str, world: World) -> None:
    with Sandbox(Limits(seconds=0.6), workers=1, warm=False) as cold:
        before = processes_below()
        for name in ATTACKS[attack][0]:
            result = cold.run(program(name, world))
            assert world.evidence(result.stdout + result.stderr) == [], name
            assert processes_below(before) == before, name


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_leaves_landlock(attack: str, world: World) -> None:
    tier = "landlock+seccomp+rlimits"
    with Sandbox(Limits(seconds=0.6), workers=1, tier=tier, allow_weak_isolation=True) as sandbox:
        sandbox.run("")
        time.sleep(0.1)
        before = processes_below()
        for name in ATTACKS[attack][0]:
            result = sandbox.run(program(name, world))
            time.sleep(0.4 if name == "daemon" else 0.0)
            assert world.evidence(result.stdout + result.stderr) == [], name
        assert processes_below(before) == before


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_weakest_tier_holds_what_it_says(attack: str, world: World) -> None:
    leaves = LEAVES_RLIMITS | (LEAVES_RLIMITS_OF_A_USER if os.geteuid() != 0 else set())
    with Sandbox(Limits(seconds=0.6), tier="rlimits", allow_weak_isolation=True) as sandbox:
        found = []
        for name in ATTACKS[attack][0]:
            if name == "leave behind":  # without namespaces there is one /tmp for all
                continue
            root = os.geteuid() == 0
            if name == "signals to all" and not root:  # it would end everything of this user
                continue
            result = sandbox.run(program(name, world, harmless=not root))
            time.sleep(0.4 if name == "daemon" else 0.0)
            found += world.evidence(result.stdout + result.stderr)
    assert bool(found) == (attack in leaves), found


@pytest.mark.parametrize(("name", "says"), SHOWN)
def test_the_attack_is_real(name: str, says: str, world: World) -> None:
    """In a plain process it succeeds and leaves evidence; or else the tests above show nothing."""
    fixed = {"count": 300, "sleep": 5} if name == "forks" else {}
    text = FAMILIES[name].draw(random.Random(0), **fixed)
    with subprocess.Popen(
        [sys.executable, "-c", world.fill(text, harmless=True)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=world.folder,
    ) as plain:
        try:
            output = plain.communicate(timeout=5.0)[0]
        except subprocess.TimeoutExpired:  # what it has started holds the pipe
            end_all_with(world.token)
            output = plain.communicate()[0]
    time.sleep(0.5)
    end_all_with(world.token)
    assert says in output
    assert world.evidence(output) != []


def end_all_with(token: str) -> None:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(token in part for part in process.cmdline()):
                process.kill()


def test_the_page_states_the_same_table() -> None:
    table = PAGE.read_text().partition("## What each attack gives")[2].partition("\n## ")[0]
    rows = {
        cells[0].strip(): [cell.strip() for cell in cells[1:]]
        for line in table.splitlines()
        if (cells := re.findall(r"\|([^|]*)", line.rstrip("|")))
    }
    said = {attack: [cell.startswith("**leaves**") for cell in rows[attack]] for attack in ATTACKS}
    assert said == {
        attack: [
            False,
            False,
            attack in LEAVES_RLIMITS,
            attack in LEAVES_RLIMITS | LEAVES_RLIMITS_OF_A_USER,
        ]
        for attack in ATTACKS
    }
