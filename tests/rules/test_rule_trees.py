"""Parameters of any tree structure: a rule updates each leaf as it would update that leaf alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.rule_cases import ENTRIES, Case
from tests.rules.rule_problem import bowl_extras

leaves = st.builds(
    lambda shape, dtype, seed: jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype),
    st.sampled_from([(), (0,), (1,), (3,), (2, 2)]),
    st.sampled_from([jnp.float32, jnp.bfloat16, jnp.float16]),
    st.integers(0, 99),
)
trees = st.recursive(
    leaves | st.none(),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.tuples(inside, inside)
        | st.dictionaries(st.sampled_from(["w", "b", "layer"]), inside, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(tree=trees.filter(lambda tree: tree is not None), entry=st.sampled_from(ENTRIES))
def test_update_of_a_tree_equals_the_updates_of_its_leaves(tree, entry):
    rule = entry.make()

    def two_steps(x):
        state = rule.init(x)
        first, state = rule.update(x, state, x, **bowl_extras(x))
        second, state = rule.update(first, state, x, **bowl_extras(x))
        return second, state

    updates, state = two_steps(tree)
    assert jax.tree.structure(updates) == jax.tree.structure(tree)
    assert jax.tree.structure(state) == jax.tree.structure(rule.init(tree))
    for leaf, update in zip(jax.tree.leaves(tree), jax.tree.leaves(updates), strict=True):
        assert (update.shape, update.dtype) == (leaf.shape, leaf.dtype)
        if Case(entry, {}).scope != "tree" and not Case(entry, {}).needs:
            np.testing.assert_array_equal(update, two_steps(leaf)[0])
