"""Leaves no trace: an evaluation in the middle of training must not change the training.

Libraries that are not imported yet have no state that training could depend on, so they are looked
up among the imported modules and never imported here.
"""

from __future__ import annotations

import random
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["undisturbed"]


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Put `model` into evaluation mode; afterwards restore its mode and every global generator.

    The mode is kept per module: a frozen part that was in evaluation mode stays there. The global
    generators are those of Python, numpy and torch, on the CPU and on each accelerator in use.
    `model` may be None, for evaluators that need none.
    """
    with ExitStack() as stack:
        for restore in (_python(), *_numpy(), *_torch()):
            stack.callback(restore)
        if model is not None:
            modes = [(module, module.training) for module in model.modules()]
            stack.callback(_restore_modes, modes)
            model.eval()
        yield


def _restore_modes(modes: list[tuple[Any, bool]]) -> None:
    for module, training in modes:
        module.training = training


def _python() -> Callable[[], None]:
    state = random.getstate()
    return lambda: random.setstate(state)


def _numpy() -> Iterator[Callable[[], None]]:
    if (numpy := sys.modules.get("numpy")) is not None:
        state = numpy.random.get_state()
        yield lambda: numpy.random.set_state(state)


def _torch() -> Iterator[Callable[[], None]]:
    if (torch := sys.modules.get("torch")) is None:
        return
    cpu = torch.get_rng_state()
    yield lambda: torch.set_rng_state(cpu)
    if torch.cuda.is_initialized():
        cuda = torch.cuda.get_rng_state_all()
        yield lambda: torch.cuda.set_rng_state_all(cuda)
    if torch.backends.mps.is_available():
        mps = torch.mps.get_rng_state()
        yield lambda: torch.mps.set_rng_state(mps)
