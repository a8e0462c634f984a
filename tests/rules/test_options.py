"""Options of rules: a value that is not one of the choices is refused when the rule is made."""

import pytest

from gdlab.rules import centralise, conjugate_gradient
from gdlab.rules.options import check_option


def test_check_option_accepts_the_choices_and_names_them_for_any_other_value():
    check_option("form", "long", ["long", "short"])
    for wrong in ("Long", None, 0.5):
        with pytest.raises(ValueError, match=rf"^form must be 'long' or 'short', not {wrong!r}$"):
            check_option("form", wrong, ["long", "short"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: conjugate_gradient(formula="foo"), "formula must be 'polak-ribiere' or 'fletcher-reeves', not 'foo'"),
        (lambda: centralise(outputs="both"), "outputs must be 'last' or 'first', not 'both'"),
        (lambda: centralise(lr=lambda step: 0.1, outputs="both"), "outputs must be 'last' or 'first', not 'both'"),
    ],
    ids=["conjugate_gradient", "centralise", "centralise with a schedule"],
)
def test_a_rule_refuses_an_option_it_does_not_have(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make().init(1.0)
