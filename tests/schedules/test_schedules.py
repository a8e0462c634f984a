"""Schedules against their formulas in NumPy, traced and untraced."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import register, schedules

T = np.arange(41)


def half_cosine(t, peak, steps, floor=0.0):
    return floor + (peak - floor) * 0.5 * (1 + np.cos(np.pi * np.minimum(t / steps, 1)))


def restarts(t, peak, period, multiplier, floor):
    """The schedule `sgdr`, by a loop over the cycles."""
    values = []
    for step in t.ravel():
        begin, length = 0.0, float(period)
        while begin + length <= step:
            begin, length = begin + length, length * multiplier
        values.append(half_cosine(step - begin, peak, length, floor))
    return np.reshape(values, t.shape)


def through(*corners):
    """Linear interpolation between the points (step, value)."""
    return lambda t: np.interp(t, *zip(*corners, strict=True))


# kind: (arguments, the value at the steps t)
FORMULAS = {
    "constant": ({"value": 0.3}, lambda t: np.full(t.shape, 0.3)),
    "step": ({"value": 0.8, "every": 7, "factor": 0.5}, lambda t: 0.8 * 0.5 ** (t // 7)),
    "exponential": ({"value": 0.8, "rate": 0.5, "every": 10}, lambda t: 0.8 * 0.5 ** (t / 10)),
    "cosine": ({"peak": 0.8, "steps": 30, "floor": 0.1}, lambda t: half_cosine(t, 0.8, 30, 0.1)),
    "warmup": ({"steps": 8, "then": 0.4, "start": 0.1}, lambda t: np.where(t < 8, 0.1 + 0.3 * t / 8, 0.4)),
    "linear": ({"value": 0.8, "steps": 30, "end": 0.2}, through((0, 0.8), (30, 0.2))),
    "polynomial": (
        {"value": 0.8, "steps": 30, "power": 2.5, "end": 0.2},
        lambda t: 0.2 + 0.6 * np.maximum(1 - t / 30, 0) ** 2.5,
    ),
    "inverse_time": ({"value": 0.8, "rate": 0.5, "every": 4}, lambda t: 0.8 / (1 + 0.5 * t / 4)),
    "inverse_square_root": (
        {"peak": 0.8, "warmup": 9},
        # The paper's formula: d^-1/2 min(n^-1/2, n w^-3/2), with d = 1 / (w peak^2).
        lambda t: 0.8 * 9**0.5 * np.minimum((t + 1) ** -0.5, (t + 1) * 9**-1.5),
    ),
    "sgdr": (
        {"peak": 0.8, "period": 3, "multiplier": 2, "floor": 0.1},
        lambda t: restarts(t, 0.8, 3, 2, 0.1),
    ),
    "wsd": (
        {"peak": 0.8, "warmup": 5, "stable": 15, "decay": 10, "floor": 0.1},
        through((0, 0.0), (5, 0.8), (20, 0.8), (30, 0.1)),
    ),
    "one_cycle": (
        {"peak": 0.8, "steps": 32, "rise": 0.25, "fall": 0.75, "divisor": 8.0, "final_divisor": 50.0},
        through((0, 0.1), (8, 0.8), (24, 0.1), (32, 0.002)),
    ),
    "cyclical": (
        {"low": 0.1, "high": 0.9, "half": 7, "factor": 0.5},
        through((0, 0.1), (7, 0.9), (14, 0.1), (21, 0.5), (28, 0.1), (35, 0.3), (42, 0.1)),
    ),
    "range_test": ({"low": 1e-3, "high": 10.0, "steps": 32}, lambda t: 10 ** (4 * np.minimum(t / 32, 1) - 3)),
}
every_kind = pytest.mark.parametrize("kind", FORMULAS)


def test_schedules_all_have_a_formula_here():
    ours = {kind for kind, entry in register.schedules.items() if entry.make.__module__.startswith("gdlab.schedules")}
    assert ours == set(FORMULAS)
    assert ours | {"Number"} == set(schedules.__all__)


@every_kind
def test_schedules_are_registered_with_their_sources(kind):
    entry = register.schedules[kind]
    assert entry.make is getattr(schedules, kind)
    assert entry.summary
    assert kind in ("constant", "step", "exponential") or entry.source
    if entry.source:
        assert entry.info["url"].startswith("https://")
        assert str(entry.info["year"]) in entry.source


@pytest.mark.smoke
@every_kind
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_schedule_values_are_those_of_the_formula(kind, dtype):
    arguments, formula = FORMULAS[kind]
    with jax.enable_x64(dtype == "float64"):
        schedule = jax.jit(register.schedules[kind].make(**arguments))
        many, one = schedule(jnp.asarray(T, jnp.int32)), schedule(3)
        assert (many.dtype, one.dtype) == (dtype, dtype)
        assert (many.shape, one.shape) == (T.shape, ())
        np.testing.assert_allclose(many, formula(T), rtol=1e-13 if dtype == "float64" else 2e-5, atol=1e-7)
        # Two programs, so their rounding may differ.
        np.testing.assert_allclose(one, many[3], rtol=1e-14 if dtype == "float64" else 1e-6)


@every_kind
def test_schedule_arguments_can_be_traced(kind):
    """Including integer numbers of steps; other values do not recompile."""
    arguments, formula = FORMULAS[kind]
    traces = []

    @jax.jit
    def run(arguments, step):
        traces.append(arguments)
        return register.schedules[kind].make(**arguments)(step)

    traced = {name: jnp.asarray(value) for name, value in arguments.items()}
    half = {name: jnp.asarray(value, jnp.bfloat16) for name, value in arguments.items()}
    for step in (0, 5, 29, 40):
        np.testing.assert_allclose(run(traced, step), formula(np.asarray(step)), rtol=2e-5, atol=1e-7)
    run({name: 2 * value for name, value in traced.items()}, 3)
    assert len(traces) == 1
    assert run(half, 3).dtype == jnp.float32
    mapped = jax.vmap(run, in_axes=(dict.fromkeys(traced), 0))(traced, jnp.asarray(T))
    np.testing.assert_allclose(mapped, formula(T), rtol=2e-5, atol=1e-7)


@every_kind
def test_schedule_derivatives_by_all_arguments_are_finite(kind):
    arguments, _ = FORMULAS[kind]
    slope = jax.jit(jax.grad(lambda given, step: register.schedules[kind].make(**given)(step)))
    for step in (0, 8, 30, 40):
        slopes = slope({name: float(value) for name, value in arguments.items()}, step)
        assert all(np.isfinite(slope) for slope in slopes.values())


def test_schedules_that_optax_has_are_equal_to_optaxs():
    t = jnp.asarray(T)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        cosine = optax.cosine_decay_schedule(0.8, 30, alpha=0.125)(t)
        exponential = optax.exponential_decay(0.8, 10, 0.5)(t)
        staircase = optax.exponential_decay(0.8, 10, 0.5, staircase=True)(t)
        warm = optax.warmup_cosine_decay_schedule(0.1, 0.8, 10, 30, end_value=0.2)(t)
        line = optax.linear_schedule(0.8, 0.2, 30)(t)
        power = optax.polynomial_schedule(0.8, 0.2, 2.5, 30)(t)
        cycle = jax.vmap(optax.linear_onecycle_schedule(40, 0.8, 0.25, 0.75, 8.0, 50.0))(t)
        cycles = [{"init_value": 0.8, "peak_value": 0.8, "warmup_steps": 0, "decay_steps": n} for n in (6, 12, 24)]
        again = optax.sgdr_schedule([{**one, "end_value": 0.2} for one in cycles])(t)
    np.testing.assert_allclose(schedules.cosine(0.8, 30, floor=0.1)(t), cosine, rtol=1e-5)
    np.testing.assert_allclose(schedules.exponential(0.8, 0.5, 10)(t), exponential, rtol=1e-5)
    np.testing.assert_allclose(schedules.step(0.8, 10, 0.5)(t), staircase, rtol=1e-5)
    ours = schedules.warmup(10, schedules.cosine(0.8, 20, floor=0.2), start=0.1)(t)
    np.testing.assert_allclose(ours, warm, rtol=1e-5)
    np.testing.assert_allclose(schedules.linear(0.8, 30, 0.2)(t), line, rtol=1e-5)
    np.testing.assert_allclose(schedules.polynomial(0.8, 30, 2.5, 0.2)(t), power, rtol=1e-5)
    np.testing.assert_allclose(schedules.one_cycle(0.8, 40, 0.25, 0.75, 8.0, 50.0)(t), cycle, rtol=1e-5)
    np.testing.assert_allclose(schedules.sgdr(0.8, 6, 2, 0.2)(t), again, rtol=1e-5)


@pytest.mark.parametrize(
    ("period", "multiplier"), [(10, 1), (7, 1.0), (3, 2), (1, 3), (10, 1.5), (100, 1.015625), (5, 2.5)]
)
def test_sgdr_restarts_on_the_exact_step(period, multiplier):
    """A rounded logarithm would be a step early or late; cycles of fractional length are tested within rounding."""
    firsts, fractions = [], []
    begin, length = Fraction(0), Fraction(period)
    while begin < (100_000 if multiplier % 1 == 0 else 10_000) and len(firsts) < 400:
        firsts.append(math.ceil(begin))
        fractions.append(float((firsts[-1] - begin) / length))
        begin, length = begin + length, length * Fraction(multiplier)
    value = jax.jit(lambda multiplier, t: schedules.sgdr(1.0, period, multiplier)(t))
    at, before = (value(jnp.asarray(multiplier, jnp.float32), jnp.asarray(firsts) - early) for early in (0, 1))
    np.testing.assert_allclose(at, half_cosine(np.asarray(fractions), 1.0, 1.0), atol=0.02)
    if period > 1:
        assert (before[1:] < 0.3).all()


def test_sgdr_derivative_at_multiplier_one():
    """Against finite differences in float64, where (m^i - 1) / (m - 1) is 0 / 0."""
    with jax.enable_x64(True):
        value = jax.jit(lambda m: schedules.sgdr(1.0, 10, m)(35))
        np.testing.assert_allclose(jax.grad(value)(1.0), (value(1 + 1e-6) - value(1 - 1e-6)) / 2e-6, rtol=1e-5)


def test_sgdr_with_multiplier_below_one_ends_with_nan():
    value = schedules.sgdr(1.0, 16, 0.5)(jnp.asarray([0, 16, 24, 28, 33]))
    np.testing.assert_allclose(value, [1, 1, 1, 1, np.nan], rtol=1e-5)


def test_schedules_are_equal_in_limits():
    t = jnp.asarray(T)
    np.testing.assert_allclose(schedules.sgdr(0.8, 41)(t), schedules.cosine(0.8, 41)(t), rtol=1e-5)
    np.testing.assert_allclose(schedules.polynomial(0.8, 30, 1.0)(t), schedules.linear(0.8, 30)(t), rtol=1e-6)
    ours = schedules.warmup(5, schedules.linear(0.8, 20))(t)
    np.testing.assert_allclose(schedules.wsd(0.8, 5, 0, 20)(t), ours, rtol=1e-5, atol=1e-7)
    ramp = schedules.range_test(0.8, 0.4, 10)(t)
    np.testing.assert_allclose(ramp[:11], schedules.exponential(0.8, 0.5, 10)(t)[:11], rtol=1e-5)
    np.testing.assert_allclose(ramp[10:], 0.4, rtol=1e-6)


def test_inverse_square_root_has_the_values_of_the_transformer():
    """For width 512 and a warm-up of 4000 steps, the lr is at most 7e-4, and half of that after 16000 steps."""
    value = schedules.inverse_square_root(peak=(512 * 4000) ** -0.5, warmup=4000)(jnp.asarray([0, 3999, 15999]))
    np.testing.assert_allclose(value, [1.747e-7, 6.988e-4, 3.494e-4], rtol=1e-3)


def test_step_decays_on_the_exact_step():
    """Also for large steps, where a rounded quotient could be a step early or late."""
    for every in (3, 7, 49, 1000):
        k = np.asarray([1, 2, 13, 4000 // every])
        value = schedules.step(1.0, every, 2.0**-0.01)
        at, before = value(jnp.asarray(k * every)), value(jnp.asarray(k * every - 1))
        np.testing.assert_allclose(-100 * np.log2(at), k, atol=0.02 * k.max())
        np.testing.assert_allclose(at / before, 2.0**-0.01, rtol=1e-5)


def test_warmup_precedes_any_schedule():
    t = jnp.asarray(T)
    ours = schedules.warmup(5, schedules.cosine(peak=0.4, steps=20))(t)
    np.testing.assert_allclose(ours, np.where(T < 5, 0.4 * T / 5, half_cosine(T - 5, 0.4, 20)), rtol=1e-5, atol=1e-7)
    own = schedules.warmup(5, lambda t: 1 / (1 + t))(t)
    np.testing.assert_allclose(own, np.where(T < 5, T / 5, 1 / (T - 4.0 + (T == 4))), rtol=1e-6)
    twice = schedules.warmup(4, schedules.warmup(6, 0.9, start=0.3))(t)
    np.testing.assert_allclose(twice[:11], [0, 0.075, 0.15, 0.225, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], rtol=1e-5)


def test_schedules_with_zero_steps_are_at_their_end():
    """A warm-up of 0 steps starts at its end, and a cosine of 0 steps is at its floor."""
    np.testing.assert_allclose(schedules.warmup(0, 0.5)(jnp.asarray([0, 3])), [0.5, 0.5])
    np.testing.assert_allclose(schedules.cosine(0.5, 0, floor=0.125)(jnp.asarray([0, 3])), [0.125, 0.125])
    assert np.isfinite(jax.grad(lambda steps: schedules.warmup(steps, 0.5)(2))(0.0))
    assert np.isfinite(jax.grad(lambda steps: schedules.cosine(0.5, steps)(2))(0.0))
    t = jnp.asarray([0, 3])
    np.testing.assert_allclose(schedules.linear(0.5, 0, 0.125)(t), [0.125, 0.125])
    np.testing.assert_allclose(schedules.wsd(0.5, 0, 0, 0, floor=0.125)(t), [0.125, 0.125])
    np.testing.assert_allclose(schedules.wsd(0.5, 0, 2, 0, floor=0.125)(t), [0.5, 0.125])
    np.testing.assert_allclose(schedules.one_cycle(0.5, 4, rise=0.0, fall=1.0, divisor=2.0)(t), [0.5, 0.3125])
    np.testing.assert_allclose(schedules.inverse_square_root(0.5, 0)(t), [0.5, 0.25])
