"""Steps at which probes are measured."""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import Problem, descend, rules
from gdlab.training.probes import position
from gdlab.training.probes.pairs import as_pair
from gdlab.types import Step


def step_at(problem, params, batch=None, *, index=0, key=0, preconditioner=lambda: None):
    """The first step of gradient descent with lr 0.1 from a point."""
    value, grads = problem.value_and_grad(params, batch)
    updates = jax.tree.map(lambda g: -0.1 * g, grads)
    seen = (problem, params, grads, updates, (), value, batch, jnp.asarray(index), jax.random.key(key))
    return Step(*seen, preconditioner=preconditioner)


def measured(probe, step):
    """The value of a probe at its first measurement."""
    init, measure = as_pair(probe)
    return jax.jit(lambda: measure(init(step.problem, step.params), step)[1])()


def bowl(*curvatures, start=None):
    """1/2 sum_i curvature_i x_i^2, from (1, 1, ...)."""
    c = np.asarray(curvatures)
    first = np.ones(len(c)) if start is None else np.asarray(start)
    return Problem(
        init=lambda key: jnp.asarray(first, jnp.result_type(float)),
        loss=lambda x, batch: 0.5 * jnp.sum(jnp.asarray(c, x.dtype) * x * x),
    )


def regression(examples=70, inputs=3):
    """Least squares, mean of (w'x + b - y)^2, with noise: (problem, x, y)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(examples, inputs))
    y = x @ np.arange(1, inputs + 1) + 2 + rng.normal(size=examples)
    problem = Problem(
        init=lambda key: {"b": jnp.zeros(()), "w": jnp.zeros(inputs)},
        loss=lambda p, batch: jnp.mean((batch["x"] @ p["w"] + p["b"] - batch["y"]) ** 2),
        data={"x": jnp.asarray(x, jnp.result_type(float)), "y": jnp.asarray(y, jnp.result_type(float))},
    )
    return problem, x, y


def gd_path(problem, lr, steps, **how):
    return descend(problem, rules.gd(lr=lr), jax.random.key(0), steps=steps, probes={"x": position}, **how).series["x"]
