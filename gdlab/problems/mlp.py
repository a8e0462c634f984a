"""Classification by a multilayer perceptron."""

from typing import Any, Literal

import jax.numpy as jnp

from gdlab import register
from gdlab.problems.classification import accuracy, cross_entropy
from gdlab.problems.data import Classified, classified, held_out, on_device, train_size
from gdlab.problems.penalty import with_l2
from gdlab.types import Array, Params, Problem, maximise

Activation = Literal["relu", "tanh", "sigmoid", "gelu", "silu", "identity"]
Init = Literal["lecun", "he", "glorot"]


def _examples(data: Any = "digits", **others: Any) -> int:
    return train_size(data)


@register.problem("mlp", source="LeCun, Bottou, Orr & Müller, Efficient BackProp, 1998", examples=_examples)
def mlp(
    data: Classified = "digits",
    widths: tuple[int, ...] = (32,),
    activation: Activation = "relu",
    init: Init = "lecun",
    l2: float = 0.0,
    skip: bool = False,
) -> Problem:
    """Multilayer perceptron: loss = mean cross-entropy of the logits z_L + l2/2 * the sum of all |W_l|^2.

    h_0 = x; z_l = h_(l-1) W_l + b_l; h_l = activation(z_l). `widths` are the sizes of the hidden layers; () is
    multinomial logistic regression. With `skip`, h_l = h_(l-1) + activation(z_l) where both have the same width (He et
    al., 2016). "gelu" is the tanh approximation. Biases start at 0 and are not penalised. Kernels start from a normal
    distribution truncated at two standard deviations, of variance 1 / inputs ("lecun"), 2 / inputs ("he") or
    2 / (inputs + outputs) ("glorot"). Metric: `accuracy`.

    Params {"layers": {l: {"bias": [outputs], "kernel": [inputs, outputs]}}}, l from 0, plain dicts of arrays.

    `data` is the name of a bundled data set, a path to an `.npz` file with x, y and optionally x_test, y_test, or these
    arrays as a tuple; arrays of the user are not standardised (see `gdlab.problems.data.classified`).

    Raises:
        ValueError: invalid data, a width below 1, an unknown activation or init.

    Source: LeCun et al. (1998); for the other inits He et al. (2015) and Glorot & Bengio (2010); for skips
    He et al., Deep Residual Learning for Image Recognition (2016).
    """
    split, classes = classified(data)
    if any(width < 1 for width in widths):
        raise ValueError(f"each width must be at least 1, not {tuple(widths)}")
    from gdlab.problems.network import ACTIVATIONS, INITS, functional_mlp  # imported here, since flax is slow to import

    for name, known in ((activation, ACTIVATIONS), (init, INITS)):
        if name not in known:
            raise ValueError(f"{name!r} must be one of {', '.join(known)}")
    sizes = (split.train.x.shape[1], *widths, classes)
    start, apply = functional_mlp(sizes, activation, init, skip, jnp.result_type(float))

    def loss(params: Params, batch: Any) -> Array:
        kernels = [layer["kernel"] for layer in params["layers"].values()]
        return with_l2(cross_entropy(apply(params, batch.x), batch.y), l2, *kernels)

    return Problem(
        init=start,
        loss=loss,
        data=on_device(split.train),
        eval_data=held_out(split),
        outputs=lambda params, batch: apply(params, batch.x),
        criterion=lambda z, batch: cross_entropy(z, batch.y),
        metrics={"accuracy": maximise(lambda params, batch: accuracy(apply(params, batch.x), batch.y))},
    )
