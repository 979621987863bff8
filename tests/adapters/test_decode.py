"""One bad value costs that value, one bad row costs that row, and a bad body is a broken contract and nothing else."""

import json
import subprocess
import sys
import traceback
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters import decode, digests
from adapters.errors import ContractBroken


class Inner(msgspec.Struct, rename="camel"):
    job_id: str | None = None
    rows_read: int | None = None


class Row(msgspec.Struct, rename="camel"):
    id: str
    name: str | None = None
    size: int | None = None
    share: float | None = None
    active: bool = False
    last_run: Inner | None = None
    tags: list[str] = []
    meta: dict[str, Any] | None = None


class Order(msgspec.Struct):
    """A record with records inside a list and a map."""

    id: str
    lines: list[Inner] = []
    by_name: dict[str, Inner] = {}


class Strict(msgspec.Struct):
    id: str
    kind: Literal["a", "b"]


def rows(*items: object) -> decode.Rows[Row]:
    return decode.rows(json.dumps(items).encode(), Row)


def dropped(got: decode.Rows[Any]) -> int:
    """How many rows could not be read."""
    return got.places.count(None)


def row(**fields: object) -> Row:
    return rows({"id": "a", **fields}).rows[0]


def test_good_rows_are_read_in_their_order():
    got = rows({"id": "b", "size": 1}, {"id": "a", "lastRun": {"jobId": "j"}})
    assert got.places == got.rows == (Row(id="b", size=1), Row(id="a", last_run=Inner(job_id="j")))
    assert dropped(got) == 0
    assert rows().places == ()


def test_what_the_record_does_not_name_is_not_read():
    assert row(extra={"deep": [1, 2]}, last_run={"jobId": "not spelled so"}) == Row(id="a")


@pytest.mark.parametrize("field", ["name", "size", "share", "lastRun", "meta"])
def test_null_and_absent_are_the_same_for_an_optional_field(field: str):
    assert row(**{field: None}) == Row(id="a")


@pytest.mark.parametrize("field", ["active", "tags"])
def test_null_in_a_field_that_has_a_default_is_the_default(field: str):
    assert row(**{field: None}) == Row(id="a")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("name", {}),
        ("name", ["x"]),
        ("size", "many"),
        ("size", 1.5),
        ("size", {}),
        ("share", "half"),
        ("active", "perhaps"),
        ("lastRun", "yesterday"),
        ("lastRun", []),
        ("tags", "one"),
        ("tags", [1]),
        ("meta", [1]),
        ("meta", "x"),
    ],
)
def test_a_value_of_the_wrong_type_costs_that_value_only(field: str, value: object):
    assert row(**{field: value, "name" if field != "name" else "size": None}) == Row(id="a")
    beside = row(**{field: value, "share" if field != "share" else "size": 2})
    assert 2 in (beside.share, beside.size)


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [("size", "12", 12), ("size", 12.0, 12), ("share", "0.5", 0.5), ("active", "true", True)],
)
def test_a_value_in_quotes_is_taken_for_what_it_plainly_means(field: str, value: object, read: object):
    assert getattr(row(**{field: value}), field) == read


def test_a_bad_value_inside_a_nested_record_costs_that_value_only():
    assert row(lastRun={"jobId": ["x"], "rowsRead": 7}).last_run == Inner(rows_read=7)


@pytest.mark.parametrize(
    "bad", [None, 1, "x", [], {}, {"id": None}, {"id": 5}, {"id": {}}, {"name": "no id"}], ids=repr
)
def test_a_row_without_its_id_is_dropped_and_counted(bad: object):
    got = rows({"id": "a"}, bad, {"id": "b"}, bad)
    assert got.places == (Row(id="a"), None, Row(id="b"), None)
    assert (got.rows, dropped(got)) == ((Row(id="a"), Row(id="b")), 2)


@pytest.mark.parametrize("number", ["9" * 30, "9" * 400, "9" * 5000, "-" + "9" * 5000, "1e999", "1e-999", "0.1e1"])
def test_a_number_of_any_size_costs_its_value_at_most(number: str):
    body = f'[{{"id": "a", "size": {number}, "share": {number}, "name": "n", "meta": {{"x": {number}}}}}]'.encode()
    got = decode.rows(body, Row)
    assert (len(got.rows), dropped(got)) == (1, 0)
    assert (got.rows[0].id, got.rows[0].name) == ("a", "n")


def test_a_list_of_records_stays_a_list_whatever_is_sent():
    assert decode.whole(b'{"id": "a", "lines": {"jobId": "j"}}', Order) == Order(id="a")
    assert decode.whole(b'{"id": "a", "lines": {}}', Order) == Order(id="a")


def test_a_map_of_records_stays_a_map_whatever_is_sent():
    assert isinstance(decode.whole(b'{"id": "a", "byName": {}, "by_name": {"x": 1}}', Order).by_name, dict)


