"""A small least-squares problem, in float64 NumPy for the references and in JAX for the rules.

f_t(x) = 1/2 |s(A x) - y_t|^2 with eight residuals, s(u) = u + 0.3 sin u and x a matrix [2, 3]. The target y_t depends
on the step, as with mini-batches; the full problem has the target Y.
"""

import jax
import jax.numpy as jnp
import numpy as np

SHAPE = (2, 3)
_draw = np.random.default_rng(7)
A = _draw.normal(size=(8, 6)) * np.array([0.2, 0.5, 1.0, 0.3, 0.8, 0.4])
Y = _draw.normal(size=8)
KEY = 11


def target(t):
    """y_t; Y, that of the full problem, for t None."""
    return Y if t is None else Y + 0.2 * np.cos(t + np.arange(8))


def residuals(x, t):
    u = A @ x.ravel()
    return u + 0.3 * np.sin(u) - target(t)


def jacobian(x):
    """The Jacobian of the residuals, [8, 6]."""
    return (1 + 0.3 * np.cos(A @ x.ravel()))[:, None] * A


def value(x, t):
    return 0.5 * np.sum(residuals(x, t) ** 2)


def grad(x, t):
    return (jacobian(x).T @ residuals(x, t)).reshape(x.shape)


def hessian(x, t):
    """The Hessian of the value, [6, 6]."""
    curvature = -0.3 * np.sin(A @ x.ravel()) * residuals(x, t)
    return jacobian(x).T @ jacobian(x) + A.T @ (curvature[:, None] * A)


def noise(t):
    """The standard normal draws of step t, shaped like x, equal to those of `gdlab.rules.leafwise.normal`."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(KEY), t), 0)
    return np.asarray(jax.random.normal(key, SHAPE, jnp.result_type(float)), np.float64)


def extras(x, t):
    """All extra arguments that the runner passes at step t (which may be traced), in the dtype of x."""

    def outputs(x):
        u = jnp.asarray(A, x.dtype) @ x.ravel()
        return u + jnp.asarray(0.3, x.dtype) * jnp.sin(u)

    def against(y):
        return lambda z: 0.5 * jnp.sum((z - jnp.asarray(y, z.dtype)) ** 2)

    t = jnp.asarray(t, x.dtype)
    criterion = against(jnp.asarray(Y, x.dtype) + 0.2 * jnp.cos(t + jnp.arange(8, dtype=x.dtype)))

    def loss(x):
        return criterion(outputs(x))

    value, grad = jax.value_and_grad(loss)(x)
    return {
        "value": value,
        "grad": grad,
        "value_fn": loss,
        "grad_fn": jax.grad(loss),
        "full_grad_fn": jax.grad(lambda x: against(Y)(outputs(x))),
        "outputs_fn": outputs,
        "criterion_fn": criterion,
        "key": jax.random.fold_in(jax.random.key(KEY), t.astype(jnp.int32)),
        "step": t.astype(jnp.int32),
    }


def bowl_extras(x):
    """The same for 1/2 |x|^2 of any tree x, whose gradient is x."""

    def flat(x):
        leaves = [jnp.asarray(leaf, jnp.float32).ravel() for leaf in jax.tree.leaves(x)]
        return jnp.concatenate(leaves) if leaves else jnp.zeros(0)

    def loss(x):
        return 0.5 * jnp.sum(flat(x) ** 2)

    return {
        "value": loss(x),
        "grad": x,
        "value_fn": loss,
        "grad_fn": jax.grad(loss),
        "full_grad_fn": jax.grad(loss),
        "outputs_fn": flat,
        "criterion_fn": lambda z: 0.5 * jnp.sum(z**2),
        "key": jax.random.key(KEY),
        "step": jnp.asarray(0, jnp.int32),
    }
