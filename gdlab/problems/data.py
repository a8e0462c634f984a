"""Data sets of the built-in problems: bundled ones, which are split and standardised, and the user's own arrays."""

import functools
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np

from gdlab.errors import did_you_mean
from gdlab.problems.precision import as_float
from gdlab.types import Array


class NpzPath(str):
    """A path that ends in `.npz`. Configs accept such a path where this type is the annotation."""

    suffix = ".npz"
    __slots__ = ()


if TYPE_CHECKING:
    Own: TypeAlias = str | PathLike[str] | tuple[Any, Any] | tuple[Any, Any, Any, Any]
    Classified: TypeAlias = Own
    Measured: TypeAlias = Own
else:  # configs and their schema read these at run time; a config can't contain arrays
    Classified = Literal["digits", "breast_cancer", "wine"] | NpzPath
    Measured = Literal["diabetes"] | NpzPath


class Size(NamedTuple):
    """Size of a data set: examples before the split, features, and classes (None for a numeric target)."""

    examples: int
    features: int
    classes: int | None


# Listed here, so that sizes are known without importing scikit-learn (two seconds).
DATASETS: dict[str, Size] = {
    "digits": Size(1797, 64, 10),
    "breast_cancer": Size(569, 30, 2),
    "wine": Size(178, 13, 3),
    "diabetes": Size(442, 10, None),
}


class Examples(NamedTuple):
    """Inputs and targets; the leading axis is over examples."""

    x: Any  # [n, features]
    y: Any  # [n]; for classes, integers from 0


class Split(NamedTuple):
    """A data set: training examples, held-out examples (None if there are none), and the number of classes (None for
    a numeric target)."""

    train: Examples
    test: Examples | None
    classes: int | None


def train_size(data: Any) -> int:
    """The number of training examples of a data set (see `classified`); n - floor(n / 5) for a bundled one."""
    if isinstance(data, str) and not data.endswith(NpzPath.suffix):
        return _size(data).examples - _test_size(data)
    return len(_own_arrays(data)["x"])


@functools.cache
def load(name: str) -> Split:
    """A data set bundled with scikit-learn, as read-only NumPy arrays; every call returns the same arrays.

    A permutation drawn with seed 0 puts floor(n / 5) examples into `test` and the others into `train`; the split is not
    stratified by class. Each column of x is standardised, (x - mean) / std, with the mean and the standard deviation
    (division by n) of the train split; a column that is constant in the train split becomes 0. A numeric target is
    standardised in the same way. x and a numeric target are float32, class labels int32.

    Sources: digits, Alpaydin & Kaynak (1998); breast_cancer, Street, Wolberg & Mangasarian (1993); wine, Forina et al.
    (1991); diabetes, Efron et al. (2004).

    Raises:
        ValueError: there is no data set of that name.
    """
    size = _size(name)
    from sklearn import datasets  # imported here, since it is slow

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order, held_out = np.random.default_rng(0).permutation(len(x)), _test_size(name)
    test, train = order[:held_out], order[held_out:]
    x = _standardised(x, train).astype(np.float32)
    y = _standardised(y, train).astype(np.float32) if size.classes is None else y.astype(np.int32)
    return Split(_read_only(x[train], y[train]), _read_only(x[test], y[test]), size.classes)


def classified(data: Any) -> tuple[Split, int]:
    """A data set with class labels, and the number of classes.

    Args:
        data: the name of a bundled data set (`load`); `(x, y)` or `(x, y, x_test, y_test)`, arrays x [n, features] and
            y [n]; or a path to an `.npz` file with the arrays x, y and optionally x_test, y_test. Arrays of the user
            are not standardised. Without test arrays the Problem has no `eval_data`. Labels are
            integers from 0; the number of classes is the largest label, of training and test examples, plus 1.

    Raises:
        ValueError: there is no data set of that name, its target is numeric, or the arrays are invalid; the message
            says which and why.
        OSError: the file can't be read.
    """
    if isinstance(data, str) and data in DATASETS and DATASETS[data].classes is None:
        raise ValueError(f"a classifier needs class labels, but the target of {data!r} is numeric")
    split = _split(data, labels=True)
    assert split.classes is not None
    return split, split.classes


