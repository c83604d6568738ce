"""LoRA+ (Hayou, Ghosh, Yu 2024, arXiv 2402.12354): a higher learning rate for the matrices B.

The optimizer is the one that the trainer makes, of whatever class and with whatever weight decay;
its groups are taken apart here. As in the authors' code, vectors (biases, DoRA's magnitudes) learn
as fast as B. A schedule multiplies the rate of each group, so that the ratio stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer
    from transformers import Trainer

__all__ = ["learn_faster", "use_loraplus"]


def use_loraplus(trainer: Trainer, ratio: float) -> None:
    """Have the trainer make its optimizer with a learning rate of B that is `ratio` times A's.

    Groups are split where the optimizer is made, before its schedule and its state on a resume.
    """
    make = trainer.create_optimizer

    def create_optimizer(*arguments: Any, **more: Any) -> Optimizer:
        fresh = trainer.optimizer is None
        optimizer: Optimizer = make(*arguments, **more)
        if fresh:
            policy: Any = trainer.model
            learn_faster(optimizer, policy, ratio)
        return optimizer

    trainer.create_optimizer = create_optimizer  # type: ignore[method-assign]


def learn_faster(optimizer: Optimizer, policy: nn.Module, ratio: float) -> None:
    """Move the matrices B and the vectors of a policy into groups of their own.

    Args:
        optimizer: new; what else is in its groups keeps its learning rate.
        policy: a model with LoRA layers.
        ratio: the learning rate of those groups, as a multiple of the rate that they had.
    """
    faster = {
        id(parameter)
        for name, parameter in policy.named_parameters()
        if parameter.requires_grad and (_is_b(name) or parameter.ndim == 1)
    }
    for group in list(optimizer.param_groups):
        moved = [parameter for parameter in group["params"] if id(parameter) in faster]
        if moved:
            group["params"] = [one for one in group["params"] if id(one) not in faster]
            optimizer.add_param_group({**group, "params": moved, "lr": ratio * group["lr"]})


def _is_b(name: str) -> bool:
    return "lora_B" in name or "lora_embedding_B" in name
