"""A record that gains nothing stays the object that it is, and a word is found by the text that it is."""

from adapters.model import Endpoint, RunStatus, Word, altered


def test_a_record_with_other_values_is_another_one():
    before = Endpoint(id="a", name="A")
    after = altered(before, name="B", icon="svg")
    assert after == Endpoint(id="a", name="B", icon="svg")
    assert before == Endpoint(id="a", name="A")


def test_a_record_that_has_these_values_already_is_the_very_same():
    record = Endpoint(id="a", name="A")
    assert altered(record, name="A", icon=None) is record
    assert altered(record) is record


class Spelled(Word):
    """Words that are not spelled as they are named."""

    NO_CHANGE = "no change", "None."


def test_a_word_is_found_where_its_text_is_and_the_other_way_round():
    assert hash(Spelled.NO_CHANGE) == hash("no change")
    assert {"no change": 1}[Spelled.NO_CHANGE] == 1
    assert {RunStatus.FAILED, "FAILED"} == {"FAILED"}
