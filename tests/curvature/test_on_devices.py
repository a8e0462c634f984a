"""Eigenvalues of many runs on several devices at once."""

import subprocess
import sys

PROGRAM = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import jax.numpy as jnp
import numpy as np
import gdlab
from gdlab.curvature import hessian_product, top, trace

h = jnp.linspace(-1.0, 5.0, 100)

def measured(scale):
    product = hessian_product(lambda x: 0.5 * scale * jnp.sum(h * x**2), jnp.ones(100))
    key = jax.random.key(0)
    ends = {w: top(product, jnp.ones(100), 2, key, which=w, steps=40).values[0] for w in ("largest", "smallest")}
    return ends | {"trace": trace(product, jnp.ones(100), key, 30, method="hutch++").value}

scales = np.linspace(1, 2, 400, dtype=np.float32)
data = gdlab.evaluate(measured, {"scale": scales})
np.testing.assert_allclose(data["largest"], 5 * scales, rtol=1e-3)
np.testing.assert_allclose(data["smallest"], -scales, rtol=1e-3)
"""


def test_top_on_two_devices_does_not_deadlock():
    """Batched factorisations deadlock here (see `gdlab.curvature.one_by_one`)."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=300)
