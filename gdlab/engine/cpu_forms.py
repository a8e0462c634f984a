"""Which operations the engine computes in another form on a CPU."""

from collections.abc import Callable
from typing import Any

from gdlab.engine import convolutions, pooling
from gdlab.engine.rewriting import rewritten


def faster(eqn: Any) -> Callable[..., Any] | None:
    """The function that computes an equation of a jaxpr faster on a CPU; None if it stays as it is."""
    return convolutions.faster(eqn) or pooling.faster(eqn)


def on_platform(platform: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function with faster forms of its operations on a CPU; on another platform the function itself."""
    return rewritten(fn, faster) if platform == "cpu" else fn
