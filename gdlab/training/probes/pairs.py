"""Convert both forms of a probe to a pair (init, measure)."""

from collections.abc import Callable
from typing import Any

from gdlab.types import Probe


def as_pair(probe: Probe) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`(init, measure)` of a probe; a plain function has an empty carry."""
    if isinstance(probe, tuple):
        return probe
    return (lambda problem, params: ()), (lambda carry, step: (carry, probe(step)))
