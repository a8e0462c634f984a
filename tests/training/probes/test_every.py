"""A probe measured at every n-th step: values, carry and cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import descend, register, rules, sweep
from gdlab.training.probes import distance, every, grad_norm, probe_of, sharpness
from tests.training.probes.probe_steps import bowl

BOWL = bowl(1.0, 2.0, 4.0)


def series(probe, steps=13, **how):
    return descend(BOWL, rules.gd(lr=0.1), jax.random.key(0), steps=steps, probes={"p": probe}, **how).series["p"]


def counting(measurements):
    """A probe that counts its measurements in the program, and appends their steps to a list on the host."""

    def measure(carry, step):
        jax.debug.callback(lambda at: measurements.append(int(at)), step.index)
        return carry + 1, carry

    return (lambda problem, params: jnp.zeros((), jnp.int32)), measure


@pytest.mark.parametrize("n", [1, 3, 20])
def test_every_measures_at_multiples_only(n):
    found, full = series(every(grad_norm, n)), series(grad_norm)
    np.testing.assert_array_equal(found[::n], full[::n])
    assert np.isnan(np.delete(found, np.s_[::n])).all()


def test_every_fills_integers_and_booleans_with_minus_one():
    for probe in (lambda step: step.index.astype(jnp.uint8), lambda step: step.index < 100, lambda step: step.index):
        found = series(every(probe, 4))
        assert found.dtype == jnp.int32
        np.testing.assert_array_equal(np.delete(found, np.s_[::4]), -1)
        np.testing.assert_array_equal(found[::4], [int(probe_value) for probe_value in series(probe)[::4]])


def test_every_keeps_the_shape_of_arrays():
    found = series(every(lambda step: step.params, 5))
    assert found.shape == (13, 3)
    np.testing.assert_array_equal(np.isnan(found).all(1), np.arange(13) % 5 != 0)


def test_every_keeps_the_carry_in_between():
    found = series(every(counting([]), 4))
    np.testing.assert_array_equal(found, [0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, 3])


def test_every_measures_at_common_multiples_with_records():
    found = series(every(counting([]), 6), steps=25, every=4)
    np.testing.assert_array_equal(found, [0, -1, -1, 1, -1, -1, 2])  # steps 0, 4, 8, 12, ...


def test_every_under_vmap_measures_nothing_in_between():
    measurements = []

    def run(lr):
        return descend(
            BOWL, rules.gd(lr=lr), jax.random.key(0), steps=12, probes={"p": every(counting(measurements), 5)}
        ).series["p"]

    jax.block_until_ready(jax.jit(jax.vmap(run))(jnp.asarray([0.1, 0.2])))
    jax.effects_barrier()
    assert set(measurements) == {0, 5, 10}


def test_every_under_vmap_keeps_its_branch():
    def run(lr, probe):
        return descend(BOWL, rules.gd(lr=lr), jax.random.key(0), steps=12, probes={"p": probe}).series["p"]

    def conditionals(probe):
        mapped = jax.jit(jax.vmap(lambda lr: run(lr, probe)))
        return mapped.lower(jnp.ones(4)).compile().as_text().count("conditional(")

    assert conditionals(every(lambda step: jnp.linalg.eigvalsh(jnp.outer(step.params, step.params)), 5)) == 1
    assert conditionals(lambda step: jnp.linalg.eigvalsh(jnp.outer(step.params, step.params))) == 0


def test_every_in_a_sweep_equals_a_loop_and_is_filled_after_divergence():
    rates = [0.05, 0.2, 0.6]  # the last is above 2 / 4: it grows until it is not finite
    probes = {"s": every(sharpness(), 10), "d": distance(), "n": every(counting([]), 10)}
    how = {"steps": 400, "every": 5, "probes": probes}
    data = sweep(BOWL, rules.gd, {"lr": rates}, **how)
    for lr in rates:
        lone = descend(BOWL, rules.gd(lr=lr), jax.random.key(0), **how)
        for name in probes:
            np.testing.assert_allclose(data[name].sel(lr=lr), lone.series[name], rtol=1e-5)
    end = int(data["diverged_at"].sel(lr=0.6))
    assert 100 < end < 400
    after = data.sel(lr=0.6, step=data["step"] > end)
    assert np.isnan(after["s"]).all()
    assert np.isnan(after["d"]).all()
    assert (after["n"] == -1).all()
    np.testing.assert_allclose(data["s"].sel(lr=0.05)[::2], 4, rtol=1e-4)


def test_probe_of_makes_probes_from_entries():
    assert probe_of(register.probes["grad_norm"]) is grad_norm
    found = series(probe_of(register.probes["sharpness"], iterations=3))
    np.testing.assert_allclose(found, 4, rtol=1e-5)
    with pytest.raises(ValueError, match="grad_norm takes no options, but got of"):
        probe_of(register.probes["grad_norm"], of=3)
    with pytest.raises(TypeError, match="steps"):
        probe_of(register.probes["sharpness"], steps=3)


def test_built_in_probes_have_a_cost():
    assert all(entry.info["cost"] for entry in register.probes.values() if entry.make.__module__.startswith("gdlab."))


def test_every_refuses_n_below_one():
    with pytest.raises(ValueError, match="at least 1"):
        every(grad_norm, 0)
