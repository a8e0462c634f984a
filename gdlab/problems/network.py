"""The multilayer perceptron as a flax NNX module. Importing this module imports flax, which takes over a second."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from gdlab.types import Array, Params

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jax.numpy.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "identity": lambda x: x,
}
INITS = {
    "lecun": nnx.initializers.lecun_normal(),
    "he": nnx.initializers.he_normal(),
    "glorot": nnx.initializers.glorot_normal(),
}


class MLP(nnx.Module):
    """Linear layers with an activation after each layer but the last.

    With `skip`, a hidden layer adds its input to its output if both have the same width.
    """

    def __init__(self, sizes: tuple[int, ...], activation: str, init: str, skip: bool, dtype: Any, rngs: nnx.Rngs):
        self.layers = nnx.List(
            nnx.Linear(inputs, outputs, kernel_init=INITS[init], param_dtype=dtype, rngs=rngs)
            for inputs, outputs in itertools.pairwise(sizes)
        )
        self.activation = ACTIVATIONS[activation]
        self.skip = skip

    def __call__(self, x: Array) -> Array:
        """[n, sizes[0]] -> [n, sizes[-1]]."""
        for layer in self.layers[:-1]:
            h = self.activation(layer(x))
            x = x + h if self.skip and x.shape == h.shape else h
        return self.layers[-1](x)


@functools.cache
def functional_mlp(
    sizes: tuple[int, ...], activation: str, init: str, skip: bool, dtype: Any
) -> tuple[Callable[[Array], Params], Callable[[Params, Array], Array]]:
    """The network as two pure functions, `start(key) -> params` and `apply(params, x) -> outputs`.

    Params are plain nested dicts of arrays: {"layers": {i: {"bias": [outputs], "kernel": [inputs, outputs]}}}.
    """

    def build(key: Array) -> MLP:
        return MLP(sizes, activation, init, skip, dtype, nnx.Rngs(params=key))

    structure = nnx.graphdef(nnx.eval_shape(lambda: build(jax.random.key(0))))

    def start(key: Array) -> Params:
        return nnx.to_pure_dict(nnx.state(build(key), nnx.Param))

    def apply(params: Params, x: Array) -> Array:
        return nnx.merge(structure, params)(x)

    return start, apply