@pytest.mark.parametrize(
    "body", [b"", b" ", b"null", b"{}", b'{"body": []}', b'"x"', b"5", b"<html>", b"[1", b"[1,]", b"[] []"]
)
def test_a_body_that_is_no_list_breaks_the_contract(body: bytes):
    with pytest.raises(ContractBroken) as raised:
        decode.rows(body, Row)
    assert raised.value.path == "$"


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b"5", b"<html>", b'{"id": "a"', b'{"id": "a"} x', b"\xff"]
)
def test_a_body_that_is_no_record_breaks_the_contract(body: bytes):
    with pytest.raises(ContractBroken):
        decode.whole(body, Row)


def test_every_truncation_of_a_body_breaks_the_contract():
    body = json.dumps([{"id": "é", "lastRun": {"jobId": "j"}}, {"id": "b", "meta": {"x": [1.5, None]}}]).encode()
    for end in range(len(body)):
        with pytest.raises(ContractBroken):
            decode.rows(body[:end], Row)


def test_a_broken_contract_tells_where():
    with pytest.raises(ContractBroken) as raised:
        decode.whole(b'{"name": "x"}', Row)
    assert raised.value.path == "$.id"
    with pytest.raises(ContractBroken) as raised:
        decode.whole(b'{"id": 5}', Row)
    assert raised.value.path == "$.id"


