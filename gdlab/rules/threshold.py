"""The curvature beyond which a rule is not stable: the line that a measured sharpness is drawn against."""

from typing import Any

from gdlab import register


def sharpness_threshold(kind: str, lr: Any, **hyperparameters: Any) -> Any:
    """c / lr: on a quadratic, the rule is stable where the Hessian's largest eigenvalue is below this.

    2 / lr for gradient descent, (2 + 2 beta) / lr for the heavy ball, (2 + 2 beta) / ((1 + 2 beta) lr) for Nesterov's
    momentum (Cohen et al., 2021, https://arxiv.org/abs/2103.00065).

    Args:
        kind: of the rule, in the register.
        lr: a number or an array of them.
        hyperparameters: the rule's others; by default those of its factory.

    Returns:
        A number, or an array like `lr`; None where no such limit is known.

    Raises:
        ValueError: there is no such rule.
    """
    return _line("stability", kind, lr, hyperparameters)


def preconditioned_threshold(kind: str, lr: Any, **hyperparameters: Any) -> Any:
    """c / lr: on a quadratic, with P held still, the rule is stable where P^-1 H has no eigenvalue above this.

    P is `gdlab.rules.preconditioner`'s. (2 + 2 b1) / ((1 - b1) lr) for Adam, 38 / lr by default, 2 / lr for RMSProp
    without momentum (Cohen et al., 2022, https://arxiv.org/abs/2207.14484); decoupled weight decay is left out. For a
    rule without P it is `sharpness_threshold`, P being I.

    Arguments, result and errors as there.
    """
    adaptive = _line("preconditioned_stability", kind, lr, hyperparameters)
    return _line("stability", kind, lr, hyperparameters) if adaptive is None else adaptive


def _line(of: str, kind: str, lr: Any, hyperparameters: dict[str, Any]) -> Any:
    if kind not in register.rules:
        raise ValueError(f"there is no rule {kind!r}")
    entry = register.rules[kind]
    if of not in entry.info:
        return None
    defaults = {name: parameter.default for name, parameter in entry.parameters.items()}
    values = {**defaults, **hyperparameters}
    values.pop("lr", None)
    return entry.info[of](**values) / lr
