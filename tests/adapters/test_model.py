"""A record that gains nothing stays the object that it is."""

from adapters.model import Endpoint, altered


def test_a_record_with_other_values_is_another_one():
    before = Endpoint(id="a", name="A")
    after = altered(before, name="B", icon="svg")
    assert after == Endpoint(id="a", name="B", icon="svg")
    assert before == Endpoint(id="a", name="A")


def test_a_record_that_has_these_values_already_is_the_very_same():
    record = Endpoint(id="a", name="A")
    assert altered(record, name="A", icon=None) is record
    assert altered(record) is record
