"""References of the rules that need extra arguments; see `rule_references`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.rules.rule_problem import KEY, SHAPE, grad, hessian, jacobian, residuals, value


def _walk(steps, x, move):
    """The updates [steps, 2, 3] of the rule `u = move(x, t)`."""
    x, updates = x.copy(), []
    for t in range(steps):
        updates.append(np.asarray(move(x, t)).reshape(SHAPE))
        x = x + updates[-1]
    return np.stack(updates)


def _draws(t):
    """The standard normal and uniform draws of step t, in the precision of the rule under test."""
    key = jax.random.fold_in(jax.random.key(KEY), t)
    normal = np.asarray(jax.random.normal(jax.random.fold_in(key, 0), SHAPE, jnp.result_type(float)), np.float64)
    return normal, float(jax.random.uniform(jax.random.fold_in(key, 1), (), jnp.result_type(float)))


def polyak(steps, x, *, lr, f_min, max_step):
    """The distance along -g / |g| at which the tangent plane reaches f_min."""

    def move(x, t):
        slope = np.linalg.norm(grad(x, t))
        distance = min(max(value(x, t) - f_min, 0.0) / slope, max_step * slope)
        return -lr * distance * grad(x, t) / slope

    return _walk(steps, x, move)


def optimistic(g, x, *, lr, optimism):
    return -lr * (1 + optimism) * g + lr * optimism * np.concatenate([g[:1], g[:-1]])


def extragradient(steps, x, *, lr, ahead):
    return _walk(steps, x, lambda x, t: -lr * grad(x - ahead * lr * grad(x, t), t))


def barzilai_borwein(g, x, *, lr, first_step, min_step, max_step, formula):
    """By the two least-squares problems s / a = y and s = a y."""
    grads, past = g, []

    def move(x, t):
        g, size = grads[t], first_step
        if past:
            s, y = (x - past[-1][0]).reshape(6, 1), (g - past[-1][1]).reshape(6, 1)
            if formula == "long":
                size = 1 / np.linalg.lstsq(s, y[:, 0], rcond=None)[0][0]
            else:
                size = np.linalg.lstsq(y, s[:, 0], rcond=None)[0][0]
            size = min(max(size, min_step), max_step) if size > 0 else max_step
        past.append((x, g))
        return -lr * size * g

    return _walk(len(g), x, move)


def sgld(steps, x, *, lr, temperature):
    """In the paper's notation: n examples, epsilon = 2 lr / n, U = n f, for n = 1 / temperature."""
    n = 1 / temperature
    epsilon = 2 * lr / n
    return _walk(steps, x, lambda x, t: -epsilon / 2 * n * grad(x, t) + np.sqrt(epsilon) * _draws(t)[0])


def perturbed_gd(steps, x, *, lr, radius, threshold, wait):
    """Algorithm 2: x is replaced by x + xi, then a step of gradient descent."""
    t_noise, x, path = -wait - 1, x.copy(), [x]
    for t in range(steps):
        if np.linalg.norm(grad(x, t)) <= threshold and t - t_noise > wait:
            t_noise = t
            normal, share = _draws(t)
            x = x + radius * share ** (1 / 6) * normal / np.linalg.norm(normal)
        x = x - lr * grad(x, t)
        path.append(x)
    return np.diff(path, axis=0)


def svrg(steps, x, *, lr, period):
    """Figure 1: stages of `period` inner steps."""
    path, t = [x], 0
    while t < steps:
        snapshot = path[-1]
        full = grad(snapshot, None)
        for _ in range(min(period, steps - t)):
            w = path[-1]
            path.append(w - lr * (grad(w, t) - grad(snapshot, t) + full))
            t += 1
    return np.diff(path, axis=0)


def _first_fall(x, t, direction, slope, lengths):
    descent = np.sum(grad(x, t) * direction)
    falls = [a for a in lengths if value(x + a * direction, t) - value(x, t) <= slope * a * descent]
    return falls[0] if falls else 0.0


def armijo(steps, x, *, lr, shrink, slope):
    lengths = lr * shrink ** np.arange(30)
    return _walk(steps, x, lambda x, t: -_first_fall(x, t, -grad(x, t), slope, lengths) * grad(x, t))


def newton(steps, x, *, lr, damping, dense):
    def move(x, t):
        curvatures, axes = np.linalg.eigh(hessian(x, t))
        return -lr * axes @ ((axes.T @ grad(x, t).ravel()) / (curvatures + damping))

    return _walk(steps, x, move)


def gauss_newton(steps, x, *, lr, damping):
    """The least-squares problem J u = -r, sqrt(damping) u = 0."""

    def move(x, t):
        rows = np.vstack([jacobian(x), np.sqrt(damping) * np.eye(6)])
        return lr * np.linalg.lstsq(rows, np.concatenate([-residuals(x, t), np.zeros(6)]), rcond=None)[0]

    return _walk(steps, x, move)


