"""Decoupled decay: both rules against loops in NumPy; claims with a wrong pair of rules; tilt of a known surface."""

import jax
import numpy as np
import pytest

import gdlab
from gdlab import register
from gdlab.analysis.claims import judge

pytestmark = pytest.mark.usefixtures("optimised")


@pytest.fixture(scope="module")
def fast(ran):
    """Results for three seeds, and the claims."""
    return ran("adamw", "size=fast")


def test_adamw_exact_claims_hold(fast):
    assert fast[1]["gradient descent: L2 against decay"]["status"] == "held"
    assert fast[1]["Adam: L2 against decay"]["status"] == "held"


def test_adamw_check_fails_for_another_pair_of_rules(fast):
    claims = register.checks["adamw"].make(fast[0], pair=("adam + L2", "adamw"))
    assert {c.name: judge(c).status for c in claims}["gradient descent: L2 against decay"] == "failed"


def test_tilts_of_a_known_surface(fast):
    """The loss max(exp(log decay - slope log rate + 1), 1) has an edge with this slope."""
    tilts = register.checks["adamw"].make.__globals__["tilts"]
    data = fast[0]
    x, y = np.log10(data["lr"].values), np.log10(data["decay"].values)
    surface = np.exp(np.maximum(y[None, :] - 0.4 * x[:, None] + 1, 0))
    known = data["eval_loss"].transpose("lr", "decay", "seed", "rule").copy()
    known.values[:] = surface[:, :, None, None]
    assert tilts(data.assign(eval_loss=known), "adamw") == pytest.approx([0.4] * 3, abs=1e-6)


@pytest.mark.parametrize(("kind", "of"), [(k, o) for k in ("l2-decay", "decoupled-decay") for o in ("adam", "gd")])
def test_decay_rules_equal_a_numpy_loop(fast, kind, of):
    """Ten steps on sum h x^2 / 2 against a loop."""
    h, start, lr, decay = np.array([1.0, 4.0]), np.array([1.0, -2.0]), 0.05, 0.1
    with jax.enable_x64(True):
        problem = gdlab.Problem(init=lambda key: jax.numpy.asarray(start), loss=lambda x, batch: (h * x**2).sum() / 2)
        rule = register.rules[kind].make(of=of, lr=lr, decay=decay)
        run = gdlab.descend(problem, rule, jax.random.key(0), steps=10, every=None)
        reached = np.asarray(run.params)
    x, m, v = start, np.zeros(2), np.zeros(2)
    for t in range(1, 11):
        g = h * x + (decay * x if kind == "l2-decay" else 0)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        direction = g if of == "gd" else m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        x = x - lr * direction - (decay * x if kind == "decoupled-decay" else 0)
    assert reached == pytest.approx(x, rel=1e-9)
