"""`aligntune reward-model`."""

from __future__ import annotations

from pathlib import Path

from aligntune.cli.console import out, print_json, show_log, table
from aligntune.reward_models import train_reward_model

__all__ = ["run"]

_SAID = {
    "spearman": "rank correlation with the scores",
    "length_correlation": "rank correlation with the length",
    "length_correlation_of_scores": "that of the scores with the length",
    "mse": "squared error, in squared deviations",
    "mse_of_mean": "the same of always saying the mean",
}


def run(path: Path, *, further: bool, as_json: bool) -> None:
    """Train a reward model and show what it is worth on texts that were held out."""
    show_log()
    made = train_reward_model(path, trained=further)
    if as_json:
        print_json(made.as_dict())
        return
    shown = table(f"on {made.report['held_out']} texts that were held out", "value")
    for name, said in _SAID.items():
        value = made.report[name]
        shown.add_row(said, "undefined" if value is None else f"{value:.3f}")
    out.print(shown)
    out.print(f"model   {made.path}", highlight=False, soft_wrap=True)