def natural_gradient(steps, x, *, lr, damping):
    """F as the covariance of the score, for targets equal to the outputs plus noise of unit covariance."""

    def move(x, t):
        scores = np.concatenate([sign * np.sqrt(8) * jacobian(x) for sign in (1, -1)])
        fisher = scores.T @ scores / len(scores)
        return -lr * np.linalg.inv(fisher + damping * np.eye(6)) @ grad(x, t).ravel()

    return _walk(steps, x, move)


def levenberg_marquardt(steps, x, *, lr, damping):
    """Madsen, Nielsen & Tingleff's Algorithm 3.16; the model's decrease is from its linearised residuals."""
    mu, nu, updates, x = damping, 2.0, [], x.copy()
    for t in range(steps):
        jac, r = jacobian(x), residuals(x, t)
        h = lr * np.linalg.solve(jac.T @ jac + mu * np.eye(6), -jac.T @ r)
        rho = (value(x, t) - value(x + h.reshape(SHAPE), t)) / (np.sum(r**2) / 2 - np.sum((r + jac @ h) ** 2) / 2)
        if rho > 0:
            mu, nu = mu * max(1 / 3, 1 - (2 * rho - 1) ** 3), 2.0
        else:
            mu, nu, h = mu * nu, 2 * nu, 0 * h
        updates.append(h.reshape(SHAPE))
        x = x + updates[-1]
    return np.stack(updates)


def conjugate_gradient(steps, x, *, lr, damping, formula):
    r, d, past = None, None, []

    def move(x, t):
        nonlocal r, d
        new = -grad(x, t).ravel()
        if d is None:
            d = new
        else:
            beta = new @ new / (r @ r) if formula == "fletcher-reeves" else max(new @ (new - r) / (r @ r), 0.0)
            d = new + beta * d
        if d @ new <= 0:
            d = new
        r = new
        past.append(d)
        return lr * d * (d @ r) / (abs(d @ hessian(x, t) @ d) + damping * d @ d)

    return _walk(steps, x, move)


def lbfgs(steps, x, *, lr, line_search):
    """With the dense matrix: B <- V' B V + s s' / s.y for each pair."""
    pairs, last = [], None

    def move(x, t):
        nonlocal last
        g = grad(x, t).ravel()
        if last is not None:
            s, y = x.ravel() - last[0], g - last[1]
            if s @ y > 0:
                pairs.append((s, y))
        last = (x.ravel(), g)
        inverse = np.eye(6) / max(1.0, np.linalg.norm(g))
        if pairs:
            s, y = pairs[-1]
            inverse = np.eye(6) * (s @ y) / (y @ y)
        for s, y in pairs[-10:]:
            v = np.eye(6) - np.outer(y, s) / (s @ y)
            inverse = v.T @ inverse @ v + np.outer(s, s) / (s @ y)
        d = -(inverse @ g).reshape(SHAPE)
        return d * (_first_fall(x, t, d, 1e-4, lr * 0.5 ** np.arange(30)) if line_search else lr)

    return _walk(steps, x, move)


def _with_extras(rule, *names):
    """An optax rule with only the named extra arguments, because it raises for others."""

    def update(grads, state, params=None, **extra):
        return rule.update(grads, state, params, **{name: extra[name] for name in names})

    return optax.GradientTransformationExtraArgs(rule.init, update)


REFERENCES = {
    "armijo": armijo,
    "barzilai_borwein": barzilai_borwein,
    "conjugate_gradient": conjugate_gradient,
    "extragradient": extragradient,
    "gauss_newton": gauss_newton,
    "lbfgs": lbfgs,
    "levenberg_marquardt": levenberg_marquardt,
    "natural_gradient": natural_gradient,
    "newton": newton,
    "optimistic": optimistic,
    "perturbed_gd": perturbed_gd,
    "polyak": polyak,
    "sgld": sgld,
    "svrg": svrg,
}

OPTAX = {
    "polyak": (
        {"lr": 1.0, "f_min": 0.3, "max_step": 0.4},
        optax.polyak_sgd(max_learning_rate=0.4, f_min=0.3, variant="sps+"),
    ),
    "optimistic": ({"lr": 0.3, "optimism": 0.8}, optax.optimistic_gradient_descent(0.3, alpha=1.0, beta=0.8)),
    # Optax allows one trial more; neither limit is reached here. With an infinite factor each search starts at its lr.
    "armijo": (
        {"lr": 2.0, "shrink": 0.6, "slope": 0.3, "tries": 30},
        _with_extras(
            optax.chain(
                optax.sgd(1.0),
                optax.scale_by_backtracking_linesearch(
                    30, slope_rtol=0.3, decrease_factor=0.6, increase_factor=np.inf, max_learning_rate=2.0, rtol=0.0
                ),
            ),
            "value",
            "grad",
            "value_fn",
        ),
    ),
    "lbfgs": ({"lr": 0.5, "line_search": False}, optax.lbfgs(0.5, memory_size=10, linesearch=None)),
}
