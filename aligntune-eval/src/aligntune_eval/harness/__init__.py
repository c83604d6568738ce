"""Tasks of lm-eval, run by lm-eval's own evaluator on a model that is loaded here.

The numbers are lm-eval's; only their form changes, so that they stand in one report with ours.
"""

from __future__ import annotations

from aligntune_eval.harness.prepare import PreparedHarness, harness_task

__all__ = ["PreparedHarness", "harness_task"]
