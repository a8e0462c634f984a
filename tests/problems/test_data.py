"""The data sets: split, standardised, unchanged from call to call."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets

from gdlab.problems import data


def raw(name):
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return np.asarray(x, np.float64), y


@pytest.mark.parametrize("name", data.DATASETS)
def test_table_of_sizes_is_that_of_scikit_learn(name):
    x, y = raw(name)
    classes = None if name == "diabetes" else len(np.unique(y))
    assert data.DATASETS[name] == (*x.shape, classes)
    split = data.load(name)
    assert split.classes == classes
    assert len(split.train.x) == len(split.train.y) == data.train_size(name)
    assert len(split.test.x) == len(split.test.y) == len(x) - data.train_size(name) == len(x) // 5


@pytest.mark.parametrize("name", data.DATASETS)
def test_split_is_a_partition_of_the_standardised_examples(name):
    """Statistics come from the train split alone: found again from the raw examples that its rows match."""
    x, y = raw(name)
    split = data.load(name)
    order = np.random.default_rng(0).permutation(len(x))
    test, train = order[: len(x) // 5], order[len(x) // 5 :]
    assert not set(test) & set(train)
    mean, std = x[train].mean(axis=0), x[train].std(axis=0)
    moving = np.ptp(x[train], axis=0) > 0
    for part, rows in ((split.train, train), (split.test, test)):
        np.testing.assert_allclose(part.x[:, moving], ((x - mean)[:, moving] / std[moving])[rows], rtol=1e-5, atol=1e-5)
        assert not part.x[:, ~moving].any()
        target = y[rows] if split.classes else (y[rows] - y[train].mean()) / y[train].std()
        np.testing.assert_allclose(part.y, target, rtol=1e-5, atol=1e-6)


@pytest.mark.smoke
@pytest.mark.parametrize("name", data.DATASETS)
def test_train_split_has_mean_0_and_variance_1_and_the_test_split_was_not_looked_at(name):
    split = data.load(name)
    std = split.train.x.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(split.train.x.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(std[std > 0], 1, rtol=1e-6)
    # Were the statistics those of all examples, each column's pooled mean would be 0.
    assert np.abs(split.test.x.mean(axis=0)).max() > 1e-3


def test_constant_columns_become_0():
    constant = np.ptp(raw("digits")[0], axis=0) == 0
    assert constant.any()
    assert not data.load("digits").train.x[:, constant].any()


@pytest.mark.parametrize("name", data.DATASETS)
def test_types_and_every_class_in_both_parts(name):
    split = data.load(name)
    for part in split[:2]:
        assert part.x.dtype == np.float32
        assert part.y.dtype == (np.int32 if split.classes else np.float32)
        if split.classes:
            assert set(part.y.tolist()) == set(range(split.classes))


def test_arrays_are_cached_and_read_only():
    first, second = data.load("wine"), data.load("wine")
    assert first.train.x is second.train.x
    for array in (*first.train, *first.test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_another_process_gives_the_same_numbers():
    program = "from gdlab.problems.data import load; print(sum(float(abs(p.x).sum()) for p in load('wine')[:2]))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(told) == sum(float(abs(p.x).sum()) for p in data.load("wine")[:2])


def test_on_device_is_in_jax_default_precision(x64):
    examples = data.on_device(data.load("diabetes").train)
    assert examples.x.dtype == examples.y.dtype == jnp.float64
    assert data.on_device(data.load("wine").train).y.dtype == jnp.int32


def test_unknown_names_and_wrong_targets_are_refused():
    with pytest.raises(ValueError, match="no data set 'mnist'; there are digits"):
        data.load("mnist")
    with pytest.raises(ValueError, match="no data set 'mnist'"):
        data.train_size("mnist")
    with pytest.raises(ValueError, match="'diabetes' is a number"):
        data.load_classified("diabetes")


def test_importing_the_problems_imports_neither_flax_nor_scikit_learn():
    program = (
        "import sys, gdlab.problems as p; from gdlab import register;"
        "sizes = {k: e.info['examples']() for k, e in register.problems.items() if 'examples' in e.info};"
        "assert sizes['mlp'] == 1438, sizes; p.rosenbrock(); p.quadratic();"
        "print([m for m in ('flax', 'sklearn', 'scipy.stats', 'matplotlib', 'xarray') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"
