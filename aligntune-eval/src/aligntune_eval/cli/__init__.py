"""`aligntune eval`: measure saved models, compare evaluations, and list what can be measured."""

from __future__ import annotations

from aligntune_eval.cli.command import eval_command
from aligntune_eval.cli.wanted import parse_evaluators

__all__ = ["eval_command", "parse_evaluators"]
