"""Unsloth patches TRL, transformers and peft on import, so it comes first of all."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", tempfile.mkdtemp(prefix="unsloth-"))

import unsloth  # noqa: F401
