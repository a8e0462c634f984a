"""Strict JAX for every test: no silent dtype or rank promotion, so that what a rule computes is what it says.

One device, and no programs from other days, whether or not a test of the command line, which asks for a device for each
core and a cache on disk, comes first.
"""

import os

import jax
import pytest
from real_processes import drawn, home, lab, unbroken  # noqa: F401  (fixtures)

os.environ["GDLAB_CACHE"] = ""
jax.config.update("jax_num_cpu_devices", 1)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def standard_promotion():
    """JAX as users have it, for a test of code that is not ours."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def compilations(monkeypatch):
    """A function that says how many programs XLA has compiled since the test began."""
    count = 0
    compile_or_get = jax._src.compiler.compile_or_get_cached

    def counted(*args, **kwargs):
        nonlocal count
        count += 1
        return compile_or_get(*args, **kwargs)

    monkeypatch.setattr(jax._src.compiler, "compile_or_get_cached", counted)
    return lambda: count
