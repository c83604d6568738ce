"""Hostile programs drawn from the families of attacks: none escapes, hangs or leaves anything."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from hostile import World, generate, processes_below

from aligntune_rewards.sandbox import Call, Limits, Sandbox

# A program that only stalls costs this long; nothing else needs as much.
LIMITS = Limits(seconds=0.25, memory_mb=256, processes=16)
HUNG = 10.0


def attack(seed: int, sandbox: Sandbox, world: World) -> list[str]:
    """Run one program in one of the three ways; what went wrong."""
    text, _ = generate(seed, world)
    text = f"def f(x=None): return x\n{text}"
    started = time.monotonic()
    problems = []
    if seed % 4 == 0:
        checks = sandbox.check(text, [f"assert f(1) == {world.answer!r}"], ["f"])
        result = checks.program
        if checks.passed:
            problems.append("it has passed a test whose answer it cannot know")
    elif seed % 4 == 1:
        calls = sandbox.call(text, [Call("f", (1,)), Call("f", (2,))])
        result = calls.program
        if len(calls.returned) != 2:
            problems.append(f"{len(calls.returned)} answers to 2 calls")
    else:
        result = sandbox.run(text)
    problems += world.evidence(result.stdout + result.stderr)
    if time.monotonic() - started > HUNG:
        problems.append(f"it took {time.monotonic() - started:.1f} seconds")
    return [f"seed {seed}: {problem}" for problem in problems]


def attack_all(count: int) -> None:
    before = processes_below()
    with World() as world, Sandbox(LIMITS, workers=2) as sandbox, ThreadPoolExecutor(2) as threads:
        list(threads.map(sandbox.run, ["import time; time.sleep(0.2)"] * 2))
        time.sleep(0.2)  # the servers make ready for the next job
        servers = processes_below()
        problems = [
            problem
            for found in threads.map(lambda seed: attack(seed, sandbox, world), range(count))
            for problem in found
        ]
        assert problems == []
        time.sleep(0.5)
        assert processes_below(servers) == servers, "a server was replaced, or something is left"
        zombies = [
            process
            for process in psutil.Process().children(recursive=True)
            if process.status() == psutil.STATUS_ZOMBIE
        ]
        assert zombies == []
        assert sandbox.run("import os; print(os.listdir('/tmp'))").stdout == "[]\n"
        assert world.evidence() == []
    assert processes_below(before) == before


def test_no_hostile_program_escapes() -> None:
    attack_all(200)


@pytest.mark.slow
def test_none_of_ten_thousand_hostile_programs_escapes() -> None:
    # Some minutes on two cores; ALIGNTUNE_HOSTILE says how many where that is too long.
    attack_all(int(os.environ.get("ALIGNTUNE_HOSTILE", "10000")))
