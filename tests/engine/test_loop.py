"""The loop over the steps: neither the number of steps between two checks nor `every` changes a bit of any result."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

import gdlab
from gdlab import rules
from gdlab.engine.loop import advance
from gdlab.problems import mlp, rosenbrock
from gdlab.types import Process

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(32, 5)).astype(np.float32), RNG.integers(0, 3, 32)
# Problems, rules, rates at which some runs diverge at once, some later and some never.
CASES = {
    "rosenbrock": (rosenbrock(), rules.momentum, 1e-4, 1e1),
    "network": (mlp(data=DATA, widths=[6]), rules.gd, 1e-2, 1e5),
    "network-adam": (mlp(data=DATA, widths=[6]), rules.adam, 1e-2, 1e36),
}


def swept(case, rates=24, **settings):
    problem, rule, low, high = CASES[case]
    if "batch_size" in settings and case == "rosenbrock":
        settings.pop("batch_size")
    return gdlab.sweep(problem, rule, {"lr": gdlab.log(low, high, rates), "seed": 2}, **settings)


def assert_same_bits(one, other):
    assert set(one.data_vars) == set(other.data_vars)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)


@seed(0)
@settings(max_examples=5, deadline=None, database=None)
@given(
    case=st.sampled_from(sorted(CASES)),
    axis=st.sampled_from(["first", "last"]),
    check_every=st.sampled_from([2, 3, 8, 64]),
    every=st.sampled_from([None, 1, 4, 7]),
    batch_size=st.sampled_from([None, 8]),
    stop=st.sampled_from([gdlab.Stop(), gdlab.Stop(loss=0.9, bound=50.0), gdlab.Stop(grad_norm=0.5)]),
    steps=st.sampled_from([1, 30]),
)
def test_the_steps_between_checks_change_no_bit(case, axis, check_every, every, batch_size, stop, steps):
    options = {"steps": steps, "every": every, "batch_size": batch_size, "stop": stop, "axis": axis}
    assert_same_bits(swept(case, check_every=check_every, **options), swept(case, check_every=1, **options))


def test_cases_hold_runs_that_diverge_at_once_later_and_never():
    ended = np.concatenate([swept(case, steps=30, check_every=8)["diverged_at"].values.ravel() for case in CASES])
    for share in (ended < 0, (ended >= 0) & (ended < 4), ended > 8):
        assert share.mean() > 0.05


@pytest.mark.parametrize("axis", ["first", "last"])
@pytest.mark.parametrize("case", sorted(CASES))
def test_sweep_equals_descend_on_each_axis(case, axis):
    problem, rule, low, _ = CASES[case]
    rates = gdlab.log(low, 10 * low, 16)
    probes = {"params": lambda step: jax.tree.leaves(step.params)[-1], "first": lambda step: step.index == 0}
    options = {"steps": 20, "every": 3, "probes": probes}
    found = gdlab.sweep(problem, rule, {"lr": rates, "seed": 2}, axis=axis, check_every=4, **options)
    for seed_, lr in itertools.product(range(2), found.lr.values[::5]):
        trace = gdlab.descend(problem, rule(lr=lr), jax.random.key(seed_), **options)
        run = found.sel(seed=seed_, lr=lr)
        for name, series in trace.series.items():
            np.testing.assert_allclose(run[name].values, series, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(run["final_loss"], trace.outcome.final_loss, rtol=2e-5)


def test_a_step_that_calls_python_is_checked_each_time_and_runs_once():
    seen = []

    def loss(x, batch):
        jax.debug.callback(lambda value: seen.append(float(value)), x)
        return x**2

    problem = gdlab.Problem(init=lambda key: jnp.asarray(1.0), loss=loss)
    gdlab.sweep(problem, rules.gd, {"lr": [0.1]}, steps=5, check_every=4)
    jax.effects_barrier()
    expected = [0.8**step for step in range(6)]  # the last is the final loss
    np.testing.assert_allclose(sorted(seen, reverse=True), expected, rtol=1e-5)


def test_a_loop_whose_length_depends_on_the_numbers_is_not_continued_from_nan():
    def halvings(x):
        """Never ends from NaN."""
        return jax.lax.while_loop(lambda y: ~(y <= 1.0), lambda y: y / 2, x)

    def gradient(x, batch):
        return x**2, 2 * x + 0 * halvings(jnp.abs(x))

    problem = gdlab.Problem(init=lambda key: jnp.asarray(1.0), loss=lambda x, batch: x**2, gradient=gradient)
    found = gdlab.sweep(problem, rules.gd, {"lr": [0.1, 1e30]}, steps=20, check_every=16)
    assert found["diverged_at"].values.tolist() == [-1, 1]


def counting(every, steps):
    """Counts the steps, and ends at 5."""
    return Process(
        start=lambda point: jnp.asarray(0, jnp.int32),
        begin=lambda point, index: index,
        step=lambda point, count, shared, index: (count + 1, shared + 1, {"at": index, "shared": shared}),
        check=lambda point, before, after, index: (jnp.minimum(after, 5), (before < 5) & (after >= 5)),
        status=lambda count: {"alive": count < 5},
        finish=lambda point, count: {},
        steps=steps,
        every=every,
        names=(),
    )


@pytest.mark.parametrize("every", [1, 2, 3, 10])
@pytest.mark.parametrize("steps", [3, 7, 12])
def test_advance_records_multiples_of_every_while_the_run_is_alive(every, steps):
    carry, records = jax.jit(lambda: advance(counting(every, steps), {}, jnp.asarray(0, jnp.int32)))()
    assert int(carry) == min(steps, 5)
    expected = [index if index < 5 else -1 for index in range(0, steps, every)]
    assert records["at"].tolist() == records["shared"].tolist() == expected
