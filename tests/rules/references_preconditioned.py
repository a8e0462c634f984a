"""References for rules that use matrices or curvature; see `rule_references`."""

import numpy as np
import optax
import optax.contrib

from tests.rules import rule_problem


def muon(g, x, *, lr, beta, eps, nesterov):
    """The polynomial of the iteration, applied to the singular values."""
    updates = []
    for t in range(len(g)):
        velocity = sum(beta ** (t - k) * g[k] for k in range(t + 1))
        left, values, right = np.linalg.svd(g[t] + beta * velocity if nesterov else velocity, full_matrices=False)
        values = values / (np.linalg.norm(values) + eps)
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        updates.append(-lr * np.sqrt(3 / 2) * (left * values) @ right)
    return np.stack(updates)


def shampoo(g, x, *, lr, eps):
    """One matrix for the flattened gradient: the Kronecker product of both roots, from singular values."""

    def root(blocks, size):
        # For A A' = eps I + sum of G G' the singular values of A are the square roots of the eigenvalues.
        left, values, _ = np.linalg.svd(np.concatenate([np.sqrt(eps) * np.eye(size), *blocks], axis=1))
        return left @ np.diag(values**-0.5) @ left.T

    updates = []
    for t in range(len(g)):
        past = g[: t + 1]
        whole = np.kron(root(past, 2), root(past.transpose(0, 2, 1), 3))
        updates.append(-lr * (whole @ g[t].ravel()).reshape(2, 3))
    return np.stack(updates)


def adafactor(g, x, *, lr, decay_power, clip, eps, least_scale):
    """Algorithm 4; V is the rank-one matrix with the row and column sums of the average."""
    average, updates = np.zeros_like(x), []
    for t in range(1, len(g) + 1):
        beta = 1 - t**-decay_power
        average = beta * average + (1 - beta) * (g[t - 1] ** 2 + eps)
        factored = np.outer(average.sum(1), average.sum(0)) / average.sum()
        step = g[t - 1] / factored**0.5
        step = step / max(1.0, np.sqrt(np.mean(step**2)) / clip)
        alpha = max(least_scale, np.sqrt(np.mean(x**2))) * min(lr, t**-0.5)
        updates.append(-alpha * step)
        x = x + updates[-1]
    return np.stack(updates)


def sophia(steps, x, *, lr, b1, b2, gamma, eps, weight_decay, period):
    """With the Hessian as a matrix, and averages as sums over the past."""
    g, estimates, updates = [], [], []
    for t in range(steps):
        g.append(rule_problem.grad(x, t))
        if t % period == 0:
            z = rule_problem.noise(t).ravel()
            estimates.append((np.diag(z) @ rule_problem.hessian(x, t) @ z).reshape(x.shape))
        m = sum((1 - b1) * b1 ** (t - k) * g[k] for k in range(t + 1))
        h = sum((1 - b2) * b2 ** (len(estimates) - 1 - k) * estimates[k] for k in range(len(estimates)))
        bounded = np.where(gamma * h > eps, gamma * h, eps)
        after = (1 - lr * weight_decay) * x - lr * np.sign(m) * np.minimum(np.abs(m) / bounded, 1)
        updates.append(after - x)
        x = after
    return np.stack(updates)


def soap(g, x, *, lr, b1, b2, eps, period):
    """Adam on the coefficients of the gradient in the basis of rank-one matrices p q'."""

    def side(past, basis):
        # Gram-Schmidt on the columns of (the sum of w G G') P; the signs of columns do not matter.
        weights = (1 - b2) * b2 ** np.arange(len(past))[::-1]
        columns = sum(w * a @ (a.T @ basis) for w, a in zip(weights, past, strict=True)).T
        found = []
        for column in columns:
            rest = column
            for _ in range(2):
                rest = rest - sum((np.vdot(q, rest) * q for q in found), np.zeros_like(rest))
            found.append(rest / np.linalg.norm(rest))
        return np.stack(found, axis=1)

    basis, square, updates = np.eye(6), np.zeros(6), []
    left, right = np.eye(2), np.eye(3)
    for t in range(1, len(g) + 1):
        past = g[:t]
        square = b2 * square + (1 - b2) * (basis.T @ past[-1].ravel()) ** 2
        mean = np.tensordot((1 - b1) * b1 ** np.arange(t)[::-1], past, 1) / (1 - b1**t)
        coefficients = (basis.T @ mean.ravel()) / (np.sqrt(square / (1 - b2**t)) + eps)
        updates.append(-lr * (basis @ coefficients).reshape(2, 3))
        if t % period == 0:
            left, right = side(past, left), side(past.transpose(0, 2, 1), right)
            basis = np.kron(left, right)
    return np.stack(updates)


REFERENCES = {"adafactor": adafactor, "muon": muon, "shampoo": shampoo, "soap": soap, "sophia": sophia}

OPTAX = {
    # In the first five steps 1 / sqrt(t) exceeds this lr.
    "adafactor": (
        {"lr": 0.3, "decay_power": 0.7, "clip": 0.8},
        optax.adafactor(0.3, min_dim_size_to_factor=2, decay_rate=0.7, clipping_threshold=0.8),
    ),
    "muon": (
        {"lr": 0.3, "beta": 0.8, "eps": 0.0, "nesterov": False},
        optax.contrib.muon(0.3, beta=0.8, eps=0.0, nesterov=False),
    ),
}
