"""The diagonal preconditioner P of a rule, u = -lr m / P for each coordinate, computed from the rule's state.

P depends on hyperparameters, which are not part of the state. So the function that computes P is an attribute of the
rule's `update`.
"""

from collections.abc import Callable

import optax

from gdlab.types import PyTree, Rule, State

_ATTRIBUTE = "preconditioner"


def with_preconditioner(rule: Rule, by: Callable[[State], PyTree | None]) -> Rule:
    """The same rule, with a preconditioner.

    Args:
        rule: a newly made rule; the attribute is set on its `update`, in place.
        by: `by(state after a step) -> P`, positive, shaped like the params, at least float32; None for a wrapper whose
            inner rule has no preconditioner.
    """
    setattr(rule.update, _ATTRIBUTE, by)
    return rule


def preconditioner(rule: optax.GradientTransformation, state: State) -> PyTree | None:
    """P of the step that returned `state`: u = -lr m / P, where m is the rule's momentum (an average or sum of g).

    The bias correction of m is part of P, as in Cohen et al. (2022), https://arxiv.org/abs/2207.14484: for Adam
    P = (1 - b1^t) (sqrt(vhat) + eps). Weight decay is not part of P. A wrapper that changes the gradients or scales the
    updates has the P of its inner rule.

    The result is None for a rule without a preconditioner and for the rules of optax.
    """
    by = getattr(rule.update, _ATTRIBUTE, None)
    return None if by is None else by(state)
