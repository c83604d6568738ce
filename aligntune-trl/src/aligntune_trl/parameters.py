"""Where every configuration field goes, for each algorithm on TRL. Imports neither torch nor TRL.

The package of an algorithm makes its table from four things: what core itself uses
(`aligntune.plan.parameters.CORE_USES`), what every trainer takes (`fields.training`), what the
backend does with the model section (`fields.model`), and its own rows. A field that it has no row
for, and that others use, is refused by their names (`fields.belongs`).

The table of an algorithm is an attribute in capitals: `aligntune_trl.parameters:DR_GRPO`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from aligntune.plan.parameters import ParameterTable, Use
from aligntune_trl.classification.parameters import (
    text_classification_table,
    token_classification_table,
)
from aligntune_trl.dapo.parameters import dapo_table
from aligntune_trl.dpo.parameters import dpo_table
from aligntune_trl.dr_grpo.parameters import dr_grpo_table
from aligntune_trl.fields.belongs import told_apart
from aligntune_trl.fields.measured import MEASURED
from aligntune_trl.fields.model import model_uses
from aligntune_trl.fields.training import trainer_uses
from aligntune_trl.grpo.parameters import grpo_table
from aligntune_trl.gspo.parameters import gspo_table
from aligntune_trl.kto.parameters import kto_table
from aligntune_trl.meta_es.parameters import meta_es_table
from aligntune_trl.neural_mirror_grpo.parameters import neural_mirror_grpo_table
from aligntune_trl.online_dpo.parameters import online_dpo_table
from aligntune_trl.ppo.parameters import ppo_table
from aligntune_trl.preferences.without_reference import orpo_table, simpo_table
from aligntune_trl.reward_modeling.parameters import reward_modeling_table
from aligntune_trl.rloo.parameters import rloo_table
from aligntune_trl.sft.parameters import sft_table

__all__ = ["TABLES", "model_uses", "sft_table", "tables", "trainer_uses"]

# Algorithm -> its table, given the rows of the model section.
TABLES: Mapping[str, Callable[[dict[str, Use]], ParameterTable]] = {
    "sft": sft_table,
    "text_classification": text_classification_table,
    "token_classification": token_classification_table,
    "dpo": dpo_table,
    "kto": kto_table,
    "orpo": orpo_table,
    "simpo": simpo_table,
    "online_dpo": online_dpo_table,
    "grpo": grpo_table,
    "gspo": gspo_table,
    "dr_grpo": dr_grpo_table,
    "rloo": rloo_table,
    "dapo": dapo_table,
    "neural_mirror_grpo": neural_mirror_grpo_table,
    "ppo": ppo_table,
    "meta_es": meta_es_table,
    "reward_modeling": reward_modeling_table,
}


def tables(model: Callable[[], dict[str, Use]]) -> dict[str, ParameterTable]:
    """The tables of all algorithms on a backend, by name.

    Args:
        model: makes the rows of the model section for that backend.
    """
    made = {name: replace(make(model()), measures=MEASURED[name]) for name, make in TABLES.items()}
    return told_apart(made)


@cache
def _on_trl() -> dict[str, ParameterTable]:
    return tables(lambda: model_uses("AutoModelForCausalLM.from_pretrained"))


def __getattr__(name: str) -> ParameterTable:
    found = _on_trl().get(name.lower()) if name.isupper() else None
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