@pytest.mark.parametrize(
    "body", [b'{"id": "a", "kind": "hunter2plant"}', b'{"hunter2plant": 1}', b'"hunter2plant"', b"hunter2plant"]
)
def test_a_broken_contract_does_not_tell_what_was_sent(body: bytes):
    with pytest.raises(ContractBroken) as raised:
        decode.whole(body, Strict)
    assert "hunter2plant" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"id":"a","meta":', b'{"body":['])
@pytest.mark.parametrize("depth", [2_000, 200_000])
def test_a_body_nested_without_end_breaks_the_contract(opening: bytes, depth: int):
    for read in (decode.rows, decode.whole):
        with pytest.raises(ContractBroken):
            read(opening * depth, Row)


class Listed(msgspec.Struct):
    body: list[msgspec.Raw]
    total: int | None = None


DEPTHS = [*range(900, 1010, 5), 1_500, 20_000]
"""Around what Python follows, which depends on what calls what, and far beyond."""


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("half", ["", "cut \\ud83d"])
def test_a_value_nested_too_deep_costs_that_value_only(depth: int, half: str):
    deep = '{"a":[' * (depth // 2) + "1" + "]}" * (depth // 2)
    body = f'[{{"id":"a","tags":["[{{\\"","}}"]}},{{"id":"b","meta":{{"in":{deep}}},"size":"x"}},{{"id":"c{half}"}}]'
    sent = decode.whole(f'{{"body":{body},"total":3}}'.encode(), Listed)
    assert sent.total == 3
    for got in (decode.rows(body.encode(), Row), decode.rows(sent.body, Row)):
        assert got.rows[0] == Row(id="a", tags=['[{"', "}"])
        assert [row.id for row in got.rows][:2] == ["a", "b"]
        assert dropped(got) == (1 if half and not got.places[2] else 0)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_record_is_read_beside_what_is_nested_too_deep_in_it(depth: int):
    deep = "[" * depth + "]" * depth
    read = decode.whole(f'{{"meta":{{"x":{deep}}},"id":"a","size":"12","active":7,"name":"n"}}'.encode(), Row)
    assert (read.id, read.size, read.name) == ("a", 12, "n")


@pytest.mark.parametrize("depth", [150_000])
def test_what_is_no_record_is_never_cut(depth: int):
    """An upstream's document is sent back with what was changed in it."""
    deep = "[" * depth + "]" * depth
    for kind in (dict[str, Any], msgspec.Raw, list[Any]):
        with pytest.raises(ContractBroken):
            decode.whole(f'{{"a":{deep}}}'.encode(), kind)


def test_a_body_in_which_all_is_nested_is_not_gone_through():
    with pytest.raises(ContractBroken):
        decode.rows(b'[{"id":"a","meta":' + b"[" * 300_000 + b"]" * 300_000 + b"}]", Row)


@pytest.mark.parametrize("value", [b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"'])
def test_bytes_that_are_not_utf_8_cost_their_row_at_most(value: bytes):
    got = decode.rows(b'[{"id":"a"},{"id":"b","name":' + value + b'},{"id":' + value + b'},{"id":"c"}]', Row)
    assert [row.id for row in got.rows if row.id in "ac"] == ["a", "c"]


@pytest.mark.parametrize("value", [b'"\\ud83d"', b'"cut in the middle \\ud83d"', b'"\\ude00"', b'"\\ud83d\\u0041"'])
def test_half_a_surrogate_pair_costs_its_row_at_most(value: bytes):
    got = decode.rows(b'[{"id":"a"},{"id":"b","name":' + value + b'},{"id":"c"}]', Row)
    assert [row.id for row in got.rows if row.id in "ac"] == ["a", "c"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)
FIELDS = ["id", "name", "size", "share", "active", "lastRun", "tags", "meta", "jobId", "rowsRead"]
NEARLY = st.dictionaries(
    st.sampled_from(FIELDS), JSON | st.fixed_dictionaries({}, optional={"jobId": JSON, "rowsRead": JSON})
)
GOOD = st.builds(
    Row,
    id=st.text(),
    name=st.none() | st.text(),
    size=st.none() | st.integers(-(2**63), 2**63),
    share=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    active=st.booleans(),
    last_run=st.none() | st.builds(Inner, job_id=st.none() | st.text(), rows_read=st.none() | st.integers(0, 2**40)),
    tags=st.lists(st.text()),
    meta=st.none() | st.dictionaries(st.text(), st.integers() | st.text()),
)


@given(st.lists(JSON | NEARLY))
def test_any_list_is_read_and_every_row_is_kept_or_counted(items: list[object]):
    got = rows(*items)
    assert len(got.rows) + dropped(got) == len(items)
    assert all(isinstance(row, Row) and isinstance(row.id, str) for row in got.rows)


@given(st.lists(GOOD), st.lists(st.tuples(st.integers(0, 20), JSON)))
@example([Row(id="a", name="null", meta={"a": "1"})], [(0, 5)])
def test_good_rows_all_survive_unchanged_beside_bad_ones(good: list[Row], bad: list[tuple[int, object]]):
    items: list[Any] = [msgspec.to_builtins(row) for row in good]
    for at, item in bad:
        items.insert(at, {"not an id": item} if isinstance(item, dict) else item)
    got = decode.rows(msgspec.json.encode(items), Row)
    assert list(got.rows) == good
    assert dropped(got) == len(bad)


@given(NEARLY | JSON)
def test_any_record_is_read_or_breaks_the_contract(item: object):
    body = json.dumps(item).encode()
    if isinstance(item, dict) and isinstance(item.get("id"), str):
        assert decode.whole(body, Row).id == item["id"]
    else:
        with pytest.raises(ContractBroken) as raised:
            decode.whole(body, Row)
        assert raised.value.path in ("$", "$.id")


@given(st.binary())
@example(b"[\xff]")
@example(b'[{"id":"\xff"}]')
def test_any_bytes_are_read_or_break_the_contract(body: bytes):
    for read in (decode.rows, decode.whole):
        try:
            read(body, Row)
        except ContractBroken:
            continue


@given(GOOD)
def test_a_record_that_was_written_is_read_back(row: Row):
    assert decode.whole(msgspec.json.encode(row), Row) == row


# Rows that were met before


def test_a_row_that_is_known_is_not_decoded_and_stands_as_what_it_is_known_as():
    body = b'[{"id":"a"}, {"id":"b","name":"x"},{"id":"c"}]'
    first = decode.rows(body, Row)
    known = dict(zip(first.digests, ("A", "B", "C"), strict=True))
    again = decode.rows(body.replace(b'"x"', b'"y"'), Row, known)
    assert again.places == ("A", Row(id="b", name="y"), "C")
    assert again.digests[0] == first.digests[0]
    assert again.digests[1] != first.digests[1]


def test_a_row_is_known_wherever_it_stands_and_however_often():
    first = decode.rows(b'[{"id":"a"},{"id":"b"}]', Row)
    known = dict(zip(first.digests, ("A", "B"), strict=True))
    assert decode.rows(b'[ {"id":"b"} , {"id":"a"},\n{"id":"b"},{"id":"c"}]', Row, known).places == (
        "B",
        "A",
        "B",
        Row(id="c"),
    )


def test_a_row_that_could_not_be_read_is_none_beside_known_ones():
    known = dict.fromkeys(decode.rows(b'[{"id":"a"}]', Row).digests, "A")
    got = decode.rows(b'[42,{"id":"a"},{"id":7},{"id":"b","size":"many"}]', Row, known)
    assert got.places == (None, "A", None, Row(id="b"))
    assert (dropped(got), len(got.digests)) == (2, 4)


@given(st.lists(st.binary(max_size=40), unique=True, max_size=20))
def test_what_differs_has_another_digest(bodies: list[bytes]):
    assert len(set(map(digests.of_body, bodies))) == len(bodies)
    listed = b"[" + b",".join(b'{"id":"%s"}' % body.hex().encode() for body in bodies) + b"]"
    assert len(set(decode.rows(listed, Row).digests)) == len(bodies)


def test_digests_mean_nothing_to_another_process():
    told = "from adapters import digests; print(digests.of_body(b'body').hex())"
    first, second = (subprocess.run([sys.executable, "-c", told], capture_output=True, check=True) for _ in range(2))
    assert len(first.stdout) == 33
    assert first.stdout != second.stdout
