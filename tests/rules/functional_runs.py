"""Losses with known minima, and runs of rules on them, shared by the tests of closed-form properties."""

import jax
import jax.numpy as jnp
import numpy as np

_draw = np.random.default_rng(3)
_turn, _ = np.linalg.qr(_draw.normal(size=(5, 5)))
CURVATURE = _turn @ np.diag([0.1, 0.5, 1.0, 4.0, 10.0]) @ _turn.T
START = _draw.normal(size=5)


def extras_of(f, x, key=None):
    return {
        "value": f(x),
        "value_fn": f,
        "grad_fn": jax.grad(f),
        "full_grad_fn": jax.grad(f),
        "key": key,
        "step": jnp.asarray(0, jnp.int32),
    }


def bowl(x):
    """The quadratic 1/2 x' H x, in the dtype of x."""
    return 0.5 * x @ jnp.asarray(CURVATURE, x.dtype) @ x


def descend(rule, f, x, steps, grad=None, seed=0):
    """The points [steps + 1, n] of a run on f, with the vector field `grad`, if given, in place of its gradient."""
    field = grad or jax.grad(f)

    def step(carry, t):
        x, state = carry
        key = jax.random.fold_in(jax.random.key(seed), t)
        given = extras_of(f, x, key) | {"grad_fn": field, "step": t}
        updates, state = rule.update(field(x), state, x, **given)
        return (x + updates, state), x

    (end, _), path = jax.lax.scan(step, (x, rule.init(x)), jnp.arange(steps, dtype=jnp.int32))
    return np.concatenate([path, end[None]])


def strict_saddle(x):
    return x[0] ** 2 - x[1] ** 2


def valley(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def least_squares():
    """Residuals M x - y, half their sum of squares, and its minimiser."""
    draw = np.random.default_rng(8)
    m, y = jnp.asarray(draw.normal(size=(9, 5))), jnp.asarray(draw.normal(size=9))
    return (lambda x: m @ x - y), (lambda z: 0.5 * jnp.sum(z**2)), np.linalg.lstsq(m, y, rcond=None)[0]
