"""The flax network against NumPy float64, and its compiled program."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from gdlab.problems import logistic_regression, mlp
from gdlab.problems.classification import accuracy, cross_entropy
from gdlab.problems.data import Examples, load
from gdlab.problems.network import functional_mlp

# The activation and its derivative.
BY_HAND = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (scipy.special.expit, lambda z: scipy.special.expit(z) * scipy.special.expit(-z)),
    "identity": (lambda z: z, np.ones_like),
    "silu": (
        lambda z: z * scipy.special.expit(z),
        lambda z: scipy.special.expit(z) * (1 + z * scipy.special.expit(-z)),
    ),
}


def backpropagated(params, x, y, activation, l2):
    f, df = BY_HAND[activation]
    layers = [params["layers"][i] for i in sorted(params["layers"])]
    weights = [np.asarray(layer["kernel"]) for layer in layers]
    zs, hs = [], [x]
    for layer, w in zip(layers, weights, strict=True):
        zs.append(hs[-1] @ w + np.asarray(layer["bias"]))
        hs.append(f(zs[-1]))
    one_hot = np.eye(zs[-1].shape[1])[y]
    loss = np.mean(scipy.special.logsumexp(zs[-1], axis=1) - zs[-1][one_hot > 0])
    delta, grads = (scipy.special.softmax(zs[-1], axis=1) - one_hot) / len(x), {}
    for i in reversed(range(len(layers))):
        grads[i] = {"bias": delta.sum(axis=0), "kernel": hs[i].T @ delta + l2 * weights[i]}
        if i:
            delta = (delta @ weights[i].T) * df(zs[i - 1])
    return loss + l2 / 2 * sum((w**2).sum() for w in weights), {"layers": grads}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("activation", "widths", "l2"), [("relu", (7,), 0.0), *((activation, (6, 5), 0.3) for activation in BY_HAND)]
)
def test_mlp_value_and_gradient_equal_numpy(activation, widths, l2):
    problem = mlp("wine", widths, activation=activation, l2=l2)
    shapes, rng = jax.eval_shape(problem.init, jax.random.key(0)), np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.3, leaf.shape)), shapes)
    value, grads = jax.jit(problem.value_and_grad)(params, problem.data)
    expected, by_hand = backpropagated(params, np.float64(load("wine").train.x), load("wine").train.y, activation, l2)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13), grads, by_hand)


@pytest.mark.smoke
def test_mlp_gelu_is_the_tanh_approximation():
    params = {"layers": {0: {"bias": jnp.zeros(1), "kernel": jnp.ones((13, 1)) / 13}}}
    params["layers"][1] = {"bias": jnp.zeros(3), "kernel": jnp.asarray([[1.0, 0.0, 0.0]])}
    z = 0.7
    h = 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
    batch = Examples(jnp.full((1, 13), z), jnp.zeros(1, jnp.int32))
    loss = mlp("wine", (1,), activation="gelu").loss(params, batch)
    np.testing.assert_allclose(loss, np.log(np.exp(h) + 2) - h, rtol=1e-6)


def test_mlp_without_hidden_layers_is_logistic_regression():
    network, regression = mlp("wine", ()), logistic_regression("wine")
    kernel = jnp.asarray(np.random.default_rng(0).normal(size=(13, 3)), jnp.float32)
    params = {"layers": {0: {"bias": jnp.arange(3.0), "kernel": kernel}}}
    same = {"b": params["layers"][0]["bias"], "w": params["layers"][0]["kernel"]}
    np.testing.assert_allclose(network.loss(params, network.data), regression.loss(same, regression.data), rtol=1e-6)


def test_mlp_params_are_plain_dicts_of_default_floats():
    params = mlp().init(jax.random.key(0))
    assert type(params) is type(params["layers"]) is type(params["layers"][0]) is dict
    shapes = {0: {"bias": (32,), "kernel": (64, 32)}, 1: {"bias": (10,), "kernel": (32, 10)}}
    assert jax.tree.map(lambda leaf: leaf.shape, params) == {"layers": shapes}
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert {type(leaf) for leaf in jax.tree.leaves(params)} == {type(jnp.zeros(1))}


@pytest.mark.parametrize(("init", "variance"), [("lecun", 1 / 64), ("he", 2 / 64), ("glorot", 2 / (64 + 300))])
def test_mlp_init_variance(init, variance):
    params = mlp(widths=(300,), init=init).init(jax.random.key(0))
    kernel = np.asarray(params["layers"][0]["kernel"])
    np.testing.assert_allclose(kernel.var(), variance, rtol=0.03)
    assert np.abs(kernel).max() <= 2.001 * np.sqrt(variance) / 0.8796  # 0.8796 = the std of the normal cut off at 2
    assert not params["layers"][0]["bias"].any()


def test_mlp_first_built_under_jit_works_outside():
    functional_mlp.cache_clear()
    inside = jax.jit(lambda key: mlp("wine", ()).init(key))(jax.random.key(0))
    outside = mlp("wine", ())
    expected = outside.init(jax.random.key(0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), inside, expected)
    assert jnp.isfinite(outside.loss(inside, outside.data))


def primitives(jaxpr):
    for equation in jaxpr.eqns:
        below = [p for p in jax.tree.leaves(equation.params) if hasattr(p, "eqns") or hasattr(p, "jaxpr")]
        if below:
            for inner in below:
                yield from primitives(getattr(inner, "jaxpr", inner))
        else:
            yield equation.primitive.name


def test_mlp_gradient_over_runs_is_five_matrix_products():
    problem = mlp()
    runs = jax.eval_shape(jax.vmap(problem.init), jax.random.split(jax.random.key(0), 4))
    step = jax.vmap(problem.value_and_grad, in_axes=(0, None))
    counts = Counter(primitives(jax.make_jaxpr(step)(runs, problem.data).jaxpr))
    assert counts["dot_general"] == 5  # two forward, three backward: the gradient of the input is not computed
    assert not [name for name in counts if "gather" in name or "scatter" in name or "callback" in name]


def test_mlp_init_is_a_small_program():
    counts = Counter(primitives(jax.make_jaxpr(mlp().init)(jax.random.key(0)).jaxpr))
    assert counts["random_bits"] == 2  # a draw for each kernel, none for the biases
    assert sum(counts.values()) < 80


def test_cross_entropy_of_large_logits_and_accuracy_of_ties():
    logits = jnp.asarray([[1e4, 0.0], [0.0, 0.0], [-1.0, 3.0]])
    labels = jnp.asarray([0, 1, 1], jnp.int32)
    np.testing.assert_allclose(cross_entropy(logits, labels), (0 + np.log(2) + np.log1p(np.exp(-4))) / 3, rtol=1e-6)
    np.testing.assert_allclose(accuracy(logits, labels), 2 / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"widths": (8, 0)}, "at least 1"),
        ({"activation": "swish"}, "'swish' must be one of relu"),
        ({"init": "zeros"}, "'zeros' must be one of lecun"),
        ({"data": "diabetes"}, "is numeric"),
        ({"data": "mnist"}, "no data set"),
    ],
)
def test_mlp_refuses_invalid_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        mlp(**given)


@pytest.mark.usefixtures("x64")
def test_mlp_skip_adds_inputs_of_equal_width():
    problem = mlp("wine", (6, 6, 4, 4), activation="tanh", skip=True)
    params, x = problem.init(jax.random.key(0)), np.asarray(problem.data.x)
    h = x
    for index, skips in enumerate([False, True, False, True]):
        layer = params["layers"][index]
        own = np.tanh(h @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"]))
        h = h + own if skips else own
    z = h @ np.asarray(params["layers"][4]["kernel"]) + np.asarray(params["layers"][4]["bias"])
    np.testing.assert_allclose(problem.outputs(params, problem.data), z, rtol=1e-12)
