"""`gdlab doctor`: check this installation."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from gdlab.cli.exits import FAILED

MATMUL = 1024


@click.command()
def doctor() -> None:
    """Check this installation: versions, devices, precision, and a small example of each part of gdlab."""
    sys.exit(0 if examine() else FAILED)


def examine() -> bool:
    """Print a line for each package and each check. Returns whether all are installed and pass."""
    from gdlab.experiment import provenance

    for package, version in provenance.versions().items():
        click.echo(f"{package:14} {version or 'MISSING'}")
    checks: dict[str, Callable[[], str]] = {
        "devices": _devices,
        "loops": _loops,
        "memory": _memory,
        "matmul": _matmul,
        "float64": _float64,
        "sweep": _sweep,
        "store": _store,
        "figures": _figures,
        "data": _data,
    }
    sound = all(provenance.versions().values())
    for name, check in checks.items():
        try:
            found = check()
        except Exception as error:  # print every failure, and go on with the next check
            sound = False
            found = f"FAILS: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        click.echo(f"{name:14} {found}")
    click.echo("all checks passed" if sound else "some checks failed: see above")
    return sound


def _devices() -> str:
    import jax

    from gdlab.engine.devices import start

    kinds = ", ".join(f"{device.device_kind} {device.id}" for device in start())
    return f"{kinds} ({jax.default_backend()}); {os.cpu_count()} cores"


def _loops() -> str:
    from gdlab.engine.devices import LOOP_BYTES, native_loops

    if native_loops():
        return f"small loops are native functions (XLA_FLAGS, below {LOOP_BYTES:,} bytes)"
    return "small loops call XLA's runtime for each kernel: the backend of JAX started without the option in XLA_FLAGS"


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * size / 2**30:.1f} GiB"


def _matmul() -> str:
    import jax
    import jax.numpy as jnp
    import numpy as np

    times = []
    product = jax.jit(jnp.matmul)
    x = jnp.ones((MATMUL, MATMUL), jnp.float32)
    product(x, x).block_until_ready()
    for _ in range(7):
        began = time.perf_counter()
        product(x, x).block_until_ready()
        times.append(time.perf_counter() - began)
    return f"{2 * MATMUL**3 / np.median(times) / 1e9:.0f} GFLOP/s (float32, {MATMUL} x {MATMUL}, median of 7)"


def _float64() -> str:
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        ulp = float(jnp.asarray(1.0) + jnp.asarray(2.0**-50) - jnp.asarray(1.0))
    if ulp != 2.0**-50:
        raise ArithmeticError("enable_x64 does not give float64")
    return "works"


def _sweep() -> str:
    """Compare a sweep of gradient descent on (x^2 + 4 y^2) / 2 with its closed form."""
    import jax.numpy as jnp
    import numpy as np

    from gdlab import Problem, rules, sweep

    def loss(x, batch):
        return 0.5 * (x[0] ** 2 + 4 * x[1] ** 2)

    problem = Problem(init=lambda key: jnp.ones(2), loss=loss)
    found = sweep(problem, rules.gd, {"lr": [0.1, 0.2]}, steps=10, every=None)["final_loss"].values
    rates = np.array([0.1, 0.2])
    np.testing.assert_allclose(found, 0.5 * ((1 - rates) ** 20 + 4 * (1 - 4 * rates) ** 20), rtol=1e-4)
    return "works"


def _store() -> str:
    import numpy as np
    import zarr

    with tempfile.TemporaryDirectory() as folder:
        array = zarr.create_array(Path(folder) / "a.zarr", data=np.arange(10.0))
        np.testing.assert_array_equal(array[:], np.arange(10.0))
    return "works"


def _figures() -> str:
    from matplotlib.figure import Figure

    with tempfile.TemporaryDirectory() as folder:
        Figure().savefig(Path(folder) / "a.png")
    return "works"


def _data() -> str:
    from gdlab.problems.data import load

    return f"works (digits: {len(load('digits').train.y)} training examples)"
