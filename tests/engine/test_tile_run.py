"""Compaction and checkpoints of `TileRun` change no bit of any run."""

import copy
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import Problem, Rule, Stop, log, problems, rules
from gdlab.engine import tile_run
from gdlab.engine.execute import Settings
from gdlab.engine.layout import VECTOR, Layout
from gdlab.engine.sink import MemorySink
from gdlab.engine.tile_run import Checkpoint
from tests.engine.engine_cases import assert_same_bits, bowl, bowl_start, executed, trained

STEPS, TOLERANCE = 48, 0.05
# Powers of two: a step of the bowl then rounds once only, as NumPy does it.
RATES = 2.0 ** np.arange(-8, 24)
PROBES = {"x": lambda step: step.params, "index": lambda step: step.index}

# Rows of a chunk, runs of a row: whole vectors of the processor, parts of vectors, single runs.
CUTS = [(1, 8), (3, 16), (2, 24), (1, 12), (2, 12), (3, 5), (8, 1), (1, 1)]


def bowls(**settings):
    over = {"lr": RATES, "seed": 3}
    return trained(
        bowl(), rules.gd, over, **{"steps": STEPS, "probes": PROBES, "stop": Stop(loss=TOLERANCE)} | settings
    )


def bowls_of_few():
    """Few runs of each of many seeds; for some seeds all of them diverge."""
    pairs = [(number // 5, lr) for number, lr in enumerate(np.concatenate([RATES, RATES[::-1]]))]
    return trained(bowl(), rules.gd, {("seed", "lr"): pairs}, steps=STEPS, probes=PROBES, stop=Stop(loss=TOLERANCE))


def networks(sampling="replacement"):
    over = {"lr": log(1e-2, 1e7, 32), "seed": 2}
    settings = {"steps": STEPS, "batch_size": 16, "sampling": sampling, "stop": Stop(loss=0.15, bound=1e3)}
    rule = partial(rules.momentum, beta=0.5)
    return trained(problems.mlp("wine", widths=(6,), activation="tanh"), rule, over, **settings)


def wavy():
    """Runs with many roundings, so that any difference in the computation changes their bits.

    For seeds 0, 2 and 4 all runs end early; for the other seeds every third run. The remaining runs are not adjacent.
    """

    def loss(x, batch):
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2 + jnp.sin(3 * x[0] * x[1])

    calm = log(1e-5, 3e-3, 42)
    some = np.where(np.arange(42) % 3, calm, log(1e-1, 1e9, 42))
    pairs = [(seed, lr) for seed in range(6) for lr in (some if seed % 2 else log(1e-1, 1e9, 42))]
    problem = Problem(init=lambda key: 0.3 * jax.random.normal(key, (2,)), loss=loss)
    return trained(problem, rules.gd, {("seed", "lr"): pairs}, steps=192, every=4, stop=Stop(bound=1e4))


class Laid(MemorySink):
    """A sink with a given layout."""

    def __init__(self, rows, width, tile=None):
        super().__init__()
        self.cut = rows, width, tile

    def layout(self, index):
        rows, width, tile = self.cut
        return Layout(rows, width, tile or 96, -(-STEPS // 16), 16)


@pytest.fixture
def moves(monkeypatch, segmented):
    """(chunks, layout) of each move of runs during the test."""
    moved, gather = [], tile_run.gather
    monkeypatch.setattr(tile_run, "gather", lambda of: moved.append((of.chunks, of.layout)) or gather(of))
    segmented(16)
    return moved


def descended(lr, seed):
    """A run of the bowl in NumPy, in single precision: its points, and when and how it ended."""
    x, lr, curvature = np.float32(bowl_start(seed)), np.float32(lr), np.float32([1, 4])
    path, diverged, converged = np.full((STEPS, 2), np.nan, np.float32), -1, -1
    for step in range(STEPS):
        path[step] = x
        loss = np.float32(0.5) * (curvature * x * x).sum(dtype=np.float32)
        moved = x - lr * (curvature * x)
        if loss <= TOLERANCE:
            converged = step
        elif not (np.isfinite(loss) and np.isfinite(moved).all()):
            diverged = step
        else:
            x = moved
            continue
        return path, diverged, converged, step
    return path, diverged, converged, STEPS


@pytest.fixture(scope="module")
def by_hand():
    with np.errstate(over="ignore", invalid="ignore"):
        return [[descended(lr, seed) for seed in range(3)] for lr in RATES]


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize(("rows", "width"), [(2, 8), (2, 12), (8, 1)])
def test_tile_run_equals_numpy_for_runs_that_end_at_different_times(rows, width, compact, moves, by_hand):
    data = executed(*bowls(), Settings(compact=compact), Laid(rows, width))
    assert bool(moves) == compact
    assert len(np.unique(data["diverged_at"])) > 9
    assert len(np.unique(data["converged_at"])) > 5
    assert (data["steps_taken"] == STEPS).any()
    for place, runs in enumerate(by_hand):
        for seed, (path, *ends) in enumerate(runs):
            here = data.isel(lr=place, seed=seed)
            np.testing.assert_array_equal(here["x"], path)
            assert [int(here[name]) for name in ("diverged_at", "converged_at", "steps_taken")] == ends


@pytest.mark.parametrize(("rows", "width"), CUTS)
def test_compact_changes_no_bit_of_any_run(rows, width, moves):
    points, groups = bowls()
    packed = executed(points, groups, sink=Laid(rows, width))
    assert moves
    assert_same_bits(packed, executed(points, groups, Settings(compact=False), Laid(rows, width)))


@pytest.mark.parametrize(("rows", "width"), [(3, 5), (2, 8), (2, 2)])
def test_compact_changes_no_bit_with_more_seeds_than_runs_per_seed(rows, width, moves):
    points, groups = bowls_of_few()
    packed = executed(points, groups, sink=Laid(rows, width))
    assert moves
    assert_same_bits(packed, executed(points, groups, Settings(compact=False), Laid(rows, width)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "width", "sampling"),
    [(2, 8, "shuffle"), (1, 16, "replacement"), (2, 12, "replacement"), (2, 3, "replacement")],
)
def test_compact_changes_no_bit_of_a_network(rows, width, sampling, moves):
    points, groups = networks(sampling)
    packed = executed(points, groups, sink=Laid(rows, width))
    assert moves
    assert (packed["diverged_at"] >= 0).any()
    assert (packed["converged_at"] >= 0).any()
    assert (packed["steps_taken"] == STEPS).any()
    assert len(np.unique(packed["steps_taken"])) > 8
    assert_same_bits(packed, executed(points, groups, Settings(compact=False), Laid(rows, width)))


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "width"), [(1, 8), (1, 16), (1, 21), (2, 21), (1, 32), (2, 32), (1, 40)])
def test_compact_changes_no_bit_if_rounding_depends_on_the_column(rows, width, moves):
    points, groups = wavy()
    packed = executed(points, groups, sink=Laid(rows, width, 252))
    assert moves
    assert (packed["diverged_at"] < 0).sum() == 3 * 28
    assert_same_bits(packed, executed(points, groups, Settings(compact=False), Laid(rows, width, 252)))


def test_compact_does_not_move_runs_of_a_single_chunk(moves):
    points, groups = bowls()
    packed = executed(points, groups)
    assert not moves
    assert_same_bits(packed, executed(points, groups, Settings(compact=False)))


def test_compact_reduces_the_chunks_in_use(moves, monkeypatch):
    used = []
    place = tile_run.TileRun._place
    monkeypatch.setattr(tile_run.TileRun, "_place", lambda self, slots: used.append(slots) or place(self, slots))
    data = executed(*bowls(stop=Stop(bound=1e4)), sink=Laid(1, 8))
    alive = int((data["steps_taken"] == STEPS).sum())
    chunks = [int((slots >= 0).any(axis=(1, 2)).sum()) for slots in used]
    assert chunks == sorted(chunks, reverse=True)
    assert chunks[0] == 12
    assert chunks[-1] == 3 * -(-alive // 3 // VECTOR) < 12


def test_tile_run_stops_once_all_runs_have_ended(moves):
    reports = []
    points, groups = bowls(stop=Stop(loss=1e9))
    data = executed(points, groups, Settings(progress=reports.append), Laid(1, 8))
    assert (data["converged_at"] == 0).all()
    assert not moves
    assert len([progress for progress in reports if 0 < progress.done < progress.runs]) == 1


class Keeping(Laid):
    """A sink that requests a checkpoint after each segment, and keeps all checkpoints."""

    def __init__(self, *cut):
        super().__init__(*cut)
        self.kept, self.copies = [], []

    def due(self):
        return True

    def keep(self, index, tile, snapshot):
        self.kept.append(snapshot)
        self.copies.append((tile, copy.deepcopy(snapshot)))


class Resuming(Laid):
    """A sink that continues one tile from a checkpoint and skips all other tiles."""

    def __init__(self, tile, snapshot, *cut):
        super().__init__(*cut)
        self.only, self.checkpoint = tile, snapshot

    def wanted(self, index, tile):
        return np.arange(tile.start, tile.stop if tile == self.only else tile.start)

    def resumed(self, index, tile):
        return self.checkpoint


def jittered(lr=0.1, noise=0.1):
    """Gradient descent with noise from a key in the state of the rule."""

    def update(grads, state, params=None, **extra):
        state, now = jax.random.split(state)
        return -lr * (grads + noise * jax.random.normal(now, grads.shape)), state

    return Rule(lambda params: jax.random.key(7), update)


def halves():
    """The bowl in bfloat16."""
    weight = jnp.asarray([1, 4], jnp.bfloat16)
    return Problem(
        init=lambda key: jax.random.randint(key, (2,), 1, 4).astype(jnp.bfloat16),
        loss=lambda x, batch: jnp.sum(weight * x * x).astype(jnp.float32),
    )


def noisy():
    over = {"lr": RATES, "noise": [0.5], "seed": 3}
    return trained(bowl(), jittered, over, steps=STEPS, probes=PROBES, stop=Stop(loss=0.2))


def in_halves():
    return trained(halves(), rules.momentum, {"lr": RATES, "seed": 3}, steps=STEPS)


def test_compact_changes_no_bit_of_a_rule_with_a_key(moves):
    points, groups = noisy()
    packed = executed(points, groups, sink=Laid(1, 8))
    assert moves
    assert (packed["converged_at"] > 0).any()
    assert_same_bits(packed, executed(points, groups, Settings(compact=False), Laid(1, 8)))


@pytest.mark.parametrize(
    ("runs", "cut"),
    [
        (bowls, (2, 16)),
        (bowls, (1, 8, 40)),
        (bowls, (2, 12)),
        (noisy, (1, 16)),
        (in_halves, (1, 8)),
        (networks, (1, 16)),
    ],
)
def test_tile_run_continues_from_each_checkpoint_to_the_same_bits(runs, cut, moves):
    points, groups = runs()
    whole = Keeping(*cut)
    executed(points, groups, sink=whole)
    assert moves
    assert len(whole.copies) >= 15
    for tile, snapshot in whole.copies:
        again = Resuming(tile, copy.deepcopy(snapshot), *cut)
        executed(points, groups, sink=again)
        first = snapshot.segment * snapshot.layout.blocks
        for name, wanted in whole.results[0].items():
            begun = (tile, slice(first, None)) if name in whole.series_names else tile
            assert again.results[0][name][begun].tobytes() == wanted[begun].tobytes(), name


def test_checkpoint_holds_copies(moves):
    points, groups = bowls()
    sink = Keeping(1, 8)
    executed(points, groups, sink=sink)
    for kept, (_, copied) in zip(sink.kept, sink.copies, strict=True):
        assert_same_snapshots(kept, copied)


def test_tile_run_does_not_change_the_checkpoint_it_continues_from(moves):
    points, groups = bowls()
    sink = Keeping(1, 8)
    executed(points, groups, sink=sink)
    tile, snapshot = sink.copies[2]
    before = copy.deepcopy(snapshot)
    executed(points, groups, sink=Resuming(tile, snapshot, 1, 8))
    assert_same_snapshots(snapshot, before)


def assert_same_snapshots(found, wanted):
    for name, one, other in zip(Checkpoint._fields, found, wanted, strict=True):
        same = jax.tree.map(lambda a, b: np.asarray(a).tobytes() == np.asarray(b).tobytes(), one, other)
        assert all(jax.tree.leaves(same)), name


def with_empty_parameters():
    """The bowl with parameters of size 0 beside its own."""
    plain = bowl()
    return Problem(
        init=lambda key: {"x": plain.init(key), "none": jnp.zeros(0), "no rows": jnp.zeros((0, 3))},
        loss=lambda params, batch: plain.loss(params["x"], batch) + params["none"].sum() + params["no rows"].sum(),
    )


def test_compact_and_checkpoints_accept_parameters_of_size_zero(moves):
    """Regression: arrays of size 0 could not be moved when runs were compacted or given to other devices."""
    over = {"lr": RATES, "seed": 3}
    wanted = executed(*trained(bowl(), rules.momentum, over, steps=STEPS), sink=Laid(1, 8))
    sink = Keeping(1, 8)
    found = executed(*trained(with_empty_parameters(), rules.momentum, over, steps=STEPS), sink=sink)
    assert moves
    assert_same_bits(found, wanted)
    _, checkpoint = sink.copies[0]
    moved = checkpoint.on(2)
    assert [leaf.shape[3:] for leaf in moved.carry] == [leaf.shape[3:] for leaf in checkpoint.carry]
    assert any(leaf.size == 0 for leaf in moved.carry)
    assert sorted(moved.slots[moved.slots >= 0]) == sorted(checkpoint.slots[checkpoint.slots >= 0])
