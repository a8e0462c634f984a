"""Rules one after another. https://optax.readthedocs.io/en/latest/api/combining_optimizers.html"""

import optax

from gdlab.rules.preconditioner import divides, preconditioner
from gdlab.types import PyTree, Rule, State


def chain(*rules: optax.GradientTransformation) -> Rule:
    """Each rule, or gradient transformation of optax, takes for its gradients the updates of the one before.

    All are given the parameters and whatever else the runner offers. The state is the tuple of theirs, so a run is
    judged where the last rule that has a say (an average, say) wants to be.

    >>> from gdlab.rules import adam
    >>> rule = chain(optax.clip(1.0), adam(lr=0.5))
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """
    links = [optax.with_extra_args_support(rule) for rule in rules]

    def by(state: State) -> PyTree | None:
        told = (preconditioner(rule, own) for rule, own in zip(reversed(links), reversed(state), strict=True))
        return next((divisor for divisor in told if divisor is not None), None)

    return divides(optax.with_extra_args_support(optax.chain(*links)), by)
