"""A small classifier: a typical sweep over learning rates."""

from gdlab.bench.task import BenchTask
from gdlab.bench.tasks.relu_network import relu_network

EXAMPLES, FEATURES, HIDDEN, CLASSES, BATCH = 1797, 64, 32, 10, 128


def mlp(rates: int = 256, steps: int = 200) -> BenchTask:
    """A 64-32-10 network, batches of 128 of 1,797 examples; see `relu_network`."""
    sizes = (FEATURES, HIDDEN, CLASSES)
    return relu_network("mlp", sizes, examples=EXAMPLES, batch=BATCH, rates=rates, steps=steps, eager_runs=8)
