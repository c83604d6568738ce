"""Where every configuration field goes, for each algorithm on TRL. Imports neither torch nor TRL.

An algorithm has a module of its own, which makes its table from four things: what core itself uses
(`aligntune.plan.parameters.CORE_USES`), what every trainer takes (`training`), what the backend
does with the model section (`model`), and its own rows. A field that it has no row for, and that
`belongs` knows as another algorithm's, is refused by that name.
"""

from __future__ import annotations

from aligntune_trl.parameters.dpo import DPO, dpo_table
from aligntune_trl.parameters.grpo import GRPO, grpo_table
from aligntune_trl.parameters.model import model_uses
from aligntune_trl.parameters.ppo import PPO, ppo_table
from aligntune_trl.parameters.sft import SFT, sft_table
from aligntune_trl.parameters.training import trainer_uses

__all__ = [
    "DPO",
    "GRPO",
    "PPO",
    "SFT",
    "dpo_table",
    "grpo_table",
    "model_uses",
    "ppo_table",
    "sft_table",
    "trainer_uses",
]
