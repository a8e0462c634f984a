"""A user-defined rule and problem, used from Python and, through `code`, from a config (configs/own_rule.yaml).

The rule takes steps of shrinking size along the sign of the gradient. The problem is a robust fit of a line to points
with a few outliers.
"""

import jax
import jax.numpy as jnp

import gdlab


@gdlab.register.rule("shrinking-sign")
def shrinking_sign(lr=0.1, decay=0.99):
    """Sign descent with a shrinking step: u = -lr decay^t sign(g)."""

    def update(grads, steps, params=None, **extra):
        return jax.tree.map(lambda g: -lr * decay**steps * jnp.sign(g), grads), steps + 1

    return gdlab.Rule(lambda params: 0.0, update)


@gdlab.register.problem("robust-line")
def robust_line(slope: float = 2.0, width: float = 1.0):
    """Fit a line to 64 points, some of them outliers: loss = mean log cosh(residual / width)."""
    x = jnp.linspace(-1, 1, 64)
    y = slope * x + jnp.where(jnp.arange(64) % 9 == 0, 5.0, 0.0)
    return gdlab.Problem(
        init=lambda key: jax.random.normal(key, (2,)),
        loss=lambda w, batch: jnp.mean(jnp.log(jnp.cosh((w[0] * batch[0] + w[1] - batch[1]) / width))),
        data=(x, y),
    )


if __name__ == "__main__":
    over = {"lr": gdlab.log(1e-3, 1, 13), "decay": [0.9, 0.97, 0.99, 0.999], "seed": 8}
    data = gdlab.sweep(robust_line, shrinking_sign, over, steps=300, batch_size=16, every=10)
    print(data)
    print(data["final_loss"].median("seed").to_pandas().round(3))
