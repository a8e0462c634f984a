"""Random spaces on the engine equal a plain loop over their points, to the bit if the arithmetic is exact."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import Problem, descend, evaluate, sweep
from gdlab.rules import gd, momentum
from tests.engine.random_spaces import random_case


def host(factor):
    """A function on the host; functions with other factors have the same code."""
    return lambda v: factor * v + factor


def one_at(place, size=1200, value=3.0):
    array = np.zeros(size)
    array[place] = value
    return array


CLOSE = 1 + 2**-30  # one in single precision
NUMBERS = [
    [0.0, -0.0, 1.0, CLOSE, -2.5, 0.125],
    [0, 1, 2, -3],
    [0, 1.0, -0.0, 2, np.float32(0.5), np.int64(1)],
    [np.float32(0.5), np.float32(-0.0)],
]
OTHERS = [
    [True, False, 1, 1.0, 0, 0.0, -0.0, None, "x", "1", np.int64(1), np.True_],
    [(1,), (True,), (1.0,), (0.0,), (-0.0,), (1, 2), ((1,), 2), ("x", None)],
    [one_at(500), one_at(501), one_at(501).copy(), np.zeros(1200), np.zeros(1200, int), np.ones(2)],
    [np.array([1.0, 1.0]), np.array([1.0, CLOSE]), np.array([1, 1]), np.array([True, True]), np.zeros(2), -np.zeros(2)],
    [jnp.ones(2), np.ones(2, np.float32), jnp.zeros(2), -jnp.zeros(2), jnp.ones(2, int), (1.0, 1.0)],
    ["x", "y", None],
]
CALLED = [[host(1), host(2), host(3)]]
POOLS = {"a": NUMBERS, "b": NUMBERS, "c": NUMBERS + OTHERS, "d": OTHERS}
WEIGHTS = {"a": 1, "b": 3, "c": 9, "d": 27, "f": 0}


def measured(value):
    """A number that differs between values, and one that differs between types, computed without JAX."""
    if hasattr(value, "shape") and np.ndim(value):
        array = np.asarray(value)
        signs = np.signbit(array).sum() if array.dtype.kind == "f" else 0
        total = float((array * (1 + np.arange(array.size) % 5)).sum()) + signs / 8
        return total, 10 + "biuf".index(array.dtype.kind) + array.dtype.itemsize + 20 * isinstance(value, jax.Array)
    if isinstance(value, tuple):
        totals, kinds = zip(*map(measured, value), strict=True)
        return sum((2 + i) * t for i, t in enumerate(totals)), 50 + sum(3**i * kind for i, kind in enumerate(kinds))
    if isinstance(value, str | None):
        return (7.0, 1) if value is None else (float(sum(map(ord, value))), 2)
    if isinstance(value, float):
        return 2 * value + np.signbit(value) / 8, 5
    return float(2 * value), 3 if isinstance(value, bool) else 4


def fn(**point):
    """Sums what `measured` returns, in JAX for traced values. Host functions are applied last."""
    real = jnp.result_type(float)
    total, kinds = jnp.zeros(1, real)[0], 0
    for name, value in sorted(point.items()):
        if callable(value):
            shape = jax.ShapeDtypeStruct((), real)
            total = jax.pure_callback(
                lambda v, f=value: real.type(f(np.asarray(v))), shape, total, vmap_method="sequential"
            )
        elif isinstance(value, jax.core.Tracer):
            whole = jnp.issubdtype(value.dtype, jnp.integer)
            number = value.astype(real)
            sign = jnp.zeros((), real) if whole else jnp.signbit(value).astype(real)
            total = total + WEIGHTS[name] * (2 * number + sign / 8)
            kinds += WEIGHTS[name] * (4 if whole else 5)
        else:
            # An array, which becomes an argument of the program: functions of other static values then share it.
            number, kind = measured(value)
            total = total + WEIGHTS[name] * jnp.asarray([number], real)[0]
            kinds += WEIGHTS[name] * kind
    return {"total": total, "kinds": jnp.asarray([kinds], jnp.int32)[0]}


def looped(point, real):
    """The values of `fn`, computed in Python and NumPy."""
    total, kinds = real(0), 0
    for name, value in sorted(point.items()):
        if callable(value):
            total = real(value(total))
        else:
            number, kind = measured(real(value).item() if type(value) is float else value)
            total = real(total + WEIGHTS[name] * real(number))
            kinds += WEIGHTS[name] * kind
    return {"total": total, "kinds": kinds}


def compare_evaluate(seeds, pools=POOLS, double=False):
    """How many spaces and cells were compared."""
    cells = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        case = random_case(rng, pools)
        with jax.enable_x64(double):
            static = [name for name in "ab" if rng.random() < 0.2]
            data = evaluate(fn, case.over, static=static, chunk=[None, 1, 3, 4][rng.integers(4)])
        shape = tuple(len(block.rows) for block in case.blocks)
        wanted = {"total": np.empty(shape, np.float64 if double else np.float32), "kinds": np.empty(shape, np.int32)}
        for place, point in case.cells():
            for name, value in looped(point, wanted["total"].dtype.type).items():
                wanted[name][place] = value
            cells += 1
        for name, values in wanted.items():
            assert data[name].shape == shape, (seed, case)
            np.testing.assert_array_equal(data[name].values, values, err_msg=f"seed {seed}: {case}", strict=True)
    print(f"{len(seeds)} spaces, {cells} cells")
    return len(seeds), cells


DATA = np.array([[1, 2], [0, -1], [3, 1], [-2, 0], [1, 1], [2, -2]], np.float32)
SWEPT = {
    "lr": [[0.25, 0.5, 0.125, 1], [0.0, -0.0]],
    "beta": [[0.5, 0.25, 0.0]],
    "rules.heavy.lr": [[0.25, 0.125]],
    "seed": [[0, 1, 2]],
    "batch_size": [[None, 2, 3], [2, 4]],
    "problem.shift": [[0.0, 1, 0.5], [0, 1]],
    "problem.kind": OTHERS[:2],
    "problem.h": OTHERS[2:4],
    "problem.push": CALLED,
}


def bowl(h=1.0, shift=0.0, kind=None, push=None):
    """A quadratic around the examples; `push` changes the gradient on the host."""
    tilt, height = measured(h)[0] / 16, measured(kind)[0] / 8

    def loss(w, batch):
        across, up = jnp.mean((w[None] - batch - jnp.asarray(shift, jnp.float32)) ** 2, axis=0)
        return across + tilt * up + height

    def gradient(w, batch):
        value, grads = jax.value_and_grad(loss)(w, batch)
        pushed = lambda v: np.float32(push(np.asarray(v)) / 8)
        return value, jax.pure_callback(pushed, jax.ShapeDtypeStruct((2,), np.float32), grads, vmap_method="sequential")

    start = lambda key: jax.random.randint(key, (2,), -3, 4).astype(jnp.float32)
    return Problem(init=start, loss=loss, gradient=gradient if push else None, data=jnp.asarray(DATA))


@functools.partial(jax.jit, static_argnames=("label", "batch_size", "push", "every"))
def descended(label, batch_size, push, every, tilt, height, shift, lr, beta, seed):
    """A single run. Values that the engine compiles as constants are arguments here."""
    problem = bowl(push=push)

    def loss(w, batch):
        return jnp.sum(jnp.stack([jnp.float32(1), tilt]) * jnp.mean((w[None] - batch - shift) ** 2, axis=0)) + height

    def gradient(w, batch):
        value, grads = jax.value_and_grad(loss)(w, batch)
        pushed = lambda v: np.float32(push(np.asarray(v)) / 8)
        return value, jax.pure_callback(pushed, jax.ShapeDtypeStruct((2,), np.float32), grads, vmap_method="sequential")

    alone = Problem(init=problem.init, loss=loss, gradient=gradient if push else None, data=problem.data)
    rule = gd(lr) if label == "gd" else momentum(lr, beta)
    run = descend(alone, rule, jax.random.key(seed), steps=4, batch_size=batch_size, every=every)
    return {"loss": run.series["loss"], "final_loss": run.outcome.final_loss, "best_loss": run.outcome.best_loss}


def alone(label, point, every):
    """The run at a point, with defaults for absent axes."""
    own = point.get("rules.heavy.lr") if label == "heavy" else None
    numbers = {
        "tilt": measured(point.get("problem.h", 1.0))[0] / 16,
        "height": measured(point.get("problem.kind"))[0] / 8,
        "shift": point.get("problem.shift", 0.0),
        "lr": point.get("lr", 0.125) if own is None else own,
        "beta": point.get("beta", 0.75),
    }
    floats = {name: np.float32(value) for name, value in numbers.items()}
    size, push = point.get("batch_size"), point.get("problem.push")
    return descended(label, size, push, every, seed=np.int32(point.get("seed", 7)), **floats)


def compare_sweep(seeds, pools):
    """How many spaces and runs were compared."""
    runs = 0
    rules = {"gd": functools.partial(gd, lr=0.125), "heavy": functools.partial(momentum, lr=0.125, beta=0.75)}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        case, every = random_case(rng, pools), int(rng.integers(1, 3))
        chunk = [None, 1, 3, 4][rng.integers(4)]
        data = sweep(bowl, rules, case.over, steps=4, seed=7, every=every, chunk=chunk)
        shape = tuple(len(block.rows) for block in case.blocks)
        assert data["final_loss"].shape == (2, *shape), (seed, case)
        for number, label in enumerate(rules):
            for place, point in case.cells():
                for name, value in alone(label, point, every).items():
                    found = data[name].values[(number, *place)]
                    message = f"seed {seed}, {label}, {point}: {case}"
                    np.testing.assert_allclose(found, value, rtol=2e-6, err_msg=message)
                runs += 1
    print(f"{len(seeds)} spaces, {runs} runs")
    return len(seeds), runs


def without(pools, *names):
    return {name: values for name, values in pools.items() if name not in names}


HOST = {"a": NUMBERS, "d": OTHERS[-1:], "f": CALLED}
TRACED = without(SWEPT, "problem.kind", "problem.h", "problem.push", "batch_size")


@pytest.mark.parametrize(
    ("seeds", "pools", "double", "cells"),
    [(range(16), POOLS, False, 134), (range(100, 104), POOLS, True, 34), (range(200, 203), HOST, False, 17)],
    ids=["single", "double", "host"],
)
def test_evaluate_equals_a_plain_loop(seeds, pools, double, cells):
    assert compare_evaluate(seeds, pools, double) == (len(seeds), cells)


def test_sweep_equals_a_plain_loop():
    assert compare_sweep(range(2), TRACED) == (2, 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "pools", "double", "cells"),
    [
        (range(1000, 1700), POOLS, False, 4242),
        (range(2000, 2200), POOLS, True, 1113),
        (range(3000, 3150), HOST, False, 693),
    ],
    ids=["single", "double", "host"],
)
def test_evaluate_equals_a_plain_loop_in_hundreds_of_spaces(seeds, pools, double, cells):
    assert compare_evaluate(seeds, pools, double) == (len(seeds), cells)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "pools", "runs"), [(range(5000, 5060), TRACED, 556), (range(6000, 6040), SWEPT, 392)]
)
def test_sweep_equals_a_plain_loop_in_tens_of_spaces(seeds, pools, runs):
    assert compare_sweep(seeds, pools) == (len(seeds), runs)
