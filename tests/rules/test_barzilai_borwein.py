"""The option of the Barzilai-Borwein rule. Its values and theory are tested with the other functional rules."""

import pytest

from gdlab.rules import barzilai_borwein


@pytest.mark.parametrize("numbers", [{}, {"lr": lambda step: 0.1}], ids=["constant", "schedule"])
def test_barzilai_borwein_refuses_an_unknown_formula(numbers):
    with pytest.raises(ValueError, match=r"^formula must be 'long' or 'short', not 'foo'$"):
        barzilai_borwein(formula="foo", **numbers).init(1.0)
