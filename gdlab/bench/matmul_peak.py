"""Peak speed of the machine, measured by a large matrix product."""

import time

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

SIZE = 3072


def matmul_peak(size: int = SIZE, repeats: int = 5) -> float:
    """The highest speed, in GFLOP/s, of several float32 products of two square matrices.

    The rows of the left matrix are sharded over all devices. The product uses JAX's default matmul precision, like the
    programs that the benchmarks compare. On a GPU this precision may be lower than float32.
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
