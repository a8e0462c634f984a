"""Strict JAX in every test: no silent dtype or rank promotion, one device, no compiled programs from earlier sessions.

The command line asks for a device per core and a cache on disk; setting both here makes the order of tests irrelevant.
XLA optimises little, because compilation takes longer than the programs. This does not concern the processes that tests
start, nor the tests with the fixture `optimised`. `JAX_DISABLE_MOST_OPTIMIZATIONS=false pytest` optimises everywhere.
"""

import gc
import os

import jax
import pytest

from gdlab.engine import chunk_programs, program
from tests.command_line import finished, gdlab, write  # noqa: F401  (fixtures)
from tests.real_processes import home, processes, uninterrupted, with_figures  # noqa: F401  (fixtures)

if "JAX_DISABLE_MOST_OPTIMIZATIONS" not in os.environ:
    jax.config.update("jax_disable_most_optimizations", True)
os.environ["GDLAB_CACHE"] = ""
jax.config.update("jax_num_cpu_devices", 1)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def compiled_programs_of_one_module():
    """Compiled programs are kept for one module of tests, so that the memory of a worker stays below 2 GB."""
    yield
    chunk_programs._cache.clear()
    program._compiled.clear()
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def standard_promotion():
    """JAX's default promotion, for code that is not gdlab's."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def compilations():
    """A function that returns how many programs XLA has compiled or read from the disk cache since the test began."""
    count = 0

    def counted(event, seconds, **kwargs):
        nonlocal count
        count += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(counted)
    jax.jit(lambda x: -x).lower(0.0).compile()
    assert count == 1, "JAX has renamed the event of a compilation, so nothing is counted"
    yield lambda: count
    jax.monitoring.unregister_event_duration_listener(counted)


@pytest.fixture(scope="module")
def optimised():
    """Compile with full optimisation: for long programs, and for tests whose bits depend on it."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
