"""A problem with a metric that is maximised and whose name does not say so."""

import jax.numpy as jnp
import pytest

import gdlab


@pytest.fixture
def gained():
    """f = x^2 / 2 from x = 1; `gain` is 1 - x^2, larger is better."""
    return gdlab.Problem(
        init=lambda key: jnp.ones(1),
        loss=lambda x, batch: 0.5 * jnp.sum(x**2),
        metrics={"gain": gdlab.maximise(lambda x, batch: 1 - jnp.sum(x**2))},
    )
