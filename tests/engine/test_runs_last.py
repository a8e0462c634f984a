"""`vmap_last` equals `jax.vmap`, for each primitive that it handles and for those that it does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from jax import lax

from gdlab.engine import runs_last
from gdlab.engine.few_numbers import FEW, join, split
from gdlab.engine.runs_last import vmap_last

RUNS = 5
MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4) / 7


def values(*shape, low=0.2, high=0.9):
    return np.random.default_rng(sum(shape)).uniform(low, high, (*shape, RUNS)).astype(np.float32)


def assert_equal_to_vmap(fn, *args, runs=None, rtol=2e-6):
    runs = [True] * len(args) if runs is None else runs
    axes = [-1 if one else None for one in runs]
    wanted = jax.jit(jax.vmap(fn, in_axes=axes, out_axes=-1))(*args)
    held = [split(jnp.asarray(arg)) if one else jnp.asarray(arg) for arg, one in zip(args, runs, strict=True)]
    found = jax.jit(lambda *held: [join(one) for one in vmap_last(fn, runs, [True] * len(wanted))(*held)])(*held)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=rtol, atol=2e-6)


# Few numbers are kept apart, more are arrays: each function is tried on both.
SIZES = [(2, 3), (3, 5)]
FUNCTIONS = {
    "elementwise": lambda x: [jnp.tanh(x) + jnp.exp(x) * 2.0 - x / (1 + x), jnp.where(x > 0.5, x, -x), x**3],
    "clamp": lambda x: [jnp.clip(x, 0.3, 0.5), lax.clamp(x.sum() / 30, x, x.sum())],
    "scalar": lambda x: [x.sum() * x, x.mean() + jnp.float32(1)],
    "reductions": lambda x: [x.sum(), x.sum(0), x.max(1), x.min(), jnp.all(x > 0.3, 0), jnp.any(x > 0.8), x.prod(1)],
    "arguments": lambda x: [jnp.argmax(x, 0), jnp.argmin(x, 1)],
    "cumulative": lambda x: [jnp.cumsum(x, 0), lax.cummax(x, 1)],
    "shapes": lambda x: [x.reshape(-1), x.T, x[:, None], jnp.flip(x, 0), jnp.broadcast_to(x[0], (3, *x[0].shape))],
    "slices": lambda x: [x[0], x[:, 1:], x[::2, ::-1], lax.dynamic_slice(x, (1, 1), (1, 2))],
    "update": lambda x: [lax.dynamic_update_slice(x, x[:1, :1] * 3, (1, 1)), x.at[0].set(0.0)],
    "pad": lambda x: [jnp.pad(x, ((1, 0), (0, 2))), lax.pad(x, jnp.float32(2), ((-1, 1, 1), (0, -1, 2)))],
    "concatenate": lambda x: [jnp.concatenate([x, jnp.ones_like(x), 2 * x], 1), jnp.stack([x[0], x[1]])],
    "gather": lambda x: [x[jnp.array([1, 0, 1])], jnp.take(x, jnp.argmax(x[0]), axis=1)],
    "sort": lambda x: [jnp.sort(x, 1), jnp.argsort(x, 0)],
    "calls": lambda x: [jax.nn.relu(x - 0.5), jax.nn.logsumexp(x), jax.checkpoint(jnp.sin)(x), jax.nn.one_hot(1, 3)],
    "gradients": lambda x: list(jax.value_and_grad(lambda x: (jnp.sin(x[0]) * x[1]).sum() + (x**2).mean())(x)),
    "scan": lambda x: list(lax.scan(lambda c, r: (c + r.sum(), c * r), jnp.float32(0), x)),
    "scan-gradient": lambda x: [jax.grad(lambda x: lax.scan(lambda c, r: (jnp.tanh(c + r), c), x[0], x)[1].sum())(x)],
    "loop": lambda x: [lax.fori_loop(0, 3, lambda i, c: c * x.sum(), x)],
    "while": lambda x: [lax.while_loop(lambda c: c.sum() < 50, lambda c: c * 1.5, x)],
    "cond-common": lambda x: [lax.cond(jnp.arange(2)[1] > 0, jnp.sin, jnp.cos, x)],
    "cond-runs": lambda x: [lax.cond(x.sum() > 2, jnp.sin, jnp.cos, x)],
    "linear-algebra": lambda x: [jnp.linalg.svd(x, compute_uv=False)],
    "random": lambda x: [x + jax.random.normal(jax.random.key(1), x.shape)],
    "complex": lambda x: [jnp.abs(jnp.fft.fft(x))],
    "integers": lambda x: [(10 * x).astype(jnp.int32) // 3, (10 * x).astype(jnp.int32) ^ 5],
}


@pytest.mark.smoke
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_last_equals_vmap(name, shape):
    assert_equal_to_vmap(FUNCTIONS[name], values(*shape))


def test_sizes_are_on_both_sides_of_few():
    small, large = (np.prod(shape) for shape in SIZES)
    assert small <= FEW < large


@st.composite
def products(draw):
    """A product of two arrays with some batch, contracted and free axes in any order."""
    sizes = {name: draw(st.integers(1, 4)) for name in "bcdeijkl"}
    batch, depth = draw(st.sampled_from(["", "b", "bc"])), draw(st.sampled_from(["", "d", "de"]))
    left, right = draw(st.sampled_from(["", "i", "ij"])), draw(st.sampled_from(["", "k", "kl"]))
    one = "".join(draw(st.permutations(batch + depth + left)))
    other = "".join(draw(st.permutations(batch + depth + right)))
    runs = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    limit = draw(st.sampled_from([0, 8, 64]))
    return sizes, f"{one},{other}->{batch}{left}{right}", runs, limit


@seed(1)
@settings(max_examples=60, deadline=None, database=None)
@given(products())
def test_vmap_last_of_products_equals_vmap(case):
    sizes, subscripts, runs, limit = case
    one, other = subscripts.split("->")[0].split(",")
    shapes = [tuple(sizes[axis] for axis in axes) for axes in (one, other)]
    args = [
        np.random.default_rng(n).normal(size=(*shape, RUNS) if has else shape).astype(np.float32)
        for n, (shape, has) in enumerate(zip(shapes, runs, strict=True))
    ]
    before, runs_last.WRITTEN_OUT = runs_last.WRITTEN_OUT, limit
    try:
        assert_equal_to_vmap(lambda x, y: [jnp.einsum(subscripts, x, y)], *args, runs=runs, rtol=1e-5)
    finally:
        runs_last.WRITTEN_OUT = before


def test_what_does_not_differ_between_runs_stays_without_their_axis():
    common = vmap_last(lambda x, y: [x + 1, x * y], [True, False], [True, False])
    with pytest.raises(AssertionError, match="must have the axis of runs"):
        common(jnp.ones(RUNS), jnp.ones(()))
    found = vmap_last(lambda x, y: [y + 1, x * y], [True, False], [False, True])(jnp.ones(RUNS), jnp.float32(3))
    assert [one.shape for one in found] == [(), (RUNS,)]


def test_zero_size_arrays():
    assert_equal_to_vmap(lambda x: [x * 2, x.sum(), jnp.concatenate([x, jnp.ones(2)])], np.zeros((0, RUNS), np.float32))
