"""References for rules with norms of layers or with sequences of points; see `rule_references`."""

import numpy as np
import optax
import optax.contrib


def normalised_gd(g, x, lr):
    return np.stack([-lr * step / np.sqrt(np.vdot(step, step)) for step in g])


def lars(g, x, *, lr, momentum, weight_decay, trust):
    point, steps = x.copy(), []
    for gradient in g:
        size = np.linalg.norm(point)
        local = trust * size / (np.linalg.norm(gradient) + weight_decay * size)
        last = steps[-1] if steps else np.zeros_like(x)
        steps.append(momentum * last - lr * local * (gradient + weight_decay * point))
        point = point + steps[-1]
    return np.stack(steps)


def lamb(g, x, *, lr, b1, b2, eps, weight_decay):
    point, steps = x.copy(), []
    for t in range(1, len(g) + 1):
        ages = np.arange(t)[::-1]
        mean = np.tensordot(b1**ages, g[:t], 1) / np.sum(b1**ages)
        square = np.tensordot(b2**ages, g[:t] ** 2, 1) / np.sum(b2**ages)
        d = mean / (np.sqrt(square) + eps) + weight_decay * point
        steps.append(-lr * np.linalg.norm(point) * d / np.linalg.norm(d))
        point = point + steps[-1]
    return np.stack(steps)


def schedule_free_sgd(g, x, *, lr, beta, weight_decay, from_start):
    """x_t is the mean of all z so far."""
    z, y, steps = [x], x, []
    for gradient in g:
        z.append(z[-1] - lr * (gradient + weight_decay * y))
        mean = np.mean(z if from_start else z[1:], axis=0)
        steps.append((1 - beta) * z[-1] + beta * mean - y)
        y = y + steps[-1]
    return np.stack(steps)


def schedule_free_adamw(g, x, *, lr, b1, b2, eps, weight_decay, warmup):
    z, y, steps, rates = [x], x, [], []
    for t, gradient in enumerate(g, 1):
        v = (1 - b2) * np.tensordot(b2 ** np.arange(t)[::-1], g[:t] ** 2, 1)
        rates.append(lr * np.sqrt(1 - b2**t) * min(1, t / warmup))
        z.append(z[-1] - rates[-1] * (gradient / (np.sqrt(v) + eps) + weight_decay * y))
        mean = np.average(z[1:], axis=0, weights=np.square(rates))
        steps.append((1 - b1) * z[-1] + b1 * mean - y)
        y = y + steps[-1]
    return np.stack(steps)


REFERENCES = {
    "lamb": lamb,
    "lars": lars,
    "normalised_gd": normalised_gd,
    "schedule_free_adamw": schedule_free_adamw,
    "schedule_free_sgd": schedule_free_sgd,
}

OPTAX = {
    "lars": ({"lr": 0.3, "momentum": 0.8, "trust": 0.01}, optax.lars(0.3, momentum=0.8, trust_coefficient=0.01)),
    "lamb": (
        {"lr": 0.3, "b1": 0.8, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.1},
        optax.lamb(0.3, 0.8, 0.95, 1e-3, weight_decay=0.1),
    ),
    "schedule_free_sgd": (
        {"lr": 0.3, "beta": 0.8, "from_start": False},
        optax.contrib.schedule_free_sgd(0.3, b1=0.8),
    ),
}
