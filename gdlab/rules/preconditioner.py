"""What a rule divides its momentum by, coordinate by coordinate: P in u = -lr m / P, told from its state.

A rule tells it by an attribute of its `update`: hyperparameters are part of P, and no part of the state.
"""

from collections.abc import Callable

import optax

from gdlab.types import PyTree, Rule, State

_TOLD = "preconditioner"


def divides(rule: Rule, by: Callable[[State], PyTree | None]) -> Rule:
    """The same rule, which tells what it divides by.

    Args:
        rule: freshly made, since its `update` is what is marked.
        by: `by(state after a step) -> P`, positive, shaped like the params, at least float32; None where this rule,
            or the one inside, divides by nothing.
    """
    setattr(rule.update, _TOLD, by)
    return rule


def preconditioner(rule: optax.GradientTransformation, state: State) -> PyTree | None:
    """P at the step that left `state`, u = -lr m / P with m the rule's momentum, an average or sum of gradients.

    Corrections of m for its start at 0 are part of P, as in Cohen et al. (2022), https://arxiv.org/abs/2207.14484: for
    Adam P = (1 - b1^t) (sqrt(vhat) + eps). A decay of the weights is not. A rule around another that changes the
    gradients or scales the updates tells what the other divides by.

    None: the rule does not say, as optax's do not, or divides by nothing.
    """
    by = getattr(rule.update, _TOLD, None)
    return None if by is None else by(state)
