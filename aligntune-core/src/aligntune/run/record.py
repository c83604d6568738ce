"""What a run was made of: machine, packages, command line, commit, plugins.

Everything is read from metadata and the operating system; nothing heavy is imported for it. Secrets
are redacted, and of the environment variables only those named here are kept.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.redact import redact

if TYPE_CHECKING:
    from aligntune.plugins import Plugins

__all__ = ["environment", "plugin_records"]

_PACKAGES = (
    "accelerate", "bitsandbytes", "datasets", "deepspeed", "flash-attn", "huggingface-hub",
    "jinja2", "liger-kernel", "lm-eval", "math-verify", "numpy", "peft", "plotly", "pluggy",
    "pydantic", "safetensors", "stevedore", "tokenizers", "torch", "transformers", "triton", "trl",
    "unsloth", "unsloth-zoo", "vllm", "xformers",
)  # fmt: skip
_VARIABLES = (
    "ACCELERATE_MIXED_PRECISION", "ALIGNTUNE_DISABLE_PLUGINS", "ALIGNTUNE_PLUGINS",
    "ALIGNTUNE_STRICT_PLUGINS", "CI", "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES",
    "HF_DATASETS_CACHE", "HF_DATASETS_OFFLINE", "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE",
    "HF_HUB_OFFLINE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MKL_NUM_THREADS", "NCCL_DEBUG",
    "NCCL_P2P_DISABLE", "OMP_NUM_THREADS", "PYTHONHASHSEED", "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF", "RANK", "SLURM_JOB_ID", "TOKENIZERS_PARALLELISM",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TRANSFORMERS_OFFLINE", "TRL_EXPERIMENTAL_SILENCE",
    "UNSLOTH_COMPILE_DISABLE", "WORLD_SIZE",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Return what this process runs on, as plain values, with secrets redacted.

    `memory_bytes` and the memory of GPUs are in bytes. `gpus` is None where torch is not imported,
    since only torch can tell.
    """
    return redact(
        {
            "python": {
                "version": platform.python_version(),
                "implementation": platform.python_implementation(),
                "executable": sys.executable,
            },
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpu": {
                "model": _cpu_model(),
                "count": os.cpu_count(),
                "usable": _usable_cpus(),
            },
            "memory_bytes": _memory(),
            "gpus": _gpus(),
            "packages": _packages(),
            "command": shlex.join(redact(sys.argv)),
            "directory": str(Path.cwd()),
            "git": _git(),
            "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        }
    )


def plugin_records(plugins: Plugins) -> list[dict[str, Any]]:
    """Return every installed plugin: version, source, what it provides and what became of it."""
    return redact(
        [
            record.as_dict() | {"source": _source(record.owner.distribution)}
            for record in plugins.records
        ]
    )


def _source(distribution: str) -> str | None:
    """The address of the file, folder or repository that it was installed from, if not an index."""
    try:
        text = importlib.metadata.distribution(distribution).read_text("direct_url.json")
        found = json.loads(text or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    url, vcs = found.get("url"), found.get("vcs_info")
    return f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(
            r"^model name\s*:\s*(.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE
        )
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _usable_cpus() -> int | None:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # the system does not tell
        return None


def _gpus() -> list[dict[str, Any]] | None:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    if not torch.cuda.is_available():
        return []
    cuda = torch.cuda
    return [
        {
            "name": cuda.get_device_name(index),
            "memory_bytes": cuda.get_device_properties(index).total_memory,
            "capability": ".".join(map(str, cuda.get_device_capability(index))),
            "cuda": torch.version.cuda,
        }
        for index in range(cuda.device_count())
    ]


def _packages() -> dict[str, str]:
    """Versions of the packages that decide what a run computes, and of every part of AlignTune."""
    found: dict[str, str] = {}
    # Each is asked for by its name: to read the metadata of all that is installed takes seconds.
    for name in (*_PACKAGES, "aligntune-core"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    for entry_point in importlib.metadata.entry_points(group="aligntune"):
        if entry_point.dist is not None:
            name = re.sub(r"[-_.]+", "-", entry_point.dist.name).lower()
            found.setdefault(name, entry_point.dist.version)
    return dict(sorted(found.items()))


def _git() -> dict[str, Any] | None:
    """Commit of the working directory, and whether it holds changes; None outside a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    commit = _output(git, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _output(git, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "changed": None if changes is None else bool(changes)}


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
