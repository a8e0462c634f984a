"""Reference for Prodigy; see `rule_references`."""

import numpy as np
import optax
import optax.contrib


def prodigy(g, x, *, lr, b1, b2, eps, first_distance, corrected):
    """Averages are sums over the past, and the distance is the largest quotient so far."""
    points, distances = [x], [first_distance]
    for t in range(1, len(g) + 1):
        d = np.array(distances)[:, None, None]
        k, ages = np.arange(1, t + 1), np.arange(t)[::-1]
        rates = lr * (np.sqrt(1 - b2**k) / (1 - b1**k) if corrected else np.ones(t))
        mean = (1 - b1) * np.tensordot(b1**ages, d * g[:t], 1)
        square = (1 - b2) * np.tensordot(b2**ages, (d * g[:t]) ** 2, 1)
        step = -rates[-1] * distances[-1] * mean / (np.sqrt(square) + distances[-1] * eps)
        weights = b2 ** (ages / 2) * rates * np.square(distances)
        gain = sum(w * np.vdot(gradient, x - point) for w, gradient, point in zip(weights, g[:t], points, strict=True))
        distances.append(max(distances[-1], gain / np.abs(np.tensordot(weights, g[:t], 1)).sum()))
        points.append(points[-1] + step)
    return np.diff(points, axis=0)


REFERENCES = {"prodigy": prodigy}

OPTAX = {
    # Optax multiplies eps by the new estimate; for eps = 0 the two are equal.
    "prodigy": (
        {"lr": 0.3, "b1": 0.8, "b2": 0.95, "eps": 0.0, "first_distance": 1e-3, "corrected": True},
        optax.contrib.prodigy(0.3, (0.8, 0.95), eps=0.0, estim_lr0=1e-3),
    ),
}
