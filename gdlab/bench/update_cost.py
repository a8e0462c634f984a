"""Time of one update of each rule and of the optax rule of the same name, on the same parameters."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gdlab.rules  # noqa: F401  (fills the register)
from gdlab import register
from gdlab.rules.from_optax import from_optax, names
from gdlab.rules.hyperparameters import hyperparameters

# A network with 1,000,090 parameters.
SHAPES = ((784, 640), (640,), (640, 640), (640,), (640, 128), (128,), (128, 46), (46,))


class RuleCost(NamedTuple):
    """The median time, in seconds, of one update of a rule, including `apply_updates`."""

    kind: str
    seconds: float
    their_name: str  # the name of the optax rule; "" if there is none
    their_seconds: float  # NaN if there is none
    ratio: float  # the median ratio of paired measurements, gdlab / optax; NaN if there is none


def update_costs(repeats: int = 30) -> Iterator[RuleCost]:
    """Measure every rule of gdlab, alternating with the optax rule of the same name if there is one.

    Both use their defaults (optax with the settings that make it the same rule) and the same lr, and run as one
    compiled program each, with donated state and parameters.
    """
    for kind, entry in sorted(register.rules.items()):
        if entry.make.__module__.startswith("gdlab.rules."):
            yield _cost(kind, entry, repeats)


def _cost(kind: str, entry: register.Entry, repeats: int) -> RuleCost:
    theirs = entry.info.get("optax", kind)
    known = theirs is not None and theirs in names()
    ours = _stepper(entry.make(lr=1e-3))
    other = None
    if known:
        factory = from_optax(theirs)
        given = dict(entry.info.get("optax_with", {}))
        if "lr" in (hyperparameters(factory) or ()) and not {"lr", "learning_rate"} & set(given):
            given["lr"] = 1e-3
        other = _stepper(factory(**given))
    times: list[tuple[float, float]] = [(ours(), other() if other else np.nan) for _ in range(repeats)]
    mine, their = np.array(times).T
    ratio = float(np.median(mine / their))
    return RuleCost(kind, float(np.median(mine)), str(theirs) if known else "", float(np.median(their)), ratio)


def _stepper(rule: optax.GradientTransformation) -> Callable[[], float]:
    """A function that takes one step and returns its duration; two steps are taken in advance."""
    keys = jax.random.split(jax.random.key(0), len(SHAPES))
    start = [0.05 * jax.random.normal(key, shape) for key, shape in zip(keys, SHAPES, strict=True)]
    grads = [0.01 * jax.random.normal(jax.random.fold_in(key, 1), x.shape) for key, x in zip(keys, start, strict=True)]
    taker = optax.with_extra_args_support(rule)

    def loss(params: Any) -> Any:
        return 0.5 * sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(params))

    def step(params: Any, state: Any, grads: Any, key: Any) -> Any:
        offered = {
            "value": loss(params),
            "grad": grads,
            "value_fn": loss,
            "grad_fn": jax.grad(loss),
            "full_grad_fn": jax.grad(loss),
            "outputs_fn": lambda params: jnp.concatenate([leaf.ravel()[:64] for leaf in jax.tree.leaves(params)]),
            "criterion_fn": lambda z: 0.5 * jnp.vdot(z, z),
            "key": key,
            "step": jnp.zeros((), jnp.int32),
        }
        updates, state = taker.update(grads, state, params, **offered)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(step, donate_argnums=(0, 1))
    carry = (start, jax.jit(taker.init)(start))

    def once() -> float:
        nonlocal carry
        began = time.perf_counter()
        carry = jax.block_until_ready(compiled(*carry, grads, jax.random.key(0)))
        return time.perf_counter() - began

    for _ in range(2):
        once()
    return once
