"""Real data sets: loaded, split and standardised."""

import functools
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from gdlab.problems.precision import as_float
from gdlab.types import Array

Classified = Literal["digits", "breast_cancer", "wine"]
Measured = Literal["diabetes"]


class Size(NamedTuple):
    """How large a data set is: examples (before the split), features, and classes (None: the target is a number)."""

    examples: int
    features: int
    classes: int | None


# Written down, so that a size is known without importing scikit-learn (two seconds).
DATASETS: dict[str, Size] = {
    "digits": Size(1797, 64, 10),
    "breast_cancer": Size(569, 30, 2),
    "wine": Size(178, 13, 3),
    "diabetes": Size(442, 10, None),
}


class Examples(NamedTuple):
    """Inputs and targets; the leading axis counts the examples."""

    x: Any  # [n, features]
    y: Any  # [n]; whole numbers from 0 for classes


class Split(NamedTuple):
    """A data set: what is trained on, what is held out, and the number of classes (None: the target is a number)."""

    train: Examples
    test: Examples
    classes: int | None


def train_size(name: str) -> int:
    """How many examples there are to train on: all but floor(n / 5)."""
    return _size(name).examples - _test_size(name)


@functools.cache
def load(name: str) -> Split:
    """A data set bundled with scikit-learn, as read-only NumPy arrays; the same ones for every call.

    A permutation drawn from seed 0 puts floor(n / 5) examples into `test` and the others into `train`; classes are not
    balanced between them. Each column of x is standardised, (x - mean) / std, with the mean and the standard deviation
    (dividing by n) of the train split; a column that is constant there becomes 0. A target that is a number is
    standardised likewise. x and such a target are float32, class labels int32.

    Sources: digits, Alpaydin & Kaynak (1998); breast_cancer, Street, Wolberg & Mangasarian (1993); wine, Forina et al.
    (1991); diabetes, Efron et al. (2004).

    Raises:
        ValueError: there is no data set of that name.
    """
    size = _size(name)
    from sklearn import datasets  # imported here for its cost

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order, held_out = np.random.default_rng(0).permutation(len(x)), _test_size(name)
    test, train = order[:held_out], order[held_out:]
    x = _standardised(x, train).astype(np.float32)
    y = _standardised(y, train).astype(np.float32) if size.classes is None else y.astype(np.int32)
    return Split(_read_only(x[train], y[train]), _read_only(x[test], y[test]), size.classes)


def load_classified(name: str) -> tuple[Split, int]:
    """A data set whose target is a class, and the number of classes.

    Raises:
        ValueError: there is no data set of that name, or its target is a number.
    """
    classes = _size(name).classes
    if classes is None:
        raise ValueError(f"a classifier needs a target that is a class, and that of {name!r} is a number")
    return load(name), classes


def on_device(examples: Examples) -> Examples:
    """The examples as JAX arrays: floats in JAX's default float, class labels as they are."""
    is_label = np.issubdtype(examples.y.dtype, np.integer)
    labels: Array = jnp.asarray(examples.y) if is_label else as_float(examples.y)
    return Examples(as_float(examples.x), labels)


def _size(name: str) -> Size:
    if name not in DATASETS:
        raise ValueError(f"there is no data set {name!r}; there are {', '.join(DATASETS)}")
    return DATASETS[name]


def _test_size(name: str) -> int:
    return _size(name).examples // 5


def _standardised(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    mean, std = values[train].mean(axis=0), values[train].std(axis=0)
    constant = values[train].max(axis=0) == values[train].min(axis=0)  # whose std may be rounding error
    return np.where(constant, 0.0, (values - mean) / np.where(constant, 1.0, std))


def _read_only(x: np.ndarray, y: np.ndarray) -> Examples:
    x.setflags(write=False)
    y.setflags(write=False)
    return Examples(x, y)
