"""A small decoder-only transformer: batched products of small matrices between normalisations and softmaxes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import GD, Arrays, BenchTask, Loss, training_flops
from gdlab.engine.axes import log

VOCABULARY, LENGTH, WIDTH, HEADS = 32, 32, 32, 4
HIDDEN, HEAD = 4 * WIDTH, WIDTH // HEADS
EXAMPLES, BATCH = 128, 32
# Each token has this many equally likely successors.
SUCCESSORS = 4
# The arrays of a block: scale and shift of a LayerNorm, keys with queries and values, output of the attention, scale
# and shift of a LayerNorm, and weights and biases of the two layers of the MLP.
PER_BLOCK = 10
EPSILON = 1e-5


def transformer(rates: int = 64, steps: int = 10, blocks: int = 2) -> BenchTask:
    """A pre-norm transformer of 2 blocks, width 32 and 4 heads on 32 tokens of a vocabulary of 32; batches of 32.

    Token and position embeddings; in each block x <- x + attention(LayerNorm(x)), x <- x + MLP(LayerNorm(x)) with
    causal attention and a GELU layer of width 128; then a LayerNorm and a linear layer to the scores of the next token.
    Mean cross-entropy over all positions, gradient descent. The 128 examples are consecutive parts of a sequence of
    4,097 tokens from a random Markov chain; each token has 4 equally likely successors, so the lowest expected loss is
    log 4.

    Operations of one example forward, for each of 32 tokens: in each block 2 * 32 * 96 for queries, keys and values,
    2 * 2 * 32 * 32 for scores and weighted values of all 32 positions (masked ones are counted), 2 * 32 * 32 for the
    output of the attention and 2 * 2 * 32 * 128 for the MLP; 2 * 32 * 32 for the scores of the next token. One run: a
    gradient on 32 examples per step, and at the end the loss on all 128.
    """
    block = 2 * WIDTH * 3 * WIDTH + 4 * LENGTH * WIDTH + 2 * WIDTH**2 + 4 * WIDTH * HIDDEN
    forward = LENGTH * (blocks * block + 2 * WIDTH * VOCABULARY)
    return BenchTask(
        name="transformer",
        words=f"transformer of {blocks} blocks, width {WIDTH}, {HEADS} heads, {LENGTH} tokens, batch {BATCH} of "
        f"{EXAMPLES}, gd",
        start=_start(jax.random.key(1), blocks),
        data=_data(np.random.default_rng(2)),
        batch_size=BATCH,
        steps=steps,
        over={"lr": log(1e-2, 1.0, rates)},
        update=GD,
        loss=loss,
        torch_loss=_torch_loss,
        flops=steps * BATCH * training_flops(0, forward) + EXAMPLES * forward,
        eager_runs=8,
    )


def loss(params: Arrays, batch: Arrays) -> Any:
    """Mean cross-entropy of the next tokens; tokens and next tokens: integers [n, 32]."""
    (tokens, positions, *blocks, scale, shift, out), (x, y) = params, batch
    h = tokens[x] + positions[None]
    for first in range(0, len(blocks), PER_BLOCK):
        h = _block(h, *blocks[first : first + PER_BLOCK])
    scores = jax.nn.log_softmax(_normed(h, scale, shift) @ out)
    return -jnp.mean(jnp.take_along_axis(scores, y[..., None], axis=2))


def _block(h: Any, g: Any, s: Any, qkv: Any, o: Any, g2: Any, s2: Any, w: Any, b: Any, v: Any, c: Any) -> Any:
    q, k, values = (part.reshape(*h.shape[:2], HEADS, HEAD) for part in jnp.split(_normed(h, g, s) @ qkv, 3, axis=2))
    scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / HEAD**0.5
    weights = jax.nn.softmax(jnp.where(_causal()[None, None], scores, -jnp.inf))
    h = h + jnp.einsum("nhqk,nkhd->nqhd", weights, values).reshape(h.shape) @ o
    return h + jax.nn.gelu(_normed(h, g2, s2) @ w + b[None, None]) @ v + c[None, None]


def _normed(h: Any, scale: Any, shift: Any) -> Any:
    centred = h - jnp.mean(h, axis=2, keepdims=True)
    variance = jnp.mean(centred**2, axis=2, keepdims=True)
    return centred * jax.lax.rsqrt(variance + EPSILON) * scale[None, None] + shift[None, None]


def _causal() -> np.ndarray:
    """Whether a position (row) attends to a position (column): the earlier ones and itself."""
    return np.tri(LENGTH, dtype=bool)


def _torch_loss() -> Loss:
    import torch
    from torch.nn.functional import cross_entropy, gelu, layer_norm

    future = torch.from_numpy(~_causal())

    def block(h: Any, g: Any, s: Any, qkv: Any, o: Any, g2: Any, s2: Any, w: Any, b: Any, v: Any, c: Any) -> Any:
        parts = (layer_norm(h, (WIDTH,), g, s, EPSILON) @ qkv).chunk(3, dim=2)
        q, k, values = (part.unflatten(2, (HEADS, HEAD)).transpose(1, 2) for part in parts)
        scores = (q @ k.transpose(2, 3) / HEAD**0.5).masked_fill(future.to(h.device), -torch.inf)
        h = h + (torch.softmax(scores, dim=3) @ values).transpose(1, 2).flatten(2) @ o
        return h + gelu(layer_norm(h, (WIDTH,), g2, s2, EPSILON) @ w + b, approximate="tanh") @ v + c

    def loss(params: Arrays, batch: Arrays) -> Any:
        (tokens, positions, *blocks, scale, shift, out), (x, y) = params, batch
        h = tokens[x] + positions
        for first in range(0, len(blocks), PER_BLOCK):
            h = block(h, *blocks[first : first + PER_BLOCK])
        scores = layer_norm(h, (WIDTH,), scale, shift, EPSILON) @ out
        return cross_entropy(scores.flatten(0, 1), y.flatten())

    return loss


def _start(key: jax.Array, blocks: int) -> tuple[np.ndarray, ...]:
    keys = iter(jax.random.split(key, 3 + 4 * blocks))
    scale, shift = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    def matrix(inputs: int, outputs: int, deviation: float) -> np.ndarray:
        return np.asarray(deviation * jax.random.normal(next(keys), (inputs, outputs)))

    start = [matrix(VOCABULARY, WIDTH, 1.0), matrix(LENGTH, WIDTH, 1.0)]
    for _ in range(blocks):
        start += [scale, shift, matrix(WIDTH, 3 * WIDTH, WIDTH**-0.5), matrix(WIDTH, WIDTH, WIDTH**-0.5)]
        start += [scale, shift, matrix(WIDTH, HIDDEN, WIDTH**-0.5), np.zeros(HIDDEN, np.float32)]
        start += [matrix(HIDDEN, WIDTH, HIDDEN**-0.5), shift]
    return *start, scale, shift, matrix(WIDTH, VOCABULARY, WIDTH**-0.5)


def _data(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    successors = np.array([generator.choice(VOCABULARY, SUCCESSORS, replace=False) for _ in range(VOCABULARY)])
    sequence = [0]
    for chosen in generator.integers(SUCCESSORS, size=EXAMPLES * LENGTH):
        sequence.append(int(successors[sequence[-1], chosen]))
    tokens = np.array(sequence)
    return tokens[:-1].reshape(EXAMPLES, LENGTH), tokens[1:].reshape(EXAMPLES, LENGTH)
