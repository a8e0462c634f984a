"""A wide network: large matrix products and few runs."""

from gdlab.bench.task import BenchTask
from gdlab.bench.tasks.relu_network import relu_network


def wide(rates: int = 16, steps: int = 100) -> BenchTask:
    """A 784-256-256-10 network, batches of 128 of 2,048 examples; see `relu_network`."""
    sizes = (784, 256, 256, 10)
    return relu_network("wide", sizes, examples=2048, batch=128, rates=rates, steps=steps, eager_runs=8)
