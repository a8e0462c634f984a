"""Every rule, on each number of devices, against a plain loop; the parameters include a number and empty arrays."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.rules.rule_cases import ENTRIES

# Relative, with an absolute part of a thousandth of it for numbers near 0. In double precision both round differently
# by 1e-15 in a step; what rules divide by amplifies that to 2e-11 at most.
TOLERANCE = 1e-9


@pytest.mark.parametrize("devices", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_every_rule_is_a_plain_loop(devices, tmp_path):
    script, file = Path(__file__).with_name("sweep_every_rule.py"), tmp_path / "points.pickle"
    done = subprocess.run(
        [sys.executable, str(script), str(devices), str(file)],
        env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = pickle.loads(file.read_bytes())
    assert list(found) == [entry.kind for entry in ENTRIES]
    failed = {kind: text for kind, text in found.items() if isinstance(text, str)}
    assert not failed, "\n".join(f"{kind}: {text}" for kind, text in failed.items())
    apart = {}
    for kind, (swept, looped) in found.items():
        assert swept.shape == looped.shape
        assert np.isfinite(looped).all(), kind
        assert (np.abs(looped[:, -1] - looped[:, 0]).max(axis=1) > 0).any(), f"{kind} does not move"
        if not np.allclose(swept, looped, rtol=TOLERANCE, atol=TOLERANCE / 1000):
            apart[kind] = np.max(np.abs(swept - looped))
    assert apart == {}


FACTORISING = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
import gdlab

rule = {"shampoo": gdlab.rules.shampoo, "soap": lambda lr: gdlab.rules.soap(lr=lr, period=1)}[sys.argv[1]]
problem = gdlab.problems.logistic_regression("digits")
axes = {"lr": gdlab.log(1e-4, 1, 24), "seed": 4}
data = gdlab.sweep(problem, rule, axes, steps=10, batch_size=64, every=None)
print(int((data["diverged_at"] < 0).sum()))
"""


@pytest.mark.parametrize("kind", ["shampoo", "soap"])
def test_batched_factorisations_on_two_devices_do_not_deadlock(kind):
    settings = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", FACTORISING, kind]
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "96\n"
