"""References of the wrappers, around gradient descent; see `rule_references`."""

import numpy as np
import optax
import optax.contrib

from tests.rules import rule_problem


def clip_by_value(g, x, lr, max_value):
    return -lr * np.where(np.abs(g) > max_value, np.sign(g) * max_value, g)


def clip_by_norm(g, x, lr, max_norm):
    """The projection onto the ball of radius max_norm."""
    length = np.linalg.norm(g.reshape(len(g), -1), axis=1)[:, None, None]
    return -lr * np.where(length > max_norm, g / length * max_norm, g)


def weight_decay(g, x, lr, l2):
    """x <- (1 - lr l2) x - lr g."""
    points = [x]
    for gradient in g:
        points.append((1 - lr * l2) * points[-1] - lr * gradient)
    return np.diff(points, axis=0)


def centralise(g, x, lr, outputs):
    """The projection P = I - e e', with e the unit vector of equal entries."""
    n = g.shape[1] if outputs == "last" else g.shape[2]
    projection = np.eye(n) - np.full((n, n), 1 / n)
    return -lr * (projection @ g if outputs == "last" else g @ projection)


def add_noise(steps, x, lr, eta, gamma):
    points = [x]
    for t in range(steps):
        variance = eta * (1 + t) ** -gamma
        noisy = rule_problem.grad(points[-1], t) + np.sqrt(variance) * rule_problem.noise(t)
        points.append(points[-1] - lr * noisy)
    return np.diff(points, axis=0)


def accumulate(g, x, lr, every):
    updates = np.zeros_like(g)
    for last in range(every - 1, len(g), every):
        updates[last] = -lr * np.mean(g[last - every + 1 : last + 1], axis=0)
    return updates


def lookahead(g, x, lr, period, pull):
    """The paper's two loops: k fast steps from the slow weights, then the slow step."""
    slow, gradients, fast = x, iter(g), [x]
    try:
        while True:
            theta = slow
            for k in range(period):
                theta = theta - lr * next(gradients)
                if k < period - 1:
                    fast.append(theta)
            slow = slow + pull * (theta - slow)
            fast.append(slow)
    except StopIteration:
        return np.diff(fast, axis=0)


def sam(steps, x, lr, rho):
    points = [x]
    for t in range(steps):
        g = rule_problem.grad(points[-1], t)
        perturbed = points[-1] + rho * g / np.sqrt(np.sum(g**2))
        points.append(points[-1] - lr * rule_problem.grad(perturbed, t))
    return np.diff(points, axis=0)


def gd(g, x, lr, **of_the_mean):
    """An average changes the evaluation parameters, not the updates; see test_theory_wrapping."""
    return -lr * g


def reduce_on_plateau(steps, x, lr, factor, patience, rtol, cooldown, min_scale):
    """The steps on which the scale is lowered, from the list of losses."""
    points, losses, best, scale, since = [x], [], np.inf, 1.0, 0
    for t in range(steps):
        losses.append(rule_problem.value(points[-1], t))
        improved = losses[-1] < (1 - rtol) * best
        best = losses[-1] if improved else best
        since = max(since, t + 1) if improved else since  # the first step that is counted
        if t - since + 1 == patience:
            scale, since = max(scale * factor, min_scale), t + 1 + cooldown
        points.append(points[-1] - scale * lr * rule_problem.grad(points[-1], t))
    return np.diff(points, axis=0)


REFERENCES = {
    "accumulate": accumulate,
    "add_noise": add_noise,
    "average": gd,
    "centralise": centralise,
    "clip_by_leaf_norm": clip_by_norm,  # of one leaf
    "clip_by_norm": clip_by_norm,
    "clip_by_value": clip_by_value,
    "ema_of_params": gd,
    "lookahead": lookahead,
    "reduce_on_plateau": reduce_on_plateau,
    "sam": sam,
    "weight_decay": weight_decay,
}

_PLATEAU = {"factor": 0.5, "patience": 2, "rtol": 0.1, "cooldown": 1, "min_scale": 0.3}

OPTAX = {
    "accumulate": ({"lr": 0.3, "every": 2}, optax.MultiSteps(optax.sgd(0.3), 2).gradient_transformation()),
    "centralise": ({"lr": 0.3, "outputs": "first"}, optax.chain(optax.centralize(), optax.sgd(0.3))),
    "clip_by_norm": ({"lr": 0.3, "max_norm": 2.0}, optax.chain(optax.clip_by_global_norm(2.0), optax.sgd(0.3))),
    "clip_by_value": ({"lr": 0.3, "max_value": 2.0}, optax.chain(optax.clip(2.0), optax.sgd(0.3))),
    "weight_decay": ({"lr": 0.3, "l2": 0.2}, optax.chain(optax.add_decayed_weights(0.2), optax.sgd(0.3))),
    "clip_by_norm, of adam": (
        {"of": "adam", "lr": 0.3, "max_norm": 2.0, "b1": 0.8},
        optax.chain(optax.clip_by_global_norm(2.0), optax.adam(0.3, 0.8)),
    ),
    "weight_decay, of adam": (
        {"of": "optax:adam", "lr": 0.3, "l2": 0.2, "b1": 0.8},
        optax.chain(optax.add_decayed_weights(0.2), optax.adam(0.3, 0.8)),
    ),
    "reduce_on_plateau": (
        {"lr": 0.3, **_PLATEAU},
        optax.chain(optax.sgd(0.3), optax.contrib.reduce_on_plateau(**_PLATEAU)),
    ),
}