def measured(data: Any) -> Split:
    """A data set with a numeric target; `data` and errors as in `classified`, with y of real numbers."""
    if isinstance(data, str) and data in DATASETS and DATASETS[data].classes is not None:
        raise ValueError(f"linear regression needs a numeric target, but the target of {data!r} is a class label")
    return _split(data, labels=False)


def on_device(examples: Examples) -> Examples:
    """The examples as JAX arrays: x and a numeric target in JAX's default float, labels as integers."""
    is_label = np.issubdtype(examples.y.dtype, np.integer)
    labels: Array = jnp.asarray(examples.y) if is_label else as_float(examples.y)
    return Examples(as_float(examples.x), labels)


def held_out(split: Split) -> Examples | None:
    """The test examples as JAX arrays, or None."""
    return None if split.test is None else on_device(split.test)


def _split(data: Any, labels: bool) -> Split:
    if isinstance(data, str) and not data.endswith(NpzPath.suffix):
        return load(data)
    arrays = _own_arrays(data)
    parts = []
    for x_name, y_name in (("x", "y"), ("x_test", "y_test")):
        if x_name in arrays:
            x, y = arrays[x_name], arrays[y_name]
            _check_numbers(x_name, x, dims=2)
            y = _checked_labels(y_name, y) if labels else _check_numbers(y_name, y, dims=1).astype(float)
            if len(x) != len(y) or not len(x):
                raise ValueError(f"{x_name} and {y_name} need one row per example, not {len(x)} and {len(y)} rows")
            parts.append(Examples(x, y))
    if len(parts) == 2 and parts[0].x.shape[1] != parts[1].x.shape[1]:
        raise ValueError(f"x has {parts[0].x.shape[1]} features, but x_test has {parts[1].x.shape[1]}")
    classes = 1 + max(int(part.y.max()) for part in parts) if labels else None
    return Split(parts[0], parts[1] if len(parts) == 2 else None, classes)


def _own_arrays(data: Any) -> dict[str, np.ndarray]:
    """The arrays x, y and possibly x_test, y_test, of a tuple or an .npz file."""
    names = ("x", "y", "x_test", "y_test")
    if isinstance(data, str | PathLike):
        with np.load(fspath(data), allow_pickle=False) as file:
            found = {name: file[name] for name in names if name in file.files}
        if tuple(found) not in (names[:2], names):
            listed = ", ".join(found) or "none of these"
            raise ValueError(f"{data} must hold arrays x and y, and x_test and y_test or neither; it holds {listed}")
        return found
    if not isinstance(data, tuple | list) or len(data) not in (2, 4):
        raise ValueError(
            f"data must be the name of a data set ({', '.join(DATASETS)}), a path to an .npz file, (x, y) or "
            f"(x, y, x_test, y_test), not {type(data).__name__}"
        )
    return {name: np.asarray(array) for name, array in zip(names, data, strict=False)}


def _check_numbers(name: str, array: np.ndarray, dims: int) -> np.ndarray:
    if array.ndim != dims or array.dtype.kind not in "biuf":
        shape = "[n, features]" if dims == 2 else "[n]"
        raise ValueError(f"{name} must be real numbers {shape}, not {array.dtype} {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {int((~np.isfinite(array)).sum())} values that are NaN or infinite")
    return array


def _checked_labels(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integer class labels [n], not {array.dtype} {list(array.shape)}")
    if array.size and array.min() < 0:
        raise ValueError(f"{name} must be class labels from 0, but has the label {array.min()}")
    return array.astype(np.int32)


def _size(name: str) -> Size:
    if name not in DATASETS:
        known = f"there is no data set {name!r}; there are {', '.join(DATASETS)}, and paths to .npz files"
        raise ValueError("; ".join(filter(None, (known, did_you_mean(name, DATASETS)))))
    return DATASETS[name]


def _test_size(name: str) -> int:
    return _size(name).examples // 5


def _standardised(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    mean, std = values[train].mean(axis=0), values[train].std(axis=0)
    constant = values[train].max(axis=0) == values[train].min(axis=0)  # rounding may give it a std above 0
    return np.where(constant, 0.0, (values - mean) / np.where(constant, 1.0, std))


def _read_only(x: np.ndarray, y: np.ndarray) -> Examples:
    x.setflags(write=False)
    y.setflags(write=False)
    return Examples(x, y)
