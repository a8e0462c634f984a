"""References for adaptive and sign-based rules, aggregated and quasi-hyperbolic momenta; see `rule_references`."""

import numpy as np
import optax


def past(g, weight):
    """Row t: the sum over k <= t of weight(t - k) g_k."""
    return np.stack([sum(weight(t - k) * g[k] for k in range(t + 1)) for t in range(len(g))])


def ema(g, b):
    return past(g, lambda age: (1 - b) * b**age)


def count(g):
    return np.arange(1, len(g) + 1)[:, None, None]


def debiased(g, b):
    """The mean of all gradients so far with weights that fall by the factor b per step."""
    return past(g, lambda age: b**age) / past(np.ones_like(g), lambda age: b**age)


def sign_gd(g, x, *, lr):
    return np.where(g > 0, -lr, np.where(g < 0, lr, 0.0))


def lion(g, x, *, lr, b1, b2, weight_decay):
    """c_t as a sum over all gradients: the last has the weight 1 - b1, earlier ones b1 (1 - b2) b2^(age - 1)."""
    c = past(g, lambda age: 1 - b1 if age == 0 else b1 * (1 - b2) * b2 ** (age - 1))
    steps = []
    for direction in np.sign(c):
        after = (1 - lr * weight_decay) * x - lr * direction
        steps.append(after - x)
        x = after
    return np.stack(steps)


def adamax(g, x, *, lr, b1, b2, eps):
    """The maximum over the whole past of b2^age (|g| + eps)."""
    norms = [np.max([b2 ** (t - k) * (np.abs(g[k]) + eps) for k in range(t + 1)], axis=0) for t in range(len(g))]
    return -lr * debiased(g, b1) / np.stack(norms)


def nadam(g, x, *, lr, b1, b2, eps, momentum_drop, momentum_decay):
    """Dozat's Algorithm 2 line by line, with lists that start at t = 1."""
    count = len(g)
    mu = [b1 * (1 - momentum_drop * 0.96 ** (momentum_decay * t)) for t in range(1, count + 2)]
    m, n, steps = np.zeros_like(x), np.zeros_like(x), []
    for i in range(count):
        g_hat = g[i] / (1 - np.prod(mu[: i + 1]))
        m = mu[i] * m + (1 - mu[i]) * g[i]
        m_hat = m / (1 - np.prod(mu[: i + 2]))
        n = b2 * n + (1 - b2) * g[i] ** 2
        n_hat = b2 * n / (1 - b2 ** (i + 1))
        m_bar = (1 - mu[i]) * g_hat + mu[i + 1] * m_hat
        steps.append(-lr * m_bar / (np.sqrt(n_hat) + eps))
    return np.stack(steps)


def amsgrad(g, x, *, lr, b1, b2, eps, corrected):
    average = debiased if corrected else ema
    return -lr * average(g, b1) / (np.sqrt(np.maximum.accumulate(average(g**2, b2), axis=0)) + eps)


def adabelief(g, x, *, lr, b1, b2, eps):
    """The eps of a step contributes b2^age eps to later s; with bias correction the sum is eps / (1 - b2)."""
    spread = debiased((g - ema(g, b1)) ** 2, b2) + eps / (1 - b2)
    return -lr * debiased(g, b1) / (np.sqrt(spread) + eps)


def yogi(g, x, *, lr, b1, b2, eps, initial_accumulator, corrected):
    v, steps = np.full_like(x, initial_accumulator), []
    mean = (debiased if corrected else ema)(g, b1)
    for t, (m, square) in enumerate(zip(mean, g**2, strict=True), start=1):
        v = np.where(v > square, v - (1 - b2) * square, v + (1 - b2) * square)
        steps.append(-lr * m / (np.sqrt(v / (1 - b2**t) if corrected else v) + eps))
    return np.stack(steps)


def radam(g, x, *, lr, b1, b2, eps, threshold):
    longest, t = 2 / (1 - b2) - 1, count(g)
    length = longest - 2 * t * b2**t / (1 - b2**t)
    with np.errstate(invalid="ignore"):
        r = np.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
    adaptive = r * debiased(g, b1) / (np.sqrt(debiased(g**2, b2)) + eps)
    return -lr * np.where(length > threshold, adaptive, debiased(g, b1))


def adadelta(g, x, *, lr, rho, eps):
    """The root mean square of past steps, from the list of all steps."""
    rms_g, steps = np.sqrt(ema(g**2, rho) + eps), []
    for t in range(len(g)):
        before = sum(((1 - rho) * rho ** (t - 1 - k) * steps[k] ** 2 for k in range(t)), np.zeros_like(x))
        steps.append(-np.sqrt(before + eps) / rms_g[t] * g[t])
    return lr * np.stack(steps)


