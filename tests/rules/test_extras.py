"""`requires_extras`: a rule called without an argument that it needs raises an error that names the argument."""

import jax.numpy as jnp
import pytest

from gdlab.rules.extras import requires_extras
from gdlab.types import Rule


@requires_extras("probe")
def update(grads, state, params, *, value, grad_fn, **extra):
    return grad_fn(params) * value, (state, extra)


def test_requires_extras_passes_everything_on_to_the_update():
    found = update(1.0, "state", 3.0, value=2.0, grad_fn=lambda x: 5 * x, key="more")
    assert found == (30.0, ("state", {"key": "more"}))


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "params and value and grad_fn"),
        ({"params": 1.0}, "value and grad_fn"),
        ({"params": 1.0, "value": 1.0}, "grad_fn"),
        ({"value": 1.0, "grad_fn": abs}, "params"),
        ({"params": None, "value": jnp.ones([]), "grad_fn": None}, "params and grad_fn"),
    ],
)
def test_requires_extras_names_what_is_missing_and_how_to_pass_it(given, missing):
    with pytest.raises(ValueError, match=rf"^probe needs {missing}: ") as found:
        update(1.0, (), **given)
    assert "update(grads, state, params, value=..., grad_fn=...)" in str(found.value)
    assert ("TrainState" in str(found.value)) == (missing != "params")


def test_requires_extras_keeps_params_optional_where_the_update_gives_them_a_default():
    @requires_extras("probe")
    def optional(grads, state, params=None, *, value, **extra):
        return grads, value

    assert Rule(lambda params: (), optional).update(1.0, (), value=2.0) == (1.0, 2.0)
