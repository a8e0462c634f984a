"""Which calls compile a program, and which reuse one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import Problem, Stop, evaluate, sweep
from gdlab.engine import tile_run
from gdlab.engine.execute import Settings
from gdlab.engine.plan import plan
from gdlab.engine.space import space
from gdlab.rules import gd, momentum
from gdlab.types import Process
from tests.engine.engine_cases import assert_same_bits, bowl, executed, trained


def go(rates, seeds=2, *, curvature=4.0, beta=0.5, bound=1e6, steps=4):
    rule = functools.partial(momentum, beta=beta)
    problem = functools.partial(bowl, curvature=curvature)
    return sweep(problem, rule, {"lr": rates, "seed": seeds}, steps=steps, stop=Stop(bound=bound))


def test_evaluate_compiles_nothing_for_other_numbers_of_the_same_shape(programs):
    first = go([0.1, 0.2, 0.3])
    before = len(programs)
    assert before == 3
    assert first.attrs["compile_seconds"] > 0
    others = [
        go([0.15, 2.0, 1e-4]),
        go([0.1, 0.2, 0.3], [7, 5]),
        go([0.1, 0.2, 0.3], curvature=1.0),
        go([0.1, 0.2, 0.3], beta=0.9),
        go([0.1, 0.2, 0.3], bound=1e-3),
    ]
    assert len(programs) == before
    for other in others:
        assert other.attrs["compile_seconds"] == 0
        assert (other["final_loss"].values != first["final_loss"].values).any()


def test_evaluate_uses_the_new_numbers_in_a_cached_program():
    go([0.1, 0.2, 0.3])
    again = go([0.05, 0.2, 0.1], [3, 9], curvature=2.0, beta=0.7)
    for row, lr in zip(again["final_loss"].values, (0.05, 0.2, 0.1), strict=True):
        for found, seed in zip(row, (3, 9), strict=True):
            problem = bowl(2.0)
            start = np.asarray(problem.init(jax.random.split(jax.random.key(seed), 3)[0]), float)
            x, v = start, np.zeros(2)
            for _ in range(4):
                v = 0.7 * v + np.array([1.0, 2.0]) * x
                x = x - lr * v
            np.testing.assert_allclose(found, 0.5 * (x[0] ** 2 + 2 * x[1] ** 2), rtol=1e-5)


def test_sweep_compiles_another_shape_or_number_of_steps(programs):
    go([0.1, 0.2, 0.3])
    for other in (lambda: go([0.1, 0.2]), lambda: go([0.1, 0.2, 0.3], steps=6)):
        before = len(programs)
        assert other().attrs["compile_seconds"] > 0
        assert len(programs) > before


@pytest.mark.parametrize("runs", [16, 19, 40])
def test_execute_shares_programs_between_full_tiles_and_the_last(runs, programs):
    points, groups = trained(bowl(), gd, {"lr": np.linspace(0.1, 0.4, runs)}, steps=4)
    data = executed(points, groups, Settings(chunk=8, tile=16))
    assert len(programs) == 3
    wanted = executed(points, groups, Settings(chunk=8))
    assert_same_bits(data, wanted)


def test_compact_continues_in_the_same_program(programs, segmented, monkeypatch):
    moved, gather = [], tile_run.gather
    monkeypatch.setattr(tile_run, "gather", lambda of: moved.append((of.chunks, of.layout)) or gather(of))
    segmented(16)
    points, groups = trained(bowl(), gd, {"lr": 2.0 ** np.arange(-8, 40)}, steps=48)
    executed(points, groups, Settings(chunk=8))
    assert len(moved) > 1
    assert len(programs) == 3 + len(set(moved)) == 4
    executed(points, groups, Settings(chunk=8, compact=False))
    assert len(programs) == 4


@pytest.mark.parametrize("where", ["plain", "scan", "cond"])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_program_takes_closed_over_arrays_as_arguments(where, kind, programs):
    def closing_over(array):
        def total(x):
            if where == "scan":
                return jax.lax.scan(lambda c, i: (c + x * jnp.asarray(array)[i], None), 0.0 * x, jnp.arange(3000))[0]
            if where == "cond":
                return jax.lax.cond(x > 0, lambda: x * jnp.sum(jnp.asarray(array)), lambda: 0.0 * x)
            return x * jnp.sum(jnp.asarray(array))

        return total

    counts = []
    for seed in range(3):
        array = np.random.default_rng(seed).integers(0, 9, 3000).astype(np.float32)
        data = evaluate(closing_over(kind(array)), {"x": [1.0, 2.0]})
        np.testing.assert_array_equal(data["value"], [array.sum(), 2 * array.sum()])
        counts.append(len(programs))
    assert counts[0] == counts[1] == counts[2] > 0


@pytest.mark.parametrize("size", [3, 50_000])
def test_program_distinguishes_arrays_inside_jitted_functions(size):
    for place in (0, size // 2, size - 1):
        array = np.zeros(size, np.float32)
        array[place] = place + 1
        data = evaluate(lambda x, array=array: jax.jit(lambda y: jnp.max(y * array))(x), {"x": [1.0, 2.0]})
        np.testing.assert_array_equal(data["value"], [place + 1, 2 * place + 2])


def test_sweep_compiles_nothing_for_another_data_set_of_the_same_shape(programs):
    def fit(target):
        problem = Problem(
            init=lambda key: jnp.zeros(2),
            loss=lambda w, batch: jnp.mean(jnp.sum((w[None] - batch) ** 2, axis=-1)),
            data=jnp.asarray(target) + jnp.zeros((6, 2)),
        )
        return sweep(problem, gd, {"lr": [0.5]}, steps=1, batch_size=2)

    np.testing.assert_allclose(fit(3.0)["loss"][0, 0], 18)
    before = len(programs)
    other = fit(5.0)
    np.testing.assert_allclose(other["loss"][0, 0], 50)
    assert len(programs) == before
    assert other.attrs["compile_seconds"] == 0


def test_groups_with_equal_programs_share_them(programs):
    over = {"kind": ["a", "b"], "x": [1.0, 2.0]}
    data = evaluate(lambda kind, x: 2 * x, over)
    alone = len(programs)
    evaluate(lambda kind, x: 2 * x, {"kind": ["a"], "x": [1.0, 2.0]})
    assert len(programs) == alone
    np.testing.assert_array_equal(data["value"], [[2, 4], [2, 4]])


def test_evaluate_compiles_another_program_for_double_precision(programs):
    def tenth():
        return evaluate(lambda x: x / 10, {"x": [1.0, 2.0]})["value"].dtype

    assert tenth() == np.float32
    with jax.enable_x64(True):
        assert tenth() == np.float64
    assert tenth() == np.float32


def test_program_distinguishes_functions_that_read_different_arguments():
    over = {"x": [1.0, 2.0], "y": [3.0, 4.0]}
    np.testing.assert_array_equal(evaluate(lambda x, y: 2 * x, over)["value"], [[2, 2], [4, 4]])
    np.testing.assert_array_equal(evaluate(lambda x, y: 2 * y, over)["value"], [[6, 8], [6, 8]])


@pytest.mark.parametrize("order", [1, -1])
def test_chunk_programs_distinguishes_a_fixed_value_from_an_axis(order):
    ways = [({"x": [3.0]}, {"y": 2.0}, (1,)), ({"x": [3.0], "y": [2.0]}, {}, (1, 1))]
    fn = lambda x, y: x - y
    for over, fixed, shape in ways[::order]:
        values = evaluate(fn, over, fixed=fixed, chunk=1)["value"]
        np.testing.assert_array_equal(values, np.ones(shape))


def counting(past):
    """A process that counts up to 6; its status says whether the count exceeds a number."""

    return Process(
        start=lambda point: jnp.zeros(()),
        begin=lambda point, index: (),
        step=lambda point, count, shared, index: (jnp.minimum(count + point["rate"], 6.0), shared, {"count": count}),
        check=lambda point, before, after, index: (after, jnp.asarray(False)),
        status=lambda count: {"alive": count >= 0, "past": count > past},
        finish=lambda point, count: {"end": count},
        steps=4,
        every=1,
        names=("rate",),
    )


def test_chunk_programs_distinguishes_processes_by_their_status():
    points, ends = space({"rate": [1.0, 2.0]}), []
    for past in (5.0, 3.0):
        reports = []
        groups = plan(points, lambda values, past=past: counting(past))
        data = executed(points, groups, Settings(progress=reports.append))
        assert data["end"].values.tolist() == [4.0, 6.0]
        ends.append(reports[-1].status["past"])
    assert ends == [1, 2]
