"""Strict JAX for every test: no silent dtype or rank promotion, so that what a rule computes is what it says.

One device, and no programs from other days, whether or not a test of the command line, which asks for a device for each
core and a cache on disk, comes first.
"""

import os

import jax
import pytest

from tests.command_line import finished, gdlab, write  # noqa: F401  (fixtures)
from tests.real_processes import drawn, home, lab, unbroken  # noqa: F401  (fixtures)

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
def compilations():
    """A function that says how many programs XLA has compiled, or taken from a cache on disk, since the test began."""
    count = 0

    def counted(event, seconds, **kwargs):
        nonlocal count
        count += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(counted)
    jax.jit(lambda x: -x).lower(0.0).compile()
    assert count == 1, "JAX reports its compilations under another name: nothing would be counted"
    yield lambda: count
    jax.monitoring.unregister_event_duration_listener(counted)