def rprop(g, x, *, lr, eta_minus, eta_plus, min_step, max_step, backtrack):
    """A loop over the coordinates, with the three cases of the paper's Equations 4 to 6."""
    updates = np.zeros_like(g)
    for at in np.ndindex(*x.shape):
        size, last_gradient, last_step = lr, 0.0, 0.0
        for t in range(len(g)):
            gradient = g[(t, *at)]
            if last_gradient * gradient < 0:
                size = max(size * eta_minus, min_step) if size * eta_minus < max_step else max_step
                last_step, gradient = (-last_step if backtrack else 0.0), 0.0
            else:
                if last_gradient * gradient > 0:
                    size = min(max(size * eta_plus, min_step), max_step)
                last_step = -size * np.sign(gradient)
            updates[(t, *at)], last_gradient = last_step, gradient
    return updates


def qhm(g, x, *, lr, beta, nu):
    return -lr * past(g, lambda age: nu * (1 - beta) * beta**age + (1 - nu if age == 0 else 0.0))


def qhadam(g, x, *, lr, b1, b2, nu1, nu2, eps):
    first = g + nu1 * (debiased(g, b1) - g)
    second = g**2 + nu2 * (debiased(g**2, b2) - g**2)
    return -lr * first / (np.sqrt(second) + eps)


def aggmo(g, x, *, lr, b1, b2, b3):
    return -lr * past(g, lambda age: np.mean([b**age for b in (b1, b2, b3)]))


def nesterov_1983(g, x, *, lr):
    """Nesterov's two sequences: the iterate x, and y, where the gradient is taken."""
    y, a, steps = x, 1.0, []
    for gradient in g:
        x_next, a_next = y - lr * gradient, (1 + np.sqrt(4 * a**2 + 1)) / 2
        y_next = x_next + (a - 1) / a_next * (x_next - x)
        steps.append(y_next - y)
        x, y, a = x_next, y_next, a_next
    return np.stack(steps)


REFERENCES = {
    "adabelief": adabelief,
    "adadelta": adadelta,
    "adamax": adamax,
    "aggmo": aggmo,
    "amsgrad": amsgrad,
    "lion": lion,
    "nadam": nadam,
    "nesterov_1983": nesterov_1983,
    "qhadam": qhadam,
    "qhm": qhm,
    "radam": radam,
    "rprop": rprop,
    "sign_gd": sign_gd,
    "yogi": yogi,
}

_ADAM = {"lr": 0.3, "b1": 0.8, "b2": 0.95, "eps": 1e-3}
_THEIRS = {"b1": 0.8, "b2": 0.95, "eps": 1e-3}

OPTAX = {
    "adabelief": (_ADAM, optax.adabelief(0.3, **_THEIRS, eps_root=1e-3)),
    "adadelta": ({"lr": 0.3, "rho": 0.8, "eps": 1e-3}, optax.adadelta(0.3, 0.8, 1e-3)),
    "adamax": (_ADAM, optax.adamax(0.3, **_THEIRS)),
    "amsgrad": (_ADAM | {"corrected": True}, optax.amsgrad(0.3, **_THEIRS)),
    "amsgrad, the paper's": (_ADAM, optax.amsgrad(0.3, **_THEIRS, bias_correction_mu=False, bias_correction_nu=False)),
    "lion": (
        {"lr": 0.3, "b1": 0.8, "b2": 0.95, "weight_decay": 0.2},
        optax.lion(0.3, 0.8, 0.95, weight_decay=0.2),
    ),
    # Without the paper's factor b2 in the second moment, lr and eps are larger by 1 / sqrt(b2).
    "nadam": (
        {"lr": 0.3 * 0.95**0.5, "b1": 0.8, "b2": 0.95, "eps": 1e-3 * 0.95**0.5, "momentum_drop": 0.0},
        optax.nadam(0.3, **_THEIRS),
    ),
    "radam": (_ADAM | {"threshold": 4.5}, optax.radam(0.3, **_THEIRS, threshold=4.5)),
    "sign_gd": ({"lr": 0.3}, optax.sign_sgd(0.3)),
    # Optax's m starts at 1e-6 too, unless both start at 0.
    "yogi": (
        _ADAM | {"initial_accumulator": 0.0, "corrected": True},
        optax.chain(optax.scale_by_yogi(**_THEIRS, initial_accumulator_value=0.0), optax.scale(-0.3)),
    ),
}
