"""What an environment with only some of the distributions offers, and how it names the others.

`nox -s minimal` runs it as `python check.py core trl ...`, naming the installed distributions. It
uses the standard library alone, because the environment holds nothing but what is being checked.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIRES = {"unsloth": {"trl"}}  # an installed distribution brings these along
NO_TORCH = ({"core"}, {"core", "rewards"})

# What each distribution registers; it may register more.
PROVIDES = {
    "trl": {"backend": {"trl"}, "algorithm": {"sft", "grpo"}},
    "unsloth": {"backend": {"unsloth"}},
    "rewards": {"reward": {"accuracy", "math_accuracy", "length", "structure"}},
    "eval": {"evaluator": {"perplexity", "accuracy"}},
}

SFT = {"model_name": "model", "dataset_name": "rows.jsonl", "output_dir": "run", "max_steps": 1}
GRPO = SFT | {"algorithm": "grpo", "rewards": [{"type": "accuracy"}]}
FILES = {
    "sft.yaml": SFT,
    "unsloth.yaml": SFT | {"backend": "unsloth"},
    "grpo.yaml": GRPO,
}
ROWS = [{"prompt": "2+2=", "completion": "4", "answer": "4"}] * 8
MODEL = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}

# A command and the distributions it needs. An absent one is named with the command that brings it.
COMMANDS = {
    ("validate", "sft.yaml"): {"trl"},
    ("validate", "unsloth.yaml"): {"unsloth"},
    ("validate", "grpo.yaml"): {"trl", "rewards"},
    ("eval", "model", "rows.jsonl"): {"eval"},
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `aligntune` of this environment; whatever happens, a user never sees a traceback."""
    command = Path(sys.executable).with_name("aligntune")
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stdout + done.stderr, shown(arguments, done)
    return done


def shown(arguments: tuple[str, ...], done: subprocess.CompletedProcess[str]) -> str:
    return f"aligntune {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"


def check_plugins(present: set[str]) -> None:
    """Exactly the installed distributions are listed, loaded, and bring what they promise."""
    done = run("plugins", "--json")
    assert done.returncode == 0, shown(("plugins",), done)
    listed = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}
    assert set(listed) == present - {"core"}, shown(("plugins",), done)
    for name, plugin in listed.items():
        assert plugin["distribution"] == f"aligntune-{name}", plugin
        assert plugin["version"], plugin
        assert plugin["status"] == "loaded", plugin
        for kind, names in PROVIDES[name].items():
            assert names <= set(plugin["provides"][kind]), (kind, plugin)


def check_absent(present: set[str]) -> None:
    """A command that needs something absent ends with 2 and says which command brings it."""
    for arguments, needs in COMMANDS.items():
        if absent := needs - present:
            done = run(*arguments)
            assert done.returncode == 2, shown(arguments, done)
            # Help text may be wrapped to the width of a terminal.
            message = " ".join(done.stderr.split())
            for name in absent:
                assert f"pip install aligntune-{name}" in message, shown(arguments, done)
        elif arguments[0] == "validate" and "unsloth.yaml" not in arguments:
            done = run(*arguments)
            assert done.returncode == 0, shown(arguments, done)


def main(installed: set[str]) -> None:
    present = installed.union(*(REQUIRES.get(name, set()) for name in installed))
    if installed in NO_TORCH:
        assert importlib.util.find_spec("torch") is None, "torch is installed"
    for name, values in FILES.items():
        Path(name).write_text(json.dumps(values))  # JSON is YAML
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    Path("model").mkdir()
    Path("model/config.json").write_text(json.dumps(MODEL))
    check_plugins(present)
    check_absent(present)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main(set(sys.argv[1:]))
    print(f"{' + '.join(sys.argv[1:])}: as expected")
