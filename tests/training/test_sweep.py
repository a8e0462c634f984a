"""A sweep equals the same runs executed one by one."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdlab
from gdlab import Problem, Rule, Stop, descend, problems, rules, sweep
from gdlab.engine.space import SpaceError
from gdlab.schedules import exponential
from gdlab.training.probes import grad_norm, position

SIZES = {"final_loss", "best_loss", "steps_taken", "diverged_at", "converged_at"}


def averaged(lr=0.1, weight=0.5):
    """A rule as a user would write it: a step along the average of the last two gradients."""

    def init(params):
        return jax.tree.map(jnp.zeros_like, params)

    def update(grads, before, params=None, **extra):
        mixed = jax.tree.map(lambda g, b: (1 - weight) * g + weight * b, grads, before)
        return jax.tree.map(lambda m: -lr * m, mixed), grads

    return Rule(init, update)


def noisy_line(slope=3.0, n=24):
    """A problem as a user would write it: a line through noisy points."""
    x = jnp.linspace(-1.0, 1.0, n)
    y = slope * x + 0.3 * jnp.sin(40.0 * x)
    return Problem(
        init=lambda key: 0.1 * jax.random.normal(key, (2,)),
        loss=lambda w, batch: jnp.mean((w[0] * batch[0] + w[1] - batch[1]) ** 2),
        data=(x, y),
        metrics={"slope_error": lambda w, batch: jnp.abs(w[0] - slope)},
    )


@pytest.mark.smoke
@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-6), (True, 1e-13)])
def test_own_rule_and_own_problem_over_rate_own_hyperparameter_and_seed_equal_a_loop_over_descend(double, tolerance):
    with jax.enable_x64(double):
        _assert_sweep_is_a_loop(tolerance)


def _assert_sweep_is_a_loop(tolerance):
    over = {"lr": gdlab.log(1e-2, 0.3, 4), "weight": [0.0, 0.3, 0.6], "seed": 3}
    settings = {"steps": 30, "batch_size": 5, "every": 7, "probes": {"g": grad_norm}}
    data = sweep(noisy_line(), averaged, over, **settings)
    assert data["final_loss"].dims == ("lr", "weight", "seed")
    assert data["loss"].dims == data["g"].dims == ("lr", "weight", "seed", "step")
    assert dict(data.sizes) == {"lr": 4, "weight": 3, "seed": 3, "step": 5}
    np.testing.assert_array_equal(data["step"], [0, 7, 14, 21, 28])

    @jax.jit
    def one(lr, weight, seed):
        return descend(noisy_line(), averaged(lr, weight), jax.random.key(seed), **settings)

    for lr, weight, seed in itertools.product(*(data[name].values for name in ("lr", "weight", "seed"))):
        trace = one(float(lr), float(weight), int(seed))
        here = data.sel(lr=lr, weight=weight, seed=seed)
        alone = {name: getattr(trace.outcome, name) for name in SIZES} | dict(trace.outcome.metrics) | trace.series
        assert set(alone) == set(data.data_vars)
        for name, value in alone.items():
            np.testing.assert_allclose(here[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.usefixtures("standard_promotion")
def test_rules_are_the_first_dim_and_each_takes_the_axes_it_has():
    makers = {"gd": rules.gd, "heavy": rules.momentum, "theirs": optax.adam}
    over = {"lr": [0.01, 0.1], "beta": [0.5, 0.9], "b1": [0.3]}
    data = sweep(problems.quadratic_2d(), makers, over, steps=5, every=None)
    assert data["final_loss"].dims == ("rule", *over)
    assert list(data["rule"].values) == list(makers)
    assert "loss" not in data
    for lr, beta in itertools.product(over["lr"], over["beta"]):
        built = {"gd": rules.gd(lr), "heavy": rules.momentum(lr, beta), "theirs": optax.adam(lr, b1=0.3)}
        for name, rule in built.items():
            trace = descend(problems.quadratic_2d(), rule, jax.random.key(0), steps=5)
            found = data["final_loss"].sel(rule=name, lr=lr, beta=beta, b1=0.3)
            np.testing.assert_allclose(found, trace.outcome.final_loss, rtol=1e-6)


def test_zipped_axes_move_together():
    pairs = [(0.1, 0.9), (0.01, 0.99), (0.05, 0.0)]
    data = sweep(problems.quadratic_2d(), rules.momentum, {("lr", "beta"): pairs, "seed": [4, 2]}, steps=9)
    assert data["final_loss"].dims == ("lr_beta", "seed")
    assert data["lr"].dims == data["beta"].dims == ("lr_beta",)
    for place, (lr, beta) in enumerate(pairs):
        trace = descend(problems.quadratic_2d(), rules.momentum(lr, beta), jax.random.key(2), steps=9)
        np.testing.assert_allclose(data["final_loss"].sel(seed=2)[place], trace.outcome.final_loss, rtol=1e-6)


def test_a_problems_hyperparameters_and_batch_sizes_are_axes():
    over = {"problem.slope": [1.0, -2.0], "batch_size": [1, 4, None], "lr": [0.1]}
    data = sweep(noisy_line, rules.gd, over, steps=6, sampling="replacement")
    assert list(data["batch_size"].values) == [1, 4, "all"]
    for slope, size in itertools.product(over["problem.slope"], over["batch_size"]):
        settings = {"steps": 6, "batch_size": size, "sampling": "replacement"}
        trace = descend(noisy_line(slope), rules.gd(0.1), jax.random.key(0), **settings)
        found = data["loss"].sel({"problem.slope": slope, "batch_size": size or "all", "lr": 0.1})
        np.testing.assert_allclose(found, trace.series["loss"], rtol=1e-6)


def test_an_axis_that_decides_a_shape_is_found_out():
    def wide(width=2):
        return Problem(init=lambda key: jnp.ones(int(width)), loss=lambda x, batch: jnp.sum(x**2))

    data = sweep(wide, rules.gd, {"problem.width": [1, 3], "lr": [0.1, 0.25]}, steps=2, probes={"x": position})
    np.testing.assert_allclose(data["loss"].isel(step=0), [[1, 1], [3, 3]])
    assert data["x"].shape == (2, 2, 2, 3)
    assert np.isnan(data["x"].sel({"problem.width": 1})[..., 1:]).all()
    assert np.isfinite(data["x"].sel({"problem.width": 3})).all()


def test_the_stability_boundary_of_gradient_descent_is_two_over_the_greatest_curvature():
    problem = problems.quadratic(spectrum=(0.5, 2.0, 8.0))
    rates = gdlab.linear(0.2, 0.3, 400)
    data = sweep(problem, rules.gd, {"lr": rates}, steps=4000, every=None, stop=Stop(bound=1e3))
    diverged = data["diverged_at"].values >= 0
    first = int(np.argmax(diverged))
    assert diverged[first:].all()
    assert not diverged[:first].any()
    spacing = rates[1] - rates[0]
    assert abs(rates[first] - 2 / 8.0) <= spacing
    assert (data["final_loss"][: first - 1] < 1e-3).all()


def test_a_lane_that_diverges_changes_no_bit_of_its_neighbours():
    problem = problems.mlp("wine", widths=(6,))
    calm = sweep(problem, rules.momentum, {"lr": [0.01, 0.02, 0.03, 0.04], "seed": 2}, steps=40, batch_size=16)
    wild = sweep(problem, rules.momentum, {"lr": [0.01, 1e20, 0.03, 1e30], "seed": 2}, steps=40, batch_size=16)
    assert (wild["diverged_at"].isel(lr=[1, 3]) >= 0).all()
    assert (calm["diverged_at"] < 0).all()
    for name in calm.data_vars:
        for place in (0, 2):
            np.testing.assert_array_equal(calm[name][place].values, wild[name][place].values, err_msg=name)


def test_a_bad_start_makes_only_that_run_diverge_at_step_zero():
    def walled(edge=0.0):
        return Problem(init=lambda key: jnp.ones(()), loss=lambda x, batch: jnp.log(x - edge) ** 2)

    data = sweep(walled, rules.gd, {"problem.edge": [0.0, 2.0], "lr": [0.1]}, steps=5)
    np.testing.assert_array_equal(data["diverged_at"][:, 0], [-1, 0])
    np.testing.assert_array_equal(data["steps_taken"][:, 0], [5, 0])
    assert np.isnan(data["final_loss"][1, 0])
    assert np.isfinite(data["final_loss"][0, 0])


def test_another_grid_of_the_same_shape_compiles_nothing(compilations):
    problem = problems.logistic_regression("wine")
    makers = {"gd": rules.gd, "heavy": functools.partial(rules.momentum, beta=0.9)}

    def go(rates, beta, tolerance, seed):
        chosen = makers | {"heavy": functools.partial(rules.momentum, beta=beta)}
        stop = Stop(loss=tolerance)
        return sweep(problem, chosen, {"lr": rates, "seed": [seed, 7]}, steps=8, batch_size=16, stop=stop)

    go([0.1, 0.2, 0.3], 0.9, 1e-3, 0)
    before = compilations()
    assert before > 0
    data = go([0.5, 0.02, 1.3], 0.5, 1e-2, 3)
    assert compilations() == before
    assert data.attrs["compile_seconds"] == 0
    go([0.1, 0.2], 0.9, 1e-3, 0)
    assert compilations() > before


def test_a_scheduled_rate_is_swept_by_the_numbers_in_it():
    def decaying(start=0.1, rate=0.9):
        return rules.gd(lr=exponential(start, rate))

    data = sweep(problems.quadratic_2d(), decaying, {"start": [0.1, 0.05], "rate": [0.5, 1.0]}, steps=4)
    for start, rate in itertools.product([0.1, 0.05], [0.5, 1.0]):
        point = np.array([10.0, 1.0])
        for step in range(4):
            point = point - start * rate**step * np.array([1.0, 10.0]) * point
        loss = 0.5 * (point[0] ** 2 + 10 * point[1] ** 2)
        np.testing.assert_allclose(data["final_loss"].sel(start=start, rate=rate), loss, rtol=1e-5)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"lr": []}, "the axis 'lr' has no values"),
        ({"bta": [0.9]}, "unknown axis 'bta'"),
        ({"problem.conditon": [1.0]}, "unknown axis 'problem.conditon'"),
        ({"rule": ["gd"]}, "needs a dict of rules by name"),
        ({"lr": [0.1], ("lr", "beta"): [(0.1, 0.9)]}, "'lr' is given more than once"),
        ({"step": [1]}, "an axis can't be called 'step'"),
        ({"seed": [True, False]}, "the axis 'seed' needs integers, not True"),
        ({"seed": ["a", "b"]}, "the axis 'seed' needs integers, not 'a'"),
        ({"seed": [0, 1.5]}, r"the axis 'seed' needs integers, not .*0\.0"),
        ({"seed": [None]}, "the axis 'seed' needs integers, not None"),
        ({("seed", "lr"): [("0", 0.1)]}, "the axis 'seed' needs integers, not '0'"),
        ({"lr": [0.1, 0.2, 0.1]}, r"the axis 'lr' has 0\.1 twice, at positions 0 and 2: drop one"),
        ({"seed": [3, 3]}, "the axis 'seed' has 3 twice, at positions 0 and 1"),
        ({"batch_size": [None, "all"]}, "the axis 'batch_size' has 'all' twice, at positions 0 and 1"),
        (
            {"lr": [0.1, -0.2]},
            r"the axis 'lr' has -0\.2: a learning rate must be at least 0 \(to ascend, negate the loss\)",
        ),
        ({("beta", "lr"): [(0.9, -1)]}, "the axis 'lr' has -1: a learning rate must be at least 0"),
    ],
)
def test_an_invalid_space_is_refused(over, said):
    with pytest.raises(SpaceError, match=said):
        sweep(problems.quadratic_2d, rules.momentum, over, steps=3)


def test_a_negative_learning_rate_is_refused_wherever_it_is_given():
    over = {"lr": [0.1]}
    for bound in (-0.1, -1):
        with pytest.raises(SpaceError, match=f"lr of the rule a is {bound}: a learning rate must be at least 0"):
            sweep(problems.quadratic_2d, {"a": functools.partial(rules.gd, lr=bound), "b": rules.gd}, {}, steps=3)
    with pytest.raises(SpaceError, match=r"learning_rate is -0\.1"):
        sweep(problems.quadratic_2d, functools.partial(optax.adam, learning_rate=-0.1), {}, steps=3)
    with pytest.raises(SpaceError, match=r"the axis 'rules\.b\.learning_rate' has -0\.1"):
        sweep(
            problems.quadratic_2d, {"a": rules.gd, "b": optax.adam}, {**over, "rules.b.learning_rate": [-0.1]}, steps=3
        )
    # 0 is accepted, and other hyperparameters may be negative.
    data = sweep(problems.quadratic_2d, functools.partial(rules.momentum, beta=-0.5), {"lr": [0.0, -0.0, 0.1]}, steps=3)
    assert (data["final_loss"][:2] == data["final_loss"][0]).all()


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="batch_size is 25, but the data hold only 24 examples"):
        sweep(noisy_line(), rules.gd, {"lr": [0.1]}, steps=3, batch_size=25)


def test_sweep_marks_the_better_direction_of_each_metric():
    def near(centre, w):
        return jnp.abs(w[0] - centre)

    problem = Problem(
        init=lambda key: jnp.ones(1),
        loss=lambda w, batch: jnp.sum(w**2),
        metrics={
            "psnr": gdlab.maximise(lambda w, batch: -near(0.0, w)),
            "offset": lambda w, batch: near(0.0, w),
            "top_accuracy": lambda w, batch: -near(0.0, w),
            "error_accuracy": gdlab.minimise(lambda w, batch: near(0.0, w)),
        },
    )
    data = sweep(problem, rules.gd, {"lr": [0.1, 0.4]}, steps=3)
    directions = {name: data[f"eval_{name}"].attrs["direction"] for name in problem.metrics}
    assert directions == {"psnr": "max", "offset": "min", "top_accuracy": "max", "error_accuracy": "min"}
    assert float(data["eval_psnr"][1]) == pytest.approx(-(0.2**3), rel=1e-5)  # x <- (1 - 2 lr) x


def test_sweep_reads_directions_of_a_problem_whose_arguments_are_axes():
    def problem(scale):
        return Problem(
            init=lambda key: jnp.ones(1),
            loss=lambda w, batch: scale * jnp.sum(w**2),
            metrics={"gain": gdlab.maximise(lambda w, batch: -w[0])},
        )

    data = sweep(problem, rules.gd, {"problem.scale": [0.5, 1.0]}, steps=1)
    assert data["eval_gain"].attrs["direction"] == "max"
