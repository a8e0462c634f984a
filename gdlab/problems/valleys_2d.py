"""Functions of the plane with one minimum, at the bottom of a valley."""

import jax.numpy as jnp

from gdlab import register
from gdlab.problems.precision import as_float
from gdlab.problems.surface_2d import surface_2d
from gdlab.types import Array, Problem


@register.problem("quadratic_2d", source="Boyd & Vandenberghe, Convex Optimization, 2004, section 9.3.2")
def quadratic_2d(condition: float = 10.0, start: tuple[float, float] = (10.0, 1.0), spread: float = 0.0) -> Problem:
    """Quadratic bowl of a given condition number: f = 1/2 (x^2 + condition y^2).

    The curvature along x is 1 and along y it is `condition`. The function is not rescaled, so for condition >= 1 the
    smoothness is L = condition and gradient descent is stable for lr < 2 / condition. The minimum is 0, at (0, 0).
    The default start is (condition, 1) for the default condition; from there gradient descent with exact line search
    zigzags and converges most slowly.

    Facts: `hessian`, `smoothness` max(1, condition), `strong_convexity` min(1, condition), `minimum`, `minimisers`;
    for condition > 0.

    Source: Boyd & Vandenberghe (2004), section 9.3.2.
    """

    def f(x: Array, y: Array) -> Array:
        return 0.5 * (x**2 + jnp.asarray(condition, y.dtype) * y**2)

    curvatures = as_float([1.0, condition])
    return surface_2d(
        f,
        start,
        spread,
        minimisers=[(0.0, 0.0)],
        minimum=0.0,
        hessian=jnp.diag(curvatures),
        smoothness=curvatures.max(),
        strong_convexity=curvatures.min(),
        domain=((-12.0, 12.0), (-4.0, 4.0)),
    )


@register.problem("rosenbrock", source="Rosenbrock, The Computer Journal 3(3), 1960")
def rosenbrock(
    a: float = 1.0, b: float = 100.0, start: tuple[float, float] = (-1.2, 1.0), spread: float = 0.0
) -> Problem:
    """Rosenbrock's curved valley: f = (a - x)^2 + b (y - x^2)^2.

    For b > 0 the minimum is 0, at (a, a^2), the only stationary point. `domain` is the window for a = 1.

    Source: Rosenbrock (1960); the start is that of Moré, Garbow & Hillstrom (1981), problem 1.
    """

    def f(x: Array, y: Array) -> Array:
        return (jnp.asarray(a, x.dtype) - x) ** 2 + jnp.asarray(b, x.dtype) * (y - x**2) ** 2

    at = as_float(a)
    return surface_2d(f, start, spread, minimisers=[(at, at**2)], minimum=0.0, domain=((-2.0, 2.0), (-1.0, 3.0)))


@register.problem("beale", source="Beale, 1958; Moré, Garbow & Hillstrom, ACM TOMS 7(1), 1981, problem 5")
def beale(start: tuple[float, float] = (1.0, 1.0), spread: float = 0.0) -> Problem:
    """Beale's function: f = (1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2.

    The minimum is 0, at (3, 0.5). (0, 1) is a saddle point; the corners of the domain are steep.

    Source: Beale (1958); the start is that of Moré, Garbow & Hillstrom (1981), problem 5.
    """

    def f(x: Array, y: Array) -> Array:
        return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2

    return surface_2d(f, start, spread, minimisers=[(3.0, 0.5)], minimum=0.0, domain=((-4.5, 4.5), (-4.5, 4.5)))
