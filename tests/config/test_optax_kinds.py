"""Rules of optax by name: `optax:NAME`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab.config import load

BASE = "name: t\nproblem: {kind: bowl}\nrules: {a: {kind: 'optax:adam', lr: 0.5, b1: 0.25}}\ntrain: {steps: 3}\n"


def first_update(rule):
    with jax.numpy_dtype_promotion("standard"):  # optax mixes its types
        return np.asarray(rule.update(jnp.ones(2), rule.init(jnp.ones(2)), jnp.ones(2))[0])


@pytest.mark.smoke
def test_optax_kind_takes_its_own_hyperparameters_and_lr(write):
    factory = load(write(BASE)).rules["a"]
    np.testing.assert_allclose(first_update(factory()), first_update(optax.adam(0.5, b1=0.25)), rtol=1e-6)
    load(write(BASE.replace("lr: 0.5, ", "") + "sweep: {lr: [0.1, 1]}"))


def test_optax_kind_takes_a_schedule(write):
    text = BASE.replace("lr: 0.5", "lr: {kind: cosine, peak: 0.5, steps: 4}")
    factory = load(write(text)).rules["a"]
    np.testing.assert_allclose(first_update(factory()), first_update(optax.adam(0.5, b1=0.25)), rtol=1e-6)
    np.testing.assert_allclose(
        first_update(factory(**{"lr.peak": 2.0})), first_update(optax.adam(2.0, b1=0.25)), rtol=1e-6
    )


def test_optax_kind_errors(errors_of):
    assert errors_of(BASE.replace("adam", "adan_")).startswith("x.yaml:3:19: rules.a.kind: ")
    assert errors_of(BASE.replace("b1", "b11")).splitlines() == [
        "x.yaml:3:42: rules.a.b11: the rule optax:adam has no hyperparameter b11",
        "    3 | rules: {a: {kind: 'optax:adam', lr: 0.5, b11: 0.25}}",
        "      |                                          ^^^",
        "  did you mean b1?",
    ]
    assert "x.yaml:3:37: rules.a.lr: must be a number, not 'fast'" in errors_of(BASE.replace("0.5", "fast"))
