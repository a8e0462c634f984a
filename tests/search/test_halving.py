"""Successive halving against plain sweeps up to each rung and a ranking in NumPy."""

import dataclasses
import functools
import os
import pickle
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from gdlab import Stop, problems, rules, sweep
from gdlab.engine import tile_run
from gdlab.engine.runner import OutOfMemoryError
from gdlab.errors import SelectionError
from gdlab.search import SearchError, halving, hyperband, rungs

RATES = gdlab.log(1e-3, 1e3, 13)  # on `bowl` those above 0.2 diverge, the largest in the first step
POINTS = gdlab.sobol({"lr": (1e-3, 1), "beta": (0.1, 0.9)}, 11)
BOTH = {"gd": rules.gd, "heavy": rules.momentum}


def bowl():
    return problems.quadratic_2d()


def swept(asked, steps, chunk):
    """The plain sweep with the same arguments and another number of steps."""
    rest = {n: v for n, v in asked.items() if n not in ("problem", "rule", "over", "first", "eta", "metric", "steps")}
    return sweep(asked["problem"], asked["rule"], asked["over"], **rest | {"steps": steps, "chunk": chunk})


def ranked(values, lost, left, metric):
    """The remaining points, the best first: by the median over seeds, then by their order."""
    sign = -1 if metric.endswith("accuracy") else 1
    median = np.median(np.where(lost | np.isnan(values), np.inf, sign * values), axis=1)
    return sorted(left, key=lambda point: (median[point], point))


def in_order(data, dims):
    """The data over the dims rule, point and seed."""
    data = data.expand_dims([dim for dim in ("rule", "seed") if dim not in data.dims])
    return data.stack(point=dims).transpose("rule", "point", "seed", ...)


