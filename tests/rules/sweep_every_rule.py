"""Sweep every rule on some devices, and also run it in a plain loop: `sweep_every_rule.py DEVICES FILE`.

Writes the iterates of each run to the file. It is a script, because the number of devices must be set before JAX
starts.
"""

import pickle
import sys
import traceback

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import gdlab
from tests.rules.rule_cases import ENTRIES

STEPS = 4
RATES = (0.01, 0.03, 0.1, 0.3)
START = {
    "number": np.array(0.7),
    "vector": np.array([-0.4, 1.1, 0.2]),
    "matrix": np.array([[0.9, -1.2, 0.5], [-0.6, 0.3, 1.4]]),
    "no vector": np.zeros(0),
    "no matrix": np.zeros((0, 3)),
}
SIZE = 10  # numbers in the parameters
_draw = np.random.default_rng(0)
MIX, TARGET = _draw.normal(size=(7, SIZE)) / 2, _draw.normal(size=7)


def outputs(params, batch):
    u = jnp.asarray(MIX) @ ravel_pytree(params)[0]
    return u + 0.3 * jnp.sin(u)


def criterion(z, batch):
    return 0.5 * jnp.sum((z - jnp.asarray(TARGET)) ** 2)


def loss(params):
    return criterion(outputs(params, None), None)


def point(params):
    """The parameters as one vector."""
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, START)
    return ravel_pytree(params)[0]


def swept(make):
    """The points after each step, [rates, steps, size], of two runs at a time on each device."""
    problem = gdlab.Problem(init=lambda key: START, outputs=outputs, criterion=criterion)
    probes = {"x": lambda step: point(jax.tree.map(jnp.add, step.params, step.updates))}
    return gdlab.sweep(problem, make, {"lr": RATES}, steps=STEPS, probes=probes, chunk=2)["x"].values


def looped(make):
    """The same without the engine: one run after another, step by step."""
    noise = jax.random.split(jax.random.key(0), 3)[2]

    @jax.jit
    def take(params, state, lr, index):
        value, grads = jax.value_and_grad(loss)(params)
        offered = {
            "value": value,
            "grad": grads,
            "value_fn": loss,
            "grad_fn": jax.grad(loss),
            "full_grad_fn": jax.grad(loss),
            "outputs_fn": lambda params: outputs(params, None),
            "criterion_fn": lambda z: criterion(z, None),
            "key": jax.random.fold_in(noise, index),
            "step": index,
        }
        updates, state = make(lr=lr).update(grads, state, params, **offered)
        return jax.tree.map(jnp.add, params, updates), state

    points = np.zeros((len(RATES), STEPS, SIZE))
    for run, lr in enumerate(RATES):
        params = jax.tree.map(jnp.asarray, START)
        state = make(lr=lr).init(params)
        for index in range(STEPS):
            params, state = take(params, state, lr, index)
            points[run, index] = point(params)
    return points


def main(devices, file):
    jax.config.update("jax_num_cpu_devices", int(devices))
    assert len(jax.devices()) == int(devices)
    jax.config.update("jax_enable_x64", True)
    # Nearly all the time is the compiler's, and each program runs only once.
    jax.config.update("jax_disable_most_optimizations", True)
    found = {}
    for entry in ENTRIES:
        try:
            found[entry.kind] = swept(entry.make), looped(entry.make)
        except Exception:  # the test says which rules fail, not only the first
            found[entry.kind] = traceback.format_exc()
    with open(file, "wb") as opened:
        pickle.dump(found, opened)


if __name__ == "__main__":
    main(*sys.argv[1:])
