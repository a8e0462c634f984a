"""Functions of the plane with a saddle point and no minimum."""

import jax.numpy as jnp

from gdlab import register
from gdlab.problems.precision import as_float
from gdlab.problems.surface_2d import surface_2d
from gdlab.types import Array, Problem


@register.problem(
    "saddle", source="Du et al., Gradient Descent Can Take Exponential Time to Escape Saddle Points, 2017"
)
def saddle(start: tuple[float, float] = (1.0, 0.01), spread: float = 0.0) -> Problem:
    """The plain saddle: f = (x^2 - y^2) / 2.

    Unbounded below: no minimum. Gradient descent multiplies x by 1 - lr and y by 1 + lr per step, so from y = 0 it
    converges to the saddle point, and from elsewhere it needs ceil(ln(1 / |y0|) / ln(1 + lr)) steps to |y| >= 1.

    Facts: `saddle_point` (0, 0), `hessian`, `smoothness` 1.

    Source: Du, Jin, Lee, Jordan, Póczos & Singh (2017), for the effect of such points on gradient descent.
    """

    def f(x: Array, y: Array) -> Array:
        return 0.5 * (x**2 - y**2)

    return surface_2d(
        f,
        start,
        spread,
        saddle_point=as_float((0.0, 0.0)),
        hessian=jnp.diag(as_float((1.0, -1.0))),
        smoothness=as_float(1.0),
        domain=((-1.5, 1.5), (-1.5, 1.5)),
    )


@register.problem("monkey_saddle", source="Hilbert & Cohn-Vossen, Anschauliche Geometrie, 1932")
def monkey_saddle(start: tuple[float, float] = (1.0, 0.01), spread: float = 0.0) -> Problem:
    """The monkey saddle: f = x^3 - 3 x y^2.

    Unbounded below: no minimum. Three valleys meet at (0, 0). The gradient and the Hessian vanish there, so
    second-order conditions do not distinguish the point from a minimum.

    Facts: `saddle_point` (0, 0).

    Source: Hilbert & Cohn-Vossen (1932).
    """

    def f(x: Array, y: Array) -> Array:
        return x**3 - 3.0 * x * y**2

    return surface_2d(f, start, spread, saddle_point=as_float((0.0, 0.0)), domain=((-1.5, 1.5), (-1.5, 1.5)))
