"""Schedules against their formulas in NumPy, traced and not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import register, schedules

T = np.arange(41)


def half_cosine(t, peak, steps, floor=0.0):
    return floor + (peak - floor) * 0.5 * (1 + np.cos(np.pi * np.minimum(t / steps, 1)))


# kind: arguments, and the value at the steps t.
FORMULAS = {
    "constant": ({"value": 0.3}, lambda t: np.full(t.shape, 0.3)),
    "step": ({"value": 0.8, "every": 7, "factor": 0.5}, lambda t: 0.8 * 0.5 ** (t // 7)),
    "exponential": ({"value": 0.8, "rate": 0.5, "every": 10}, lambda t: 0.8 * 0.5 ** (t / 10)),
    "cosine": ({"peak": 0.8, "steps": 30, "floor": 0.1}, lambda t: half_cosine(t, 0.8, 30, 0.1)),
    "warmup": ({"steps": 8, "then": 0.4, "start": 0.1}, lambda t: np.where(t < 8, 0.1 + 0.3 * t / 8, 0.4)),
}
every_kind = pytest.mark.parametrize("kind", FORMULAS)


def test_every_schedule_has_a_formula():
    ours = {kind for kind, entry in register.schedules.items() if entry.make.__module__ == "gdlab.schedules"}
    assert ours == set(FORMULAS)
    assert all(register.schedules[kind].summary for kind in ours)


@every_kind
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_those_of_the_formula(kind, dtype):
    arguments, formula = FORMULAS[kind]
    with jax.enable_x64(dtype == "float64"):
        schedule = jax.jit(register.schedules[kind].make(**arguments))
        many, one = schedule(jnp.asarray(T, jnp.int32)), schedule(3)
        assert (many.dtype, one.dtype) == (dtype, dtype)
        assert (many.shape, one.shape) == (T.shape, ())
        np.testing.assert_allclose(many, formula(T), rtol=1e-13 if dtype == "float64" else 2e-5, atol=1e-7)
        assert one == many[3]


@every_kind
def test_every_argument_can_be_traced(kind):
    """Counts of steps too, as integers; another value is the same program."""
    arguments, formula = FORMULAS[kind]
    run = jax.jit(lambda arguments, step: register.schedules[kind].make(**arguments)(step))
    traced = {name: jnp.asarray(value) for name, value in arguments.items()}
    half = {name: jnp.asarray(value, jnp.bfloat16) for name, value in arguments.items()}
    for step in (0, 5, 29, 40):
        np.testing.assert_allclose(run(traced, step), formula(np.asarray(step)), rtol=2e-5, atol=1e-7)
    run({name: 2 * value for name, value in traced.items()}, 3)
    assert run._cache_size() == 1
    assert run(half, 3).dtype == jnp.float32
    mapped = jax.vmap(run, in_axes=(dict.fromkeys(traced), 0))(traced, jnp.asarray(T))
    np.testing.assert_allclose(mapped, formula(T), rtol=2e-5, atol=1e-7)


@every_kind
def test_a_slope_by_every_argument_is_finite(kind):
    arguments, _ = FORMULAS[kind]
    slope = jax.jit(jax.grad(lambda given, step: register.schedules[kind].make(**given)(step)))
    for step in (0, 8, 30, 40):
        slopes = slope({name: float(value) for name, value in arguments.items()}, step)
        assert all(np.isfinite(slope) for slope in slopes.values())


def test_those_that_optax_has_are_the_same():
    t = jnp.asarray(T)
    with jax.numpy_dtype_promotion("standard"):
        cosine = optax.cosine_decay_schedule(0.8, 30, alpha=0.125)(t)
        exponential = optax.exponential_decay(0.8, 10, 0.5)(t)
        staircase = optax.exponential_decay(0.8, 10, 0.5, staircase=True)(t)
        warm = optax.warmup_cosine_decay_schedule(0.1, 0.8, 10, 30, end_value=0.2)(t)
    np.testing.assert_allclose(schedules.cosine(0.8, 30, floor=0.1)(t), cosine, rtol=1e-5)
    np.testing.assert_allclose(schedules.exponential(0.8, 0.5, 10)(t), exponential, rtol=1e-5)
    np.testing.assert_allclose(schedules.step(0.8, 10, 0.5)(t), staircase, rtol=1e-5)
    ours = schedules.warmup(10, schedules.cosine(0.8, 20, floor=0.2), start=0.1)(t)
    np.testing.assert_allclose(ours, warm, rtol=1e-5)


def test_a_staircase_falls_on_the_step_itself():
    """Far out too, where a rounded quotient could come out a step early or late."""
    for every in (3, 7, 49, 1000):
        k = np.asarray([1, 2, 13, 4000 // every])
        value = schedules.step(1.0, every, 2.0**-0.01)
        at, before = value(jnp.asarray(k * every)), value(jnp.asarray(k * every - 1))
        np.testing.assert_allclose(-100 * np.log2(at), k, atol=0.02 * k.max())
        np.testing.assert_allclose(at / before, 2.0**-0.01, rtol=1e-5)


def test_warm_up_leads_into_any_schedule():
    t = jnp.asarray(T)
    ours = schedules.warmup(5, schedules.cosine(peak=0.4, steps=20))(t)
    np.testing.assert_allclose(ours, np.where(T < 5, 0.4 * T / 5, half_cosine(T - 5, 0.4, 20)), rtol=1e-5, atol=1e-7)
    own = schedules.warmup(5, lambda t: 1 / (1 + t))(t)
    np.testing.assert_allclose(own, np.where(T < 5, T / 5, 1 / (T - 4.0 + (T == 4))), rtol=1e-6)
    twice = schedules.warmup(4, schedules.warmup(6, 0.9, start=0.3))(t)
    np.testing.assert_allclose(twice[:11], [0, 0.075, 0.15, 0.225, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], rtol=1e-5)


def test_no_steps_at_all():
    """A warm-up of none starts at its end, and a cosine of none is at its floor."""
    np.testing.assert_allclose(schedules.warmup(0, 0.5)(jnp.asarray([0, 3])), [0.5, 0.5])
    np.testing.assert_allclose(schedules.cosine(0.5, 0, floor=0.125)(jnp.asarray([0, 3])), [0.125, 0.125])
    assert np.isfinite(jax.grad(lambda steps: schedules.warmup(steps, 0.5)(2))(0.0))
    assert np.isfinite(jax.grad(lambda steps: schedules.cosine(0.5, steps)(2))(0.0))
