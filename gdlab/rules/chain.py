"""Rules in sequence. https://optax.readthedocs.io/en/latest/api/combining_optimizers.html"""

import optax

from gdlab.rules.preconditioner import preconditioner, with_preconditioner
from gdlab.types import PyTree, Rule, State


def chain(*rules: optax.GradientTransformation) -> Rule:
    """A sequence of rules or optax transformations; each gets the updates of the one before as its gradients.

    Each rule gets the parameters and the extra arguments. The state is the tuple of the states of the rules. A run is
    evaluated at the evaluation parameters of the last rule that has them (such as `average`).

    >>> from gdlab.rules import adam
    >>> rule = chain(optax.clip(1.0), adam(lr=0.5))
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """
    links = [optax.with_extra_args_support(rule) for rule in rules]

    def by(state: State) -> PyTree | None:
        found = (preconditioner(rule, own) for rule, own in zip(reversed(links), reversed(state), strict=True))
        return next((divisor for divisor in found if divisor is not None), None)

    return with_preconditioner(optax.with_extra_args_support(optax.chain(*links)), by)
