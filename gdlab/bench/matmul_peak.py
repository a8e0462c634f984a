"""What the machine can do at most: one large matrix product."""

import time

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

SIZE = 3072


def matmul_peak(size: int = SIZE, repeats: int = 5) -> float:
    """The best of some float32 products of two square matrices, in GFLOP/s, the rows divided among all local devices.

    At JAX's default precision, which on a GPU may be less than float32 all through, as it is for the contestants.
    """
    devices = jax.local_devices()
    mesh = jax.make_mesh((len(devices),), ("rows",), axis_types=(AxisType.Auto,), devices=devices)
    rows = -(-size // len(devices)) * len(devices)
    a = jax.device_put(jnp.ones((rows, size), jnp.float32), NamedSharding(mesh, PartitionSpec("rows")))
    b = jax.device_put(jnp.ones((size, size), jnp.float32), NamedSharding(mesh, PartitionSpec()))
    product = jax.jit(jnp.matmul)
    product(a, b).block_until_ready()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        product(a, b).block_until_ready()
        times.append(time.perf_counter() - began)
    return 2.0 * rows * size * size / min(times) / 1e9
