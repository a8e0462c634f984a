"""References for the classic rules; see `rule_references`. Averages are computed as sums over the whole past."""

import numpy as np
import optax


def gd(g, x, lr):
    return -lr * g


def _past(g, weight):
    """Row t: the sum over k <= t of weight(t - k) g_k."""
    t = np.arange(len(g))
    weights = np.where(t[:, None] >= t, weight(np.maximum(t[:, None] - t, 0)), 0.0)
    return np.tensordot(weights, g, 1)


def momentum(g, x, lr, beta, dampening):
    return -lr * (1 - dampening) * _past(g, lambda age: beta**age)


def momentum_ema(g, x, lr, beta):
    return -lr * _past(g, lambda age: (1 - beta) * beta**age)


def nesterov(g, x, lr, beta):
    """Sutskever's two sequences: theta, the point, and w, the last step; the gradient is taken at theta + beta w."""
    theta, w, ahead, steps = x.copy(), np.zeros_like(x), x.copy(), []
    for gradient in g:
        w = beta * w - lr * gradient
        theta = theta + w
        steps.append(theta + beta * w - ahead)
        ahead = theta + beta * w
    return np.stack(steps)


def adagrad(g, x, lr, eps, initial_accumulator):
    return -lr * g / (np.sqrt(initial_accumulator + np.cumsum(g**2, axis=0)) + eps)


def rmsprop(g, x, *, lr, decay, eps, momentum, centred, eps_inside):
    def average(of):
        return _past(of, lambda age: (1 - decay) * decay**age)

    variance = average(g**2) - (average(g) ** 2 if centred else 0.0)
    divided = g / (np.sqrt(variance + eps) if eps_inside else np.sqrt(variance) + eps)
    return -lr * _past(divided, lambda age: momentum**age)


def _adam_direction(g, b1, b2, eps):
    def corrected(of, b):
        t = np.arange(1, len(g) + 1)[:, None, None]
        return _past(of, lambda age: (1 - b) * b**age) / (1 - b**t)

    return corrected(g, b1) / (np.sqrt(corrected(g**2, b2)) + eps)


def adam(g, x, *, lr, b1, b2, eps):
    return -lr * _adam_direction(g, b1, b2, eps)


def adamw(g, x, *, lr, b1, b2, eps, weight_decay):
    """Each step multiplies the point by 1 - lr weight_decay and adds Adam's update."""
    moves, point, steps = adam(g, x, lr=lr, b1=b1, b2=b2, eps=eps), x, []
    for move in moves:
        after = (1 - lr * weight_decay) * point + move
        steps.append(after - point)
        point = after
    return np.stack(steps)


REFERENCES = {
    "adagrad": adagrad,
    "adam": adam,
    "adamw": adamw,
    "gd": gd,
    "momentum": momentum,
    "momentum_ema": momentum_ema,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
}

OPTAX = {
    "gd": ({"lr": 0.3}, optax.sgd(0.3)),
    "momentum": ({"lr": 0.3, "beta": 0.8}, optax.sgd(0.3, momentum=0.8)),
    "momentum_ema": ({"lr": 0.3, "beta": 0.8}, optax.chain(optax.ema(0.8, debias=False), optax.scale(-0.3))),
    "nesterov": ({"lr": 0.3, "beta": 0.8}, optax.sgd(0.3, momentum=0.8, nesterov=True)),
    # Optax adds eps inside the root; for eps = 0 the two are equal.
    "adagrad": ({"lr": 0.3, "eps": 0.0, "initial_accumulator": 0.2}, optax.adagrad(0.3, 0.2, eps=0.0)),
    "rmsprop": ({"lr": 0.3, "decay": 0.7, "eps": 1e-3}, optax.rmsprop(0.3, 0.7, eps=1e-3, eps_in_sqrt=False)),
    "rmsprop, eps inside": ({"lr": 0.3, "decay": 0.7, "eps": 1e-3, "eps_inside": True}, optax.rmsprop(0.3, 0.7, 1e-3)),
    "rmsprop, momentum": (
        {"lr": 0.3, "decay": 0.7, "eps": 1e-3, "eps_inside": True, "momentum": 0.8},
        optax.rmsprop(0.3, 0.7, 1e-3, momentum=0.8),
    ),
    "rmsprop, centred": (
        {"lr": 0.3, "decay": 0.7, "eps": 1e-3, "eps_inside": True, "centred": True},
        optax.rmsprop(0.3, 0.7, 1e-3, centered=True),
    ),
    "adam": ({"lr": 0.3, "b1": 0.8, "b2": 0.95, "eps": 1e-3}, optax.adam(0.3, 0.8, 0.95, 1e-3)),
    "adamw": (
        {"lr": 0.3, "b1": 0.8, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.2},
        optax.adamw(0.3, 0.8, 0.95, 1e-3, weight_decay=0.2),
    ),
}
