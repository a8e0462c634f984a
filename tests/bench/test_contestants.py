"""All contestants do the same work: same start, same batches, same final losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.bench.draws import all_rows
from gdlab.bench.jax_contestants import by_hand, in_jax, outcomes, scans_under_vmap, sweeping, vmap_in_a_scan
from gdlab.bench.task import count, runs
from gdlab.bench.tasks import TASKS
from gdlab.bench.tasks.mlp import mlp
from gdlab.bench.tasks.rosenbrock import rosenbrock
from gdlab.bench.torch_contestants import eager_loop, in_torch, mapped


def _trained(contestants, total):
    """The final losses of each contestant, and the indices of its runs."""
    for one in contestants:
        losses = one.prepare()()
        numbers = np.arange(total) if one.runs is None else one.runs
        assert losses.shape == numbers.shape
        yield one.name, losses, numbers


def _loss(task, params):
    return np.asarray(task.loss(params, jax.tree.map(jnp.asarray, task.data)))


def test_jax_contestants_agree_with_the_engine(small, engine):
    first, *others = in_jax(small)
    assert first.name == "engine"
    assert len(others) == (3 if small.batch_size is None else 4)
    assert np.isfinite(engine).all()
    assert len(np.unique(engine)) == count(small)  # the hyperparameters make a difference
    assert not np.isclose(engine, _loss(small, small.start), rtol=1e-4).any()  # and the runs have moved
    for name, losses, numbers in _trained(others, count(small)):
        np.testing.assert_allclose(losses, engine[numbers], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "task",
    [
        # lr 1e20: a step overflows; 1e30 and 1e38: the first step makes a weight infinite.
        mlp(steps=6)._replace(over={"lr": np.array([0.01, 1e5, 1e12, 1e20, 0.1, 1e30, 1e38])}),
        rosenbrock(steps=12)._replace(over={"lr": np.geomspace(1e-4, 1e38, 12), "beta": np.array([0.0, 0.5, 0.9])}),
    ],
    ids=["shared batches", "no batches"],
)
def test_by_hand_has_the_results_of_the_engine(task):
    engine, found = sweeping(task)(), outcomes(*by_hand(task))
    ended = found.diverged_at
    assert (ended == -1).any()
    assert ((ended >= 0) & (ended < task.steps)).any()
    np.testing.assert_array_equal(ended, engine["diverged_at"].values.ravel())
    np.testing.assert_allclose(found.final_loss, engine["final_loss"].values.ravel(), rtol=1e-5)
    np.testing.assert_allclose(found.best_loss, engine["best_loss"].values.ravel(), rtol=1e-5)
    np.testing.assert_array_equal(np.isnan(found.final_loss), ended >= 0)


def test_by_hand_reports_a_final_loss_that_is_not_finite():
    task = rosenbrock(steps=1)._replace(over={"lr": np.array([1e-4, 1e10]), "beta": np.array([0.0])})
    found = outcomes(*by_hand(task))  # one finite step with lr 1e10; the loss, with its fourth power, overflows
    assert found.diverged_at.tolist() == [-1, 1]
    assert found.best_loss.tolist() == pytest.approx([24.2, 24.2])
    np.testing.assert_array_equal(np.isnan(found.final_loss), [False, True])
    assert sweeping(task)()["diverged_at"].values.ravel().tolist() == [-1, 1]


def test_torch_contestants_agree_with_the_engine(small, engine):
    pytest.importorskip("torch")
    for name, losses, numbers in _trained(in_torch(small)[:2], count(small)):
        np.testing.assert_allclose(losses, engine[numbers], rtol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # warnings of the compiler
def test_compiled_torch_contestant_agrees_with_the_engine(small, engine):
    pytest.importorskip("torch")
    np.testing.assert_allclose(mapped(small, compiled=True)(), engine, rtol=1e-5)


def test_rosenbrock_task_is_heavy_ball_momentum():
    task = rosenbrock(rates=3, betas=2, steps=30)
    ends = []
    for lr, beta in zip(*runs(task).values(), strict=True):
        place, velocity = np.array([-1.2, 1.0]), np.zeros(2)
        for _ in range(30):
            x, y = place
            slope = np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])
            velocity = beta * velocity + slope
            place = place - lr * velocity
        ends.append((1 - place[0]) ** 2 + 100 * (place[1] - place[0] ** 2) ** 2)
    np.testing.assert_allclose(scans_under_vmap(task)(), ends, rtol=1e-4)


def test_mlp_task_trains_on_its_batches():
    task = mlp(rates=2, steps=4)
    ends = []
    for lr in runs(task)["lr"]:
        w, b, v, c = (np.asarray(leaf, np.float64) for leaf in task.start)
        for rows in all_rows(task):
            x, y = (leaf[rows] for leaf in task.data)
            h, z = _forward(x, w, b, v, c)
            dz = (np.exp(_log_softmax(z)) - np.eye(10)[y]) / len(rows)
            dh = (dz @ v.T) * (h > 0)
            w, b, v, c = w - lr * x.T @ dh, b - lr * dh.sum(0), v - lr * h.T @ dz, c - lr * dz.sum(0)
        x, y = task.data
        ends.append(-_log_softmax(_forward(x, w, b, v, c)[1])[np.arange(len(y)), y].mean())
    np.testing.assert_allclose(vmap_in_a_scan(task)(), ends, rtol=1e-5)


def _forward(x, w, b, v, c):
    h = np.maximum(x @ w + b, 0)
    return h, h @ v + c


def _log_softmax(z):
    shifted = z - z.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def test_all_rows_differ_by_step_and_repeat_examples():
    rows = all_rows(mlp(rates=1, steps=50))
    assert rows.shape == (50, 128)
    assert rows.min() >= 0
    assert rows.max() < 1797
    assert len(np.unique(rows, axis=0)) == 50
    assert any(len(np.unique(batch)) < 128 for batch in rows)  # with replacement


@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer", "wide"])
def test_flops_equal_those_of_the_compiler(name):
    task = TASKS[name](1, 1)
    data = jax.tree.map(jnp.asarray, task.data)
    batch = jax.tree.map(lambda leaf: leaf[: task.batch_size], data)
    counted = sum(
        jax.jit(fn).lower(task.start, given).compile().cost_analysis()["flops"]
        for fn, given in ((jax.grad(task.loss), batch), (task.loss, data))
    )
    assert task.flops == pytest.approx(counted, rel=0.2)


def test_flops_grow_with_the_steps():
    one, two, three = (mlp(1, steps).flops for steps in (1, 2, 3))
    assert two - one == three - two == 128 * (2 * 2 * 64 * 32 + 3 * 2 * 32 * 10)


def test_eager_loop_trains_the_given_runs():
    pytest.importorskip("torch")
    task = rosenbrock(rates=2, betas=2, steps=5)
    np.testing.assert_array_equal(eager_loop(task, np.array([3, 0]))(), eager_loop(task, np.arange(4))()[[3, 0]])
