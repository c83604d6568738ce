"""What trainers measure by themselves whenever they evaluate, and of which more is better.

A run chooses its best checkpoint by any of these, or by a metric of its evaluators. Names are
patterns, the first that fits counts; None is for what is neither good nor bad by itself, such as
an entropy. `tests/trl/test_matrix.py` compares them with what each trainer gives.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MEASURED"]

Measures = Mapping[str, bool | None]

_ALL: Measures = {
    "loss": False,
    "aux_loss": False,
    "runtime": None,
    "samples_per_second": None,
    "steps_per_second": None,
    "model_preparation_time": None,
    "num_tokens": None,
}
_LANGUAGE: Measures = {"mean_token_accuracy": True, "entropy": None}
_LABELS: Measures = {"accuracy": True, "macro_f1": True}
_PREFERENCES: Measures = {
    "rewards/accuracies": True,
    "rewards/margins": True,
    "rewards/chosen": True,
    "rewards/rejected": False,
    "logps/*": None,
    "logits/*": None,
}
_PAIRS: Measures = {"dpo_*_accuracy": True, "dpo_*_margin": True, "dpo_*_reward": True}
_ROLLOUTS: Measures = {
    "reward": True,
    "reward_std": None,
    "rewards/*/mean": True,
    "rewards/*/std": None,
    "frac_*": None,
    "completions/*": None,
    "kl": None,
    "kl_of_completion": None,
    "entropy": None,
}
_GROUPS: Measures = {
    **_ROLLOUTS,
    "entropy_coef": None,
    "clip_ratio": None,
    "clip_ratio/*": None,
    "cispo_clip_ratio": None,
    "vespo/*": None,
    "sampling/*": None,
    "tools/*": None,
    "policy_loss": False,
}
_MIRROR: Measures = {**_GROUPS, "divergence": None, "mirror_loss": False}
_PPO: Measures = {
    **_ROLLOUTS,
    "kl_coef": None,
    "approx_kl": None,
    "clip_ratio": None,
    "policy_loss": False,
    "value_loss": False,
    "value_clip_ratio": None,
    "explained_variance": True,
    "advantages": None,
    "returns": None,
    "values": None,
}
_SCORES: Measures = {
    "accuracy": True,
    "margin": True,
    "mean_reward": None,
    "min_reward": None,
    "max_reward": None,
}
_BY_ALGORITHM: Mapping[str, Measures] = {
    "sft": {**_LANGUAGE, "empty_batches": None},
    "text_classification": _LABELS,
    "token_classification": {**_LABELS, "entity_f1": True},
    "dpo": {**_LANGUAGE, **_PREFERENCES, **_PAIRS},
    "kto": {**_LANGUAGE, **_PREFERENCES, "kl": None},
    "orpo": {**_LANGUAGE, **_PREFERENCES, **_PAIRS, "nll_loss": False, "log_odds_*": None},
    "simpo": {**_LANGUAGE, **_PREFERENCES, **_PAIRS, "nll_loss": False},
    "online_dpo": {**_ROLLOUTS, **_PREFERENCES},
    "grpo": _GROUPS,
    "gspo": _GROUPS,
    "dr_grpo": _GROUPS,
    "rloo": {**_GROUPS, "frac_equal_rewards": None},
    "dapo": _GROUPS,
    "neural_mirror_grpo": _MIRROR,
    "meta_es": _MIRROR,
    "ppo": _PPO,
    "reward_modeling": _SCORES,
}
MEASURED: Mapping[str, Measures] = {name: {**_ALL, **own} for name, own in _BY_ALGORITHM.items()}
"""Algorithm -> names of metrics, without `eval_`, to whether more of each is better."""
