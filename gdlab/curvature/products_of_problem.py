"""The curvature of a problem's loss on a batch."""

from typing import Any, Literal, get_args

import jax

from gdlab.curvature.products import Matvec, fisher_product, ggn_product, hessian_product
from gdlab.types import Array, Params, Problem

Kind = Literal["hessian", "ggn", "fisher"]


def product_of(problem: Problem, params: Params, batch: Any, kind: Kind = "hessian") -> Matvec:
    """v -> A v for one of a problem's curvature matrices at `params` on `batch` (None where there is no data).

    - "hessian": of `problem.loss`, penalties included (also where the problem has a `gradient` of its own, which need
      not be the gradient of anything).
    - "ggn": of `problem.outputs` and `problem.criterion`; penalties are in neither.
    - "fisher": the empirical Fisher of the losses of single examples, `problem.loss` on batches of one; a penalty is
      then part of each.

    Raises:
        ValueError: another kind; "ggn" of a problem without outputs and criterion; "fisher" without data.
    """
    if kind == "hessian":
        return hessian_product(lambda at: problem.loss(at, batch), params)
    if kind == "ggn":
        outputs, criterion = problem.outputs, problem.criterion
        if outputs is None or criterion is None:
            raise ValueError(
                "the Gauss-Newton matrix is made of a model's outputs and their criterion, and this problem has "
                "neither: give it outputs= and criterion=, or ask for kind='hessian'"
            )
        return ggn_product(lambda at: outputs(at, batch), lambda z: criterion(z, batch), params)
    if kind == "fisher":
        if not jax.tree.leaves(batch):
            raise ValueError(
                "the empirical Fisher needs a batch of examples, and there is none: ask for kind='hessian'"
            )
        ones = jax.tree.map(lambda x: x[:, None], batch)  # n batches of one example

        def losses(at: Params) -> Array:
            return jax.vmap(problem.loss, in_axes=(None, 0))(at, ones)

        return fisher_product(losses, params)
    raise ValueError(f"kind is one of {', '.join(get_args(Kind))}, not {kind!r}")
