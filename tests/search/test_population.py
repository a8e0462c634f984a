"""Population-based training against a plain sweep and against the same updates in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from gdlab import Problem, Stop, problems, rules, sweep
from gdlab.engine.space import SpaceError
from gdlab.search import SearchError, population

LOW, HIGH = 1e-3, 0.15
MOMENTUM = {"lr": (LOW, HIGH), "beta": (0.2, 0.95, "linear")}
CURVATURES, START = np.array([1.0, 10.0]), np.array([10.0, 1.0])  # of `quadratic_2d`


def bowl():
    return problems.quadratic_2d()


def noisy_bowl(n=256):
    """Single examples estimate a mean: the stationary error is proportional to lr, so the best lr decays."""
    data = jnp.asarray(np.random.default_rng(0).normal(size=(n, 4)), jnp.float32)
    return Problem(
        init=lambda key: jnp.full(4, 10.0),
        loss=lambda x, batch: 0.5 * jnp.mean(jnp.sum((x[None] - batch) ** 2, axis=1)),
        data=data,
    )


@pytest.fixture(scope="module")
def trained():
    return population(
        bowl(), rules.momentum, MOMENTUM, size=10, steps=45, interval=10, quantile=0.3, seeds=[3, 5], resample=0.2
    )


@pytest.mark.slow
def test_population_without_exchange_equals_a_sweep():
    settings = {"steps": 25, "batch_size": 16}
    problem, ranges = problems.mlp("wine", widths=(6,)), {"lr": (1e-3, 1.0), "beta": (0.0, 0.9)}
    ours = population(problem, rules.momentum, ranges, size=7, interval=26, seeds=[4], **settings).squeeze()
    assert dict(ours.sizes) == {"member": 7}
    rows = list(zip(ours["lr"].values.tolist(), ours["beta"].values.tolist(), strict=True))
    plain = sweep(problem, rules.momentum, {("lr", "beta"): rows, "seed": [4]}, every=None, **settings).squeeze()
    assert set(plain.data_vars) < set(ours.data_vars)
    for name in plain.data_vars:
        np.testing.assert_array_equal(ours[name].values, plain[name].values, err_msg=name)
    assert len(np.unique(ours["lr"])) == 7
    assert ((ours["lr"] >= 1e-3) & (ours["lr"] <= 1)).all()


def test_population_replaces_the_worst_by_copies_of_the_best(trained):
    assert dict(trained.sizes) == {"seed": 2, "member": 10, "step": 5}
    np.testing.assert_array_equal(trained["step"], [0, 10, 20, 30, 40])
    itself = np.arange(10)
    for seed in trained["seed"].values:
        one = trained.sel(seed=seed)
        np.testing.assert_array_equal(one["parent"].isel(step=0), itself)
        for step in range(1, 5):
            loss = np.nan_to_num(one["loss"].values[:, step], nan=np.inf)
            ranked, parent = np.argsort(loss, kind="stable"), one["parent"].values[:, step]
            assert set(np.flatnonzero(parent != itself)) == set(ranked[-3:])
            assert set(parent[ranked[-3:]]) <= set(ranked[:3])


def test_population_perturbs_or_resamples_hyperparameters(trained):
    drawn = copies = 0
    for name, (low, high, *_) in MOMENTUM.items():
        values, parents = trained[name].values, trained["parent"].values
        assert values.dtype == np.float32
        assert ((values >= np.float32(low)) & (values <= np.float32(high))).all()
        for seed, member, step in np.ndindex(2, 10, 5):
            if step == 0:
                continue
            parent = parents[seed, member, step]
            now, before = values[seed, member, step], values[seed, parent, step - 1]
            if parent == member:
                assert now == before
                continue
            moved = np.clip(before * np.float32([0.8, 1.25]), np.float32(low), np.float32(high))
            copies, drawn = copies + 1, drawn + (now not in moved)
    assert copies == 2 * 2 * 4 * 3
    assert 2 <= drawn <= 20  # a fifth of 48


def test_population_copies_parameters_and_state(trained):
    for seed in range(2):
        one = trained.isel(seed=seed)
        x, v = np.tile(START, (10, 1)), np.zeros((10, 2))
        for step in range(5):
            np.testing.assert_allclose(0.5 * (CURVATURES * x**2).sum(axis=1), one["loss"].values[:, step], rtol=1e-4)
            parent = one["parent"].values[:, step]
            x, v = x[parent], v[parent]
            lr, beta = (one[name].values[:, step, None].astype(float) for name in ("lr", "beta"))
            for _ in range(5 if step == 4 else 10):
                v = beta * v + CURVATURES * x
                x = x - lr * v
        np.testing.assert_allclose(0.5 * (CURVATURES * x**2).sum(axis=1), one["final_loss"], rtol=1e-4)
        np.testing.assert_array_equal(one["steps_taken"], 45)


def test_population_depends_on_its_seed_only(trained):
    alone = population(
        bowl(), rules.momentum, MOMENTUM, size=10, steps=45, interval=10, quantile=0.3, seeds=[5, 3], resample=0.2
    )
    for name in trained.data_vars:
        np.testing.assert_array_equal(alone[name].sel(seed=[3, 5]).values, trained[name].values, err_msg=name)
    assert (trained["lr"].isel(step=0, seed=0) != trained["lr"].isel(step=0, seed=1)).all()


def test_population_replaces_diverged_members():
    # The largest curvature is 10: learning rates above 0.2 diverge, about half of those drawn.
    found = population(bowl(), rules.gd, {"lr": (1e-2, 4.0)}, size=12, steps=600, interval=100, quantile=0.25, seeds=3)
    lost = np.isnan(found["loss"])
    assert lost.sel(step=100).any("member").all()
    revived = lost & (found["parent"] != found["member"])
    for seed, member, step in np.argwhere(revived.values):
        after = found.isel(seed=seed).isel(step=step)
        parent = int(after["parent"][member])
        assert np.isfinite(after["loss"][parent])
        assert after["lr"][member] != found["lr"].isel(seed=seed, step=step - 1)[member]
    assert revived.any()
    assert lost.sum("member").isel(step=-1).max() < lost.sum("member").isel(step=1).max()
    alive = found["diverged_at"] < 0
    assert alive.any("member").all()
    np.testing.assert_array_equal(np.isfinite(found["final_loss"]), alive)


def test_population_does_not_change_once_all_members_diverged():
    found = population(bowl(), rules.gd, {"lr": (50.0, 90.0)}, size=5, steps=200, interval=50, seeds=[0])
    assert np.isfinite(found["loss"].isel(step=0)).all()
    assert np.isnan(found["loss"].isel(step=slice(1, None))).all()
    assert np.isnan(found["lr"].isel(step=slice(1, None))).all()
    assert (found["parent"].isel(step=slice(1, None)) == -1).all()
    assert (found["diverged_at"] >= 0).all()
    assert np.isnan(found["final_loss"]).all()


def test_population_members_stop_at_a_tolerance():
    found = population(
        bowl(), rules.gd, {"lr": (0.05, 0.15)}, size=5, steps=400, interval=50, seeds=[0], stop=Stop(loss=1e-3)
    )
    assert (found["converged_at"] > 0).all()
    assert (found["final_loss"] <= 1e-3).all()


def test_population_beats_the_median_constant_lr_where_the_best_lr_decays():
    settings = {"steps": 400, "batch_size": 1, "sampling": "replacement"}
    ranges = {"lr": (1e-3, 0.5)}
    ours = population(noisy_bowl(), rules.gd, ranges, size=20, interval=20, seeds=4, **settings)
    rates = gdlab.random(1e-3, 0.5, 20, seed=1)
    fixed = sweep(noisy_bowl(), rules.gd, {"lr": rates, "seed": 4}, every=None, **settings)["final_loss"]
    assert (ours["final_loss"].median("member") < fixed.median("lr")).all()
    middle = ours["lr"].median("member")
    assert (middle.isel(step=-1) < middle.isel(step=2)).all()


def test_population_compiles_nothing_for_other_numbers_and_seeds(compilations):
    settings = {"size": 4, "steps": 12, "interval": 4, "quantile": 0.25}
    population(bowl(), rules.gd, {"lr": (1e-3, 0.1)}, seeds=[0, 1], **settings)
    before = compilations()
    changed = {"seeds": [7, 2], "factors": (0.5, 2), "resample": 1}
    data = population(bowl(), rules.gd, {"lr": (1e-2, 0.2)}, **changed, **settings)
    assert compilations() == before
    assert data["lr"].min() >= np.float32(1e-2)


def test_population_changes_numbers_of_the_problem_but_no_shapes():
    def damped(weight=0.0):
        return Problem(init=lambda key: jnp.ones(3), loss=lambda x, batch: jnp.sum(x**2) + weight * jnp.sum(x**4))

    settings = {"size": 5, "steps": 6, "interval": 3, "seeds": [0]}
    found = population(damped, rules.gd, {"problem.weight": (0.0, 0.5)}, **settings)
    first = 3 + 3 * found["problem.weight"].isel(step=0)
    np.testing.assert_allclose(found["loss"].isel(step=0), first, rtol=1e-6)

    def wide(width=2):
        return Problem(init=lambda key: jnp.ones(int(width)), loss=lambda x, batch: jnp.sum(x**2))

    with pytest.raises(SearchError, match=r"'problem\.width' sets a shape"):
        population(wide, rules.gd, {"lr": (0.01, 0.1), "problem.width": (2, 5)}, **settings)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ranges": {}}, "ranges is empty"),
        ({"ranges": {"lr": [0.1, 0.2]}}, "'lr' can't change during a run"),
        ({"ranges": {"batch_size": (1, 4)}}, "'batch_size' can't change"),
        ({"interval": 0}, "interval must be at least 1"),
        ({"quantile": 0.1}, "at least 1 / size to replace a member; it is 0.1"),
        ({"quantile": 0.6}, "at most 0.5"),
        ({"factors": ()}, "factors must be one or more"),
        ({"factors": (0.5, -1.0)}, "factors must be one or more"),
        ({"resample": 2.0}, "a probability"),
        ({"rule": {"gd": rules.gd}}, "a population takes one rule"),
    ],
)
def test_population_refuses_invalid_arguments(changed, message):
    asked = {"rule": rules.gd, "ranges": {"lr": (0.01, 0.1)}, "size": 5, "steps": 4, "interval": 2}
    with pytest.raises(SearchError, match=message):
        population(bowl(), **{**asked, **changed})


def test_population_refuses_a_range_that_nothing_takes():
    with pytest.raises(SpaceError, match="unknown axis 'bta'"):
        population(bowl(), rules.gd, {"bta": (0.1, 0.2)}, size=5, steps=4, interval=2)
