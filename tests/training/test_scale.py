"""Time and memory of a large sweep."""

import subprocess
import sys

import pytest

MILLION = """
import resource
import gdlab
from gdlab import problems, rules

over = {"lr": gdlab.log(1e-6, 1e-1, 1000), "beta": gdlab.linear(0, 0.99, 1000)}
data = gdlab.sweep(problems.rosenbrock(), rules.momentum, over, steps=200, every=None)
assert data["final_loss"].shape == (1000, 1000)
assert float(data["final_loss"].min()) < 1e-9
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_million_runs_fit_in_two_gibibytes():
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 2 * 2**30
