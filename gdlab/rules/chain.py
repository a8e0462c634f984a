"""Rules one after another. https://optax.readthedocs.io/en/latest/api/combining_optimizers.html"""

import optax

from gdlab.types import Rule


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
    return optax.with_extra_args_support(optax.chain(*(optax.with_extra_args_support(rule) for rule in rules)))
