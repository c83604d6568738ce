"""Every name of `model.target_modules` is that of a module; peft passes over one that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, Problem, did_you_mean

if TYPE_CHECKING:
    from torch.nn import Module

    from aligntune.config import RunConfig

__all__ = ["no_target", "refuse_missing_targets"]

_FIELD = "model.target_modules"
_HINT = "name modules such as q_proj, or use all-linear, for every linear layer but the head"


def no_target(config: RunConfig) -> ConfigError:
    """The error for names of which none is a module of the model."""
    names = config.model.target_modules
    said = repr(names) if isinstance(names, str) else ", ".join(map(repr, names or []))
    where = config.origins.get(_FIELD, "")
    return ConfigError(Problem(_FIELD, f"the model has no module {said}", where, _HINT))


def refuse_missing_targets(config: RunConfig, model: Module) -> None:
    """Refuse a name that no module of the model has.

    Args:
        config: the configuration; target modules that nobody set may lack some.
        model: the policy with its adapter.

    Raises:
        ConfigError: names the first, and one that is like it.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    names = config.model.target_modules
    if not isinstance(names, list) or "target_modules" not in config.model.model_fields_set:
        return
    policy: Any = model
    if any(adapter.target_parameters for adapter in policy.peft_config.values()):
        return  # names of experts that are one tensor were turned into names of parameters
    modules = dict(model.named_modules())
    found = [name for name, module in modules.items() if isinstance(module, BaseTunerLayer)]
    for name in names:
        if not any(f".{module}".endswith(f".{name}") for module in found):
            known = {module.rpartition(".")[2] for module in modules}
            where = config.origins.get(_FIELD, "")
            message, hint = f"the model has no module {name!r}", did_you_mean(name, known) or _HINT
            if name in known:  # such as the head of a classifier, which trains whole
                message, hint = f"{name!r} takes no LoRA matrices here", "leave it out"
            raise ConfigError(Problem(_FIELD, message, where, hint))
