"""The sharpness above which a rule is unstable; figures draw it beside the measured sharpness."""

from typing import Any

from gdlab import register


def sharpness_threshold(kind: str, lr: Any, **hyperparameters: Any) -> Any:
    """c / lr: on a quadratic, the rule is stable where the Hessian's largest eigenvalue is below this.

    2 / lr for gradient descent, (2 + 2 beta) / lr for the heavy ball, (2 + 2 beta) / ((1 + 2 beta) lr) for Nesterov's
    momentum (Cohen et al., 2021, https://arxiv.org/abs/2103.00065).

    Args:
        kind: the rule's kind in the register.
        lr: a number or an array.
        hyperparameters: the rule's other hyperparameters; missing ones have the factory's defaults.

    Returns:
        A number, or an array like `lr`; None for a rule without a known threshold.

    Raises:
        ValueError: no rule of this kind is registered.
    """
    return _threshold("stability", kind, lr, hyperparameters)


def preconditioned_threshold(kind: str, lr: Any, **hyperparameters: Any) -> Any:
    """c / lr: on a quadratic, with P fixed, the rule is stable where the largest eigenvalue of P^-1 H is below this.

    P is the diagonal preconditioner of the rule (see `gdlab.rules.preconditioner`). c = (2 + 2 b1) / (1 - b1) for Adam,
    38 by default, and 2 for RMSProp without momentum (Cohen et al., 2022, https://arxiv.org/abs/2207.14484), both
    without decoupled weight decay. For a rule without P it is `sharpness_threshold`.

    Arguments, result and errors are as for `sharpness_threshold`.
    """
    adaptive = _threshold("preconditioned_stability", kind, lr, hyperparameters)
    return _threshold("stability", kind, lr, hyperparameters) if adaptive is None else adaptive


def _threshold(info: str, kind: str, lr: Any, hyperparameters: dict[str, Any]) -> Any:
    if kind not in register.rules:
        raise ValueError(f"there is no rule {kind!r}")
    entry = register.rules[kind]
    if info not in entry.info:
        return None
    defaults = {name: parameter.default for name, parameter in entry.parameters.items()}
    values = {**defaults, **hyperparameters}
    values.pop("lr", None)
    return entry.info[info](**values) / lr
