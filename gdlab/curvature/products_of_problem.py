"""Curvature matrices of a Problem on a batch."""

from typing import Any, Literal, get_args

import jax

from gdlab.curvature.products import Matvec, fisher_product, ggn_product, hessian_product
from gdlab.types import Array, Params, Problem

Kind = Literal["hessian", "ggn", "fisher"]


def product_of(problem: Problem, params: Params, batch: Any, kind: Kind = "hessian") -> Matvec:
    """v -> A v for a curvature matrix of a problem at `params` on `batch` (None if the problem has no data).

    - "hessian": of `problem.loss`, penalties included (also if the problem has a custom `gradient`, which need not be
      the gradient of a function).
    - "ggn": of `problem.outputs` and `problem.criterion`, without penalties.
    - "fisher": the empirical Fisher of `problem.loss` on single examples, penalties included in each.

    Raises:
        ValueError: an unknown kind; "ggn" of a problem without outputs and criterion; "fisher" without data.
    """
    if kind == "hessian":
        return hessian_product(lambda at: problem.loss(at, batch), params)
    if kind == "ggn":
        outputs, criterion = problem.outputs, problem.criterion
        if outputs is None or criterion is None:
            raise ValueError("kind='ggn' needs a Problem with outputs and criterion: set both, or use kind='hessian'")
        return ggn_product(lambda at: outputs(at, batch), lambda z: criterion(z, batch), params)
    if kind == "fisher":
        if not jax.tree.leaves(batch):
            raise ValueError("kind='fisher' needs a batch of examples, and there is none: use kind='hessian'")
        ones = jax.tree.map(lambda x: x[:, None], batch)  # n batches of one example

        def losses(at: Params) -> Array:
            return jax.vmap(problem.loss, in_axes=(None, 0))(at, ones)

        return fisher_product(losses, params)
    raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, not {kind!r}")
