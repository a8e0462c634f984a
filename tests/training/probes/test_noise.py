"""Gradients of single examples against NumPy, on linear regression."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import Problem, descend, rules
from gdlab.training.probes import gradient_signal_ratio, noise_scale
from tests.training.probes.probe_steps import bowl, measured, regression, step_at


def example_gradients(x, y, w, b):
    """[examples, 1 + inputs], rows 2 r (1, x)."""
    r = x @ w + b - y
    return 2 * r[:, None] * np.column_stack([np.ones(len(x)), x])


def noise_of(g):
    mean = g.mean(0)
    spread = np.sum((g - mean) ** 2) / (len(g) - 1)
    return spread / (mean @ mean - spread / len(g))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("examples", [2, 64, 70, 200])
def test_noise_scale_and_signal_ratio_equal_numpy(examples):
    problem, x, y = regression(examples)
    w, b = np.array([0.5, 1.0, -1.0]), 0.3
    step = step_at(problem, {"b": jnp.asarray(b), "w": jnp.asarray(w)}, problem.data)
    g = example_gradients(x, y, w, b)
    np.testing.assert_allclose(measured(noise_scale, step), noise_of(g), rtol=1e-9)
    np.testing.assert_allclose(
        measured(gradient_signal_ratio, step), np.mean(g.mean(0) ** 2 / g.var(0, ddof=1)), rtol=1e-9
    )


@pytest.mark.usefixtures("x64")
def test_noise_scale_numerator_and_denominator_are_unbiased():
    """Over many batches of 4, the means of both equal those of all examples: tr(Sigma) and |G|^2."""
    problem, x, y = regression(4000)
    w = np.array([0.5, 1.0, -1.0])
    g = example_gradients(x, y, w, 0.0)
    mean, batches = g.mean(0), g.reshape(1000, 4, 4)
    traces = [np.sum((part - part.mean(0)) ** 2) / 3 for part in batches]
    squares = [part.mean(0) @ part.mean(0) - trace / 4 for part, trace in zip(batches, traces, strict=True)]
    np.testing.assert_allclose(np.mean(traces), np.sum(g.var(0)), rtol=0.1)
    np.testing.assert_allclose(np.mean(squares), mean @ mean, rtol=0.1)
    for part, trace, square in list(zip(range(1000), traces, squares, strict=True))[:3]:
        batch = jax.tree.map(lambda leaf, part=part: leaf[4 * part : 4 * part + 4], problem.data)
        step = step_at(problem, {"b": jnp.zeros(()), "w": jnp.asarray(w)}, batch)
        np.testing.assert_allclose(measured(noise_scale, step), trace / square, rtol=1e-9)


def test_noise_scale_in_a_run_is_of_the_batch_and_nan_for_one_example():
    problem, _, _ = regression()
    probes = {"noise": noise_scale, "ratio": gradient_signal_ratio}
    for size, finite in ((16, True), (1, False)):
        how = {"steps": 5, "batch_size": size, "probes": probes}
        series = descend(problem, rules.gd(lr=0.01), jax.random.key(0), **how).series
        for name in probes:
            assert np.isfinite(series[name]).all() == finite


def test_gradient_signal_ratio_skips_parameters_without_gradient():
    base, x, y = regression()
    dead = Problem(init=lambda key: {}, loss=lambda p, batch: base.loss({k: p[k] for k in "bw"}, batch))
    params = {"b": jnp.zeros(()), "dead": jnp.ones(5), "w": jnp.zeros(3)}
    g = example_gradients(x, y, np.zeros(3), 0.0)
    found = measured(gradient_signal_ratio, step_at(dead, params, base.data))
    np.testing.assert_allclose(found, np.mean(g.mean(0) ** 2 / g.var(0, ddof=1)), rtol=1e-4)


def test_noise_probes_refuse_problems_without_data():
    for probe in (noise_scale, gradient_signal_ratio):
        with pytest.raises(ValueError, match="the problem has no data"):
            measured(probe, step_at(bowl(1.0, 2.0), jnp.ones(2)))
