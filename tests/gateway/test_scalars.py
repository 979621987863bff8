"""Scalars of our own, as variables bring them."""

from typing import Any

import pytest

from gateway.schema.scalars import SCALARS, BigInt

BIG_INT: Any = SCALARS[BigInt]


@pytest.mark.parametrize(
    ("sent", "meant"), [(0, 0), (-7, -7), ("12", 12), ("-12", -12), (2**80, 2**80), (str(2**80), 2**80)]
)
def test_a_big_int_is_a_whole_number_or_a_text_of_its_digits(sent: object, meant: int):
    assert BIG_INT.parse_value(sent) == meant


@pytest.mark.parametrize("sent", [1.5, True, None, "", "-", "--1", "1.0", "1e3", "٣", "0x10", " 1", [], "9" * 41])
def test_anything_else_is_none(sent: object):
    with pytest.raises(ValueError, match="BigInt"):
        BIG_INT.parse_value(sent)


def test_it_leaves_as_a_text():
    assert BIG_INT.serialize(2**63) == "9223372036854775808"
