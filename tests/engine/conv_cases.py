"""Shared helpers of the tests of convolutions."""

import math

from jax.extend import core

from gdlab.engine.convolutions import CONVOLUTION


def equations(jaxpr, name):
    """The equations of a primitive in a jaxpr and in the jaxprs inside it."""
    found = []
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        if eqn.primitive.name == name:
            found.append(eqn)
        for param in eqn.params.values():
            for one in param if isinstance(param, tuple) else (param,):
                if isinstance(one, core.Jaxpr | core.ClosedJaxpr):
                    found += equations(one, name)
    return found


def convolution_equations(jaxpr):
    return equations(jaxpr, CONVOLUTION)


def multiplications(product):
    """The number of multiplications of a `dot_general`."""
    ((contracted, _), _) = product.params["dimension_numbers"]
    return product.outvars[0].aval.size * math.prod(product.invars[0].aval.shape[axis] for axis in contracted)