def by_hand(asked, rungs, chunk):
    """The last rung of each point, [rules, points], and the sweep up to each rung, [rules, points, seeds]."""
    dims = [str(dim) for dim in swept(asked, rungs[0], chunk)["final_loss"].dims if dim not in ("rule", "seed")]
    sweeps = [swept(asked, steps, chunk) for steps in rungs]
    sweeps = [in_order(data, dims) for data in sweeps]
    metric, eta = asked.get("metric", "final_loss"), asked.get("eta", 3)
    reached = np.full(sweeps[0]["final_loss"].shape[:2], -1)
    for rule in range(len(reached)):
        left = list(range(reached.shape[1]))
        for rung, data in enumerate(sweeps):
            reached[rule, left] = rung
            one = data.isel(rule=rule)
            left = ranked(one[metric].values, one["diverged_at"].values >= 0, left, metric)
            left = left[: max(1, len(left) // eta)]
    return reached, sweeps


def assert_as_by_hand(asked, rungs):
    """Each run equals, bit for bit, the run of a sweep that ends where the run was dropped."""
    found = halving(**asked)
    assert found.attrs["rung_steps"] == rungs
    reached, sweeps = by_hand(asked, rungs, found.attrs["chunk"])
    points = [str(dim) for dim in found["final_loss"].dims if dim not in ("rule", "seed")]
    ours = in_order(found, points)
    np.testing.assert_array_equal(ours["rung"], np.broadcast_to(reached[..., None], ours["rung"].shape))
    for rung, data in enumerate(sweeps):
        here = reached == rung
        assert set(data.data_vars) == set(ours.data_vars) - {"rung"}
        for name in data.data_vars:
            mine, plain = ours[name].values[here], data[name].values[here]
            if "step" in data[name].dims:
                assert np.isnan(mine[:, :, plain.shape[2] :]).all()
                mine = mine[:, :, : plain.shape[2]]
            np.testing.assert_array_equal(mine, plain, err_msg=f"{name}, rung {rung}")
    return found, reached


# Some runs converge, some diverge, and some do neither.
THIRDS = {"over": {"lr": RATES, "seed": 3}, "steps": 36, "first": 4, "stop": Stop(loss=0.01, bound=1e3)}
CASES = {
    "thirds": (THIRDS, [4, 12, 36]),
    "best": ({**THIRDS, "metric": "best_loss"}, [4, 12, 36]),
    "odd": ({"over": {"lr": RATES, "seed": 3}, "steps": 36, "first": 4, "chunk": 5}, [4, 12, 36]),
    "halves": ({"over": {"lr": RATES}, "steps": 32, "first": 4, "eta": 2, "every": None}, [4, 8, 16, 32]),
    "left over": ({"over": {"lr": RATES, "seed": [5, 2]}, "steps": 50, "first": 6, "every": 6}, [6, 50]),
    "rules": ({"over": {**POINTS, "seed": 2}, "rule": BOTH, "steps": 18, "first": 6}, [6, 18]),
}


@pytest.mark.parametrize("case", CASES)
def test_halving_equals_sweeps_and_a_ranking(case):
    asked, rungs = CASES[case]
    found, reached = assert_as_by_hand({"problem": problems.quadratic(), "rule": rules.momentum, **asked}, rungs)
    assert {0, 1, len(rungs) - 1} <= set(reached.flat)
    if case == "thirds":
        assert ((found["diverged_at"] >= 0).any(), (found["converged_at"] >= 0).any()) == (True, True)
    given = np.asarray(rungs)[found["rung"].values]
    assert found.attrs["budget"] == given.sum() < found.attrs["budget_of_sweep"] == given.size * asked["steps"]


NET = {
    "problem": problems.mlp("wine", widths=(6,), activation="tanh"),
    "rule": rules.gd,
    "over": {"lr": gdlab.log(1e-2, 1e7, 30), "seed": 3},
    "steps": 24,
    "batch_size": 16,
    "stop": Stop(bound=1e3),
}


@pytest.mark.slow
def test_halving_of_a_network_with_diverging_runs():
    found, _ = assert_as_by_hand({**NET, "first": 6, "eta": 4, "metric": "eval_accuracy"}, [6, 24])
    lost = found["diverged_at"].values >= 0
    assert 0.1 < lost.mean() < 0.9
    assert not lost[found["rung"].values == 1].any()
    assert found.attrs["chunk"] == 8  # smaller than that of a sweep, since the last rung has few runs


def test_halving_keeps_the_largest_of_a_maximised_metric(gained):
    over = {"lr": np.linspace(0.01, 0.09, 9)}  # the larger lr, the larger the gain
    found = halving(gained, rules.gd, over, steps=9, first=1, metric="eval_gain")
    np.testing.assert_array_equal(found["rung"], [0] * 6 + [1] * 2 + [2])
    assert found["eval_gain"].attrs["direction"] == "max"
    plain = halving(gained, rules.gd, over, steps=9, first=1)
    np.testing.assert_array_equal(plain["rung"], found["rung"])


def test_halving_ranks_a_metric_that_is_nan_last(gained):
    lost = dataclasses.replace(gained, metrics={"gain": gdlab.maximise(lambda x, batch: jnp.log(0.95 - jnp.sum(x)))})
    found = halving(lost, rules.gd, {"lr": [0.01, 0.3, 0.2]}, steps=3, first=1, metric="eval_gain")
    assert np.isnan(sweep(lost, rules.gd, {"lr": [0.01]}, steps=1)["eval_gain"]).all()
    np.testing.assert_array_equal(found["rung"], [0, 1, 0])


def test_hyperband_keeps_the_largest_of_a_maximised_metric(gained):
    ranges = {"lr": (0.01, 0.09)}
    found = hyperband(gained, rules.gd, ranges, steps=9, first=1, seeds=1, metric="eval_gain").squeeze("seed")
    kept = found["rung"].where(found["bracket"] == 2) == 2
    assert found["lr"].where(kept).max() == found["lr"].where(found["bracket"] == 2).max()
    assert found["eval_gain"].attrs["direction"] == "max"


def test_halving_equals_a_sweep_with_another_chunk_up_to_rounding():
    # Programs of other shapes sum in another order, so values agree to float32 rounding only.
    found, plain = halving(**NET, first=6, eta=4, metric="eval_accuracy"), sweep(**NET)
    last = ((found["rung"] == 1) & (found["lr"] < 1)).values  # a large lr amplifies rounding errors
    assert last.sum() >= 6
    for name in ("loss", "final_loss"):
        np.testing.assert_allclose(found[name].values[last], plain[name].values[last], rtol=1e-4)


def test_halving_ignores_axes_that_a_rule_lacks():
    over = {"lr": RATES, "beta": [0.1, 0.5, 0.9], "seed": 2}
    found = halving(bowl(), BOTH, over, steps=27, first=3)
    alone = halving(bowl(), {"gd": rules.gd}, {"lr": RATES, "seed": 2}, steps=27, first=3)
    for beta in over["beta"]:
        np.testing.assert_array_equal(found["rung"].sel(rule="gd", beta=beta), alone["rung"].sel(rule="gd"))
    counts = [(found["rung"].sel(rule="heavy", seed=0) >= rung).sum().item() for rung in range(3)]
    assert counts == [39, 13, 4]


def test_halving_ranks_each_rule_separately():
    lost = functools.partial(rules.gd, lr=1e6)
    found = halving(bowl(), {"lost": lost, "gd": rules.gd}, {"rules.gd.lr": RATES, "seed": 2}, steps=400, first=40)
    assert (found["diverged_at"].sel(rule="lost") >= 0).all()
    assert (found["rung"].sel(rule="lost") == 2).all()
    assert ((found["rung"].sel(rule="gd", seed=0) >= 1).sum(), (found["rung"].sel(rule="gd") == 2).sum()) == (4, 2)


def test_halving_of_zipped_seeds():
    pairs = [(seed, lr) for seed in range(3) for lr in RATES[:4]]
    found = halving(problems.quadratic(), rules.gd, {("seed", "lr"): pairs}, steps=9, first=3)
    order = np.argsort(sweep(problems.quadratic(), rules.gd, {("seed", "lr"): pairs}, steps=3)["final_loss"].values)
    np.testing.assert_array_equal(np.flatnonzero(found["rung"] == 1), np.sort(order[:4]))


def test_halving_of_a_chain():
    over = gdlab.chain({"lr": RATES, "seed": 2}, {"lr": RATES[:5], "beta": [0.0, 0.5], "seed": 2})
    found = halving(bowl(), rules.momentum, over, steps=18, first=6)
    early = sweep(bowl(), rules.momentum, over, steps=6, chunk=found.attrs["chunk"])["final_loss"].median("seed")
    left = np.argsort(np.where(np.isnan(early), np.inf, early), kind="stable")[:7]
    assert found["rung"].sizes == {"run": 23, "seed": 2}
    np.testing.assert_array_equal(np.flatnonzero(found["rung"].sel(seed=0)), np.sort(left))


@pytest.fixture
def advanced(monkeypatch):
    """The run steps that each call of a program takes, unused slots of chunks included."""
    taken, advance = [], tile_run.TileRun.advance

    def counted(self, segment):
        used, layout = int(np.asarray(self._count).sum()), self._programs.layout
        taken.append(used * layout.chunk * layout.blocks * self._group.process.every)
        return advance(self, segment)

    monkeypatch.setattr(tile_run.TileRun, "advance", counted)
    return taken


def test_halving_does_not_advance_dropped_runs(advanced):
    over = {"lr": gdlab.log(1e-3, 0.1, 128), "seed": 2}
    found = halving(bowl(), rules.gd, over, steps=64, first=4, eta=4, chunk=8)
    assert found.attrs["budget"] == 2 * (128 * 4 + 32 * 12 + 8 * 48)
    assert sum(advanced) == found.attrs["budget"]


def test_halving_advances_whole_chunks(advanced):
    over = {"lr": gdlab.log(1e-3, 0.1, 100), "seed": 3}
    halving(bowl(), rules.gd, over, steps=81, first=1, chunk=8, every=None)
    whole = [-(-count // 8) * 8 for count in (100, 33, 11, 3, 1)]
    assert sum(advanced) == 3 * np.dot(whole, np.diff([0, 1, 3, 9, 27, 81]))


def test_halving_removes_diverged_runs_between_rungs(advanced):
    rates = np.r_[np.linspace(0.01, 0.05, 8), np.linspace(5, 9, 120)]
    found = halving(bowl(), rules.gd, {"lr": rates}, steps=720, first=40, chunk=8)
    assert (found["diverged_at"].values[8:] >= 0).all()
    assert (found["rung"].values[8:] >= 1).any()
    # 42 runs (6 chunks) would train up to the second rung; without the diverged ones one chunk is left.
    assert sum(advanced) == 128 * 40 + 8 * 680
    assert found.attrs["budget"] > sum(advanced)


def test_halving_stops_once_all_runs_diverged(advanced):
    found = halving(bowl(), rules.gd, {"lr": np.linspace(50, 90, 8)}, steps=360, first=40, chunk=8)
    assert (found["diverged_at"] < 40).all()
    assert sum(advanced) == 8 * 40
    assert found["rung"].values.tolist() == [
        2,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
    ]  # 8 points, then 2, then 1: of equal points the first is kept


def test_halving_compiles_nothing_for_the_same_shape(compilations):
    asked = {"steps": 36, "first": 4, "every": 2}
    first = halving(bowl(), rules.momentum, {"lr": gdlab.log(1e-3, 0.5, 20), "seed": 2}, **asked)
    assert first.attrs["compile_seconds"] > 0
    assert first.attrs["chunk"] > 8  # runs this cheap need a large chunk
    before = compilations()
    over = {"lr": gdlab.random(1e-3, 0.9, 20, seed=3)[::-1], "seed": [7, 3]}
    again = halving(bowl(), rules.momentum, over, metric="best_loss", **asked)
    assert compilations() == before
    assert again.attrs["compile_seconds"] == 0
    assert (again["rung"].values != first["rung"].values).any()


def test_halving_reports_progress_up_to_the_end():
    states = []
    halving(bowl(), BOTH, {"lr": RATES, "seed": 2}, steps=81, first=9, progress=states.append)
    assert states[0].phase == "compile"
    done = [state.done for state in states]
    assert done == sorted(done)
    assert (done[0], done[-1], states[-1].runs) == (0, pytest.approx(52), 52)
    assert {state.label for state in states[1:]} == {"gd", "heavy"}
    assert states[-1].status["diverged"] > 0


THREE = """
import pickle, sys
import jax
import numpy as np
jax.config.update("jax_num_cpu_devices", 3)
import gdlab
from gdlab import problems, rules
from gdlab.engine import tile_run
from gdlab.search import halving
assert len(jax.devices()) == 3
taken, advance = [], tile_run.TileRun.advance
tile_run.TileRun.advance = lambda self, segment: taken.append(np.asarray(self._count)) or advance(self, segment)
over = {"lr": gdlab.log(1e-3, 0.1, 48), "seed": 4}
data = halving(problems.quadratic(), rules.momentum, over, steps=54, first=2, chunk=8)
found = {name: values.values for name, values in data.data_vars.items()}
pickle.dump((found, np.array(taken)), open(sys.argv[1], "wb"))
"""


@pytest.mark.slow
def test_halving_on_three_devices_equals_one_and_balances_chunks(tmp_path):
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", THREE, tmp_path / "found"], check=False, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    over = {"lr": gdlab.log(1e-3, 0.1, 48), "seed": 4}
    wanted = halving(problems.quadratic(), rules.momentum, over, steps=54, first=2, chunk=8)
    found, chunks = pickle.loads((tmp_path / "found").read_bytes())
    assert found.keys() == set(wanted.data_vars)
    for name, values in found.items():
        np.testing.assert_array_equal(values, wanted[name].values, err_msg=name)
    rows = 4 * np.repeat([6, 2, 1, 1], np.diff([0, 1, 3, 9, 27]))  # chunks of 8 runs, for 48, 16, 5 and 1 points
    np.testing.assert_array_equal(chunks.sum(axis=1), rows)
    assert np.ptp(chunks, axis=1).max() <= 1


def test_halving_refuses_more_runs_than_fit_into_memory(monkeypatch):
    monkeypatch.setattr(rungs, "_memory", lambda mesh: 1000)
    with pytest.raises(OutOfMemoryError, match=r"26 runs need .* GB; the devices have 0\.0"):
        halving(bowl(), rules.gd, {"lr": RATES, "seed": 2}, steps=9, first=3)


def test_halving_reports_an_allocation_failure_of_the_device(monkeypatch):
    import jax

    def full(self, segment):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")

    monkeypatch.setattr(tile_run.TileRun, "advance", full)
    with pytest.raises(OutOfMemoryError, match="fewer points or seeds"):
        halving(bowl(), rules.gd, {"lr": RATES, "seed": 2}, steps=9, first=3)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"eta": 1}, SearchError, "eta must be an integer of at least 2, not 1"),
        ({"eta": 2.5}, SearchError, "eta must be an integer"),
        ({"first": 0}, SearchError, "first must be between 1 and steps=9, not 0"),
        ({"first": 10}, SearchError, "between 1 and steps=9, not 10"),
        ({"first": 4}, SearchError, "no point is dropped before step 9"),
        ({"every": 2}, SearchError, "first must be a multiple of every=2"),
        ({"metric": "eval_accuracy"}, SelectionError, "there is no 'eval_accuracy'"),
        ({"metric": "loss"}, SelectionError, "loss is a series"),
        ({"over": {"lrr": [1.0]}}, gdlab.engine.axis_values.SpaceError, "unknown axis 'lrr'"),
        ({"over": {"lr": [0.5, 0.5]}}, gdlab.engine.axis_values.SpaceError, r"the axis 'lr' has 0\.5 twice"),
        ({"chunk": 0}, ValueError, "chunk must be at least 1"),
    ],
)
def test_halving_refuses_invalid_arguments(changed, error, message):
    asked = {"problem": bowl(), "rule": rules.gd, "over": {"lr": RATES, "seed": 2}, "steps": 9, "first": 3}
    with pytest.raises(error, match=message):
        halving(**{**asked, **changed})
