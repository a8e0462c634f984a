"""The examples on which a probe measures, and the Hessian on them."""

from collections.abc import Callable
from typing import Any, Literal, get_args

from gdlab.curvature import Matvec, hessian_product
from gdlab.types import Array, Params, Step

Data = Literal["batch", "all"]


def examples(step: Step, data: Data) -> Any:
    """The batch of the step, or all data of the problem; None if it has none.

    Raises:
        ValueError: an unknown `data`, or "all" for an endless stream.
    """
    if data not in get_args(Data):
        raise ValueError(f"data must be one of {', '.join(get_args(Data))}, not {data!r}")
    if data == "batch":
        return step.batch
    if step.problem.sample is not None:
        raise ValueError("data='all' needs a problem with data, not an endless stream: use data='batch'")
    return step.problem.data


def hessian(step: Step, data: Data) -> Matvec:
    """v -> H v, H the Hessian of the loss on these examples at the parameters of the step."""
    on = examples(step, data)
    loss: Callable[[Params], Array] = lambda params: step.problem.loss(params, on)
    return hessian_product(loss, step.params)
