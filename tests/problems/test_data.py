"""The bundled data sets (split, standardised, cached), and arrays of the user."""

import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets

from gdlab import problems, rules, sweep
from gdlab.config.value_types import types_of, validate
from gdlab.problems import data


def raw(name):
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return np.asarray(x, np.float64), y


@pytest.mark.parametrize("name", data.DATASETS)
def test_sizes_are_those_of_scikit_learn(name):
    x, y = raw(name)
    classes = None if name == "diabetes" else len(np.unique(y))
    assert data.DATASETS[name] == (*x.shape, classes)
    split = data.load(name)
    assert split.classes == classes
    assert len(split.train.x) == len(split.train.y) == data.train_size(name)
    assert len(split.test.x) == len(split.test.y) == len(x) - data.train_size(name) == len(x) // 5


@pytest.mark.parametrize("name", data.DATASETS)
def test_load_splits_and_standardises(name):
    """The statistics are those of the train split only, computed here from the raw examples."""
    x, y = raw(name)
    split = data.load(name)
    order = np.random.default_rng(0).permutation(len(x))
    test, train = order[: len(x) // 5], order[len(x) // 5 :]
    assert not set(test) & set(train)
    mean, std = x[train].mean(axis=0), x[train].std(axis=0)
    varying = np.ptp(x[train], axis=0) > 0
    for part, rows in ((split.train, train), (split.test, test)):
        np.testing.assert_allclose(
            part.x[:, varying], ((x - mean)[:, varying] / std[varying])[rows], rtol=1e-5, atol=1e-5
        )
        assert not part.x[:, ~varying].any()
        target = y[rows] if split.classes else (y[rows] - y[train].mean()) / y[train].std()
        np.testing.assert_allclose(part.y, target, rtol=1e-5, atol=1e-6)


@pytest.mark.smoke
@pytest.mark.parametrize("name", data.DATASETS)
def test_load_standardises_by_the_train_split_only(name):
    split = data.load(name)
    std = split.train.x.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(split.train.x.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(std[std > 0], 1, rtol=1e-6)
    # With the statistics of all examples, the pooled mean of each column would be 0.
    assert np.abs(split.test.x.mean(axis=0)).max() > 1e-3


def test_load_sets_constant_columns_to_0():
    constant = np.ptp(raw("digits")[0], axis=0) == 0
    assert constant.any()
    assert not data.load("digits").train.x[:, constant].any()


@pytest.mark.parametrize("name", data.DATASETS)
def test_load_dtypes_and_classes_of_both_parts(name):
    split = data.load(name)
    for part in split[:2]:
        assert part.x.dtype == np.float32
        assert part.y.dtype == (np.int32 if split.classes else np.float32)
        if split.classes:
            assert set(part.y.tolist()) == set(range(split.classes))


def test_load_is_cached_and_read_only():
    first, second = data.load("wine"), data.load("wine")
    assert first.train.x is second.train.x
    for array in (*first.train, *first.test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_load_is_equal_in_another_process():
    program = "from gdlab.problems.data import load; print(sum(float(abs(p.x).sum()) for p in load('wine')[:2]))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(printed) == sum(float(abs(p.x).sum()) for p in data.load("wine")[:2])


def test_on_device_uses_the_default_precision(x64):
    examples = data.on_device(data.load("diabetes").train)
    assert examples.x.dtype == examples.y.dtype == jnp.float64
    assert data.on_device(data.load("wine").train).y.dtype == jnp.int32


def test_data_names_are_checked():
    with pytest.raises(ValueError, match="no data set 'mnist'; there are digits"):
        data.load("mnist")
    with pytest.raises(ValueError, match="no data set 'mnist'"):
        data.train_size("mnist")
    with pytest.raises(ValueError, match="did you mean digits"):
        data.load("digit")
    with pytest.raises(ValueError, match="'diabetes' is numeric"):
        data.classified("diabetes")


X = np.array([[0.5, 1.0], [1.5, -2.0], [0.0, 3.0], [2.0, 2.0]])
LABELS, TARGETS = np.array([0, 2, 1, 2]), np.array([0.1, -0.3, 2.0, 1.0])


@pytest.mark.parametrize("problem", [problems.mlp, problems.logistic_regression, problems.linear_regression])
@pytest.mark.parametrize("held_out", [False, True])
def test_problems_take_own_arrays_and_npz_files(problem, held_out, tmp_path):
    y = TARGETS if problem is problems.linear_regression else LABELS
    arrays = (X[:3], y[:3], X[3:], y[3:]) if held_out else (X, y)
    np.savez(tmp_path / "own.npz", **dict(zip(("x", "y", "x_test", "y_test"), arrays, strict=False)))
    for given in (arrays, tuple(map(jnp.asarray, arrays)), str(tmp_path / "own.npz"), tmp_path / "own.npz"):
        made = problem(data=given)
        np.testing.assert_allclose(made.data.x, arrays[0], rtol=1e-7)
        np.testing.assert_allclose(made.data.y, arrays[1], rtol=1e-7)
        assert (made.eval_data is not None) == held_out
        if held_out:
            np.testing.assert_allclose(made.eval_data.x, arrays[2], rtol=1e-7)
        params = made.init(jax.random.key(0))
        found = sweep(made, rules.gd, {"lr": [0.1, 0.2]}, steps=2, batch_size=2)
        assert np.isfinite(found["final_loss"]).all()
        if problem is problems.logistic_regression:
            np.testing.assert_allclose(made.loss(params, made.data), np.log(3), rtol=1e-6)  # three classes
    assert data.train_size(arrays) == len(arrays[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X,), r"\(x, y\) or \(x, y, x_test, y_test\), not tuple"),
        ((X, LABELS[:3]), "x and y need one row per example, not 4 and 3"),
        ((X[:0], LABELS[:0]), "one row per example"),
        ((X[:, 0], LABELS), r"x must be real numbers \[n, features\], not float64 \[4\]"),
        ((X * 1j, LABELS), "x must be real numbers .*complex128"),
        ((np.where(X == 0, np.nan, X), LABELS), "x has 1 values that are NaN"),
        ((X, TARGETS), "y must be integer class labels"),
        ((X, LABELS - 1), "class labels from 0, but has the label -1"),
        ((X, LABELS, X[:, :1], LABELS), "x has 2 features, but x_test has 1"),
        ((X, LABELS, X, LABELS[:, None]), "y_test must be integer class labels"),
    ],
)
def test_own_arrays_are_checked(given, message):
    with pytest.raises(ValueError, match=message):
        problems.logistic_regression(data=given)


def test_data_annotation_accepts_npz_paths_in_configs():
    allowed = types_of(inspect.signature(problems.mlp).parameters["data"])
    assert validate("folder/own.npz", allowed) == ("folder/own.npz", [])
    ((_, message),) = validate("dgits", allowed)[1]
    assert message == "must be digits, breast_cancer or wine or a path that ends in .npz, not 'dgits'"


def test_own_file_must_hold_x_and_y(tmp_path):
    np.savez(tmp_path / "own.npz", x=X, y_test=LABELS)
    with pytest.raises(ValueError, match=r"own\.npz must hold arrays x and y.*it holds x, y_test"):
        problems.mlp(data=tmp_path / "own.npz")
    with pytest.raises(FileNotFoundError):
        problems.mlp(data="missing.npz")


def test_import_of_problems_imports_neither_flax_nor_scikit_learn():
    program = (
        "import sys, gdlab.problems as p; from gdlab import register;"
        "sizes = {k: e.info['examples']() for k, e in register.problems.items() if 'examples' in e.info};"
        "assert sizes['mlp'] == 1438, sizes; p.rosenbrock(); p.quadratic();"
        "print([m for m in ('flax', 'sklearn', 'scipy.stats', 'matplotlib', 'xarray') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
