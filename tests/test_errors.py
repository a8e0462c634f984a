import pytest

from gdlab.errors import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "near"), [("momentun", "momentum"), ("adm", "adam"), ("xyz", None), ("", None), ("a" * 10_000_000, None)]
)
def test_nearest_is_the_most_similar_name_or_none(word, near):
    assert nearest(word, ["adam", "momentum"]) == near
    assert did_you_mean(word, ["adam", "momentum"]) == (f"did you mean {near}?" if near else "")


def test_did_you_mean_puts_a_prefix_before_the_name():
    assert did_you_mean("betta", {"beta": 1, "lr": 2}, "rules.m.") == "did you mean rules.m.beta?"
