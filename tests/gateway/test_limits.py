"""What one request may ask for: every limit at its edge, and documents made to break those who count them."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_introspection_query,
    parse,
    print_ast,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protection.limits import (
    INTROSPECTION_COST,
    INTROSPECTION_DEPTH,
    Exceeded,
    Limits,
    TooComplex,
    exceeded,
    parse_bounded,
)
from gateway.protection.measure import Measured, measure
from gateway.protection.parts import MOST
from gateway.protection.sizes import INTROSPECTION_SIZES

PAGES = {"connections": 25, "runs": 10}
LIMITS = Limits()


def check(
    text: str, variables: Mapping[str, Any] | None = None, limits: Limits = LIMITS, name: str | None = None
) -> Exceeded | None:
    return exceeded(measure(parse(text), name, page_fields=PAGES), limits, variables)


def cost(text: str, page: int = 100, **variables: Any) -> int:
    return measure(parse(text), page_fields=PAGES).costs(variables, page=page)[0]


def measured(text: str, name: str | None = None) -> Measured:
    return measure(parse(text), name, page_fields=PAGES)


def nested(depth: int, field: str = "a") -> str:
    return f"{{ {field} " * depth + "}" * depth


def doubling(levels: int, innermost: str, on: str = "T") -> str:
    fragments = (f"fragment F{n} on {on} {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels))
    return " ".join((*fragments, f"fragment F{levels} on {on} {{ {innermost} }}"))


# The edges


def depth(count: int) -> str:
    return nested(count)


def aliases(count: int) -> str:
    refs = (f'a{n}: connection(ref: {{instance: "i", nativeId: "{n}"}}) {{ id }}' for n in range(count))
    return "{ " + " ".join(refs) + " }"


def root_fields(count: int) -> str:
    return "{ " + "a " * count + "}"


def directives(count: int) -> str:
    return "{ a " + "@include(if: true) " * count + "}"


def cost_of(count: int) -> str:
    return "{ x { " + "a " * (count - 1) + "} }"


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("depth", depth),
        ("aliases", aliases),
        ("root_fields", root_fields),
        ("directives", directives),
        ("cost", cost_of),
    ],
)
def test_what_is_allowed_passes_and_one_more_is_refused(limit: str, text: Callable[[int], str]):
    allowed: int = getattr(LIMITS, limit)
    assert check(text(allowed)) is None
    assert check(text(allowed + 1)) == Exceeded(limit, allowed, allowed + 1)


def test_tokens_are_counted_by_the_parser():
    assert parse_bounded("{ a b c }", Limits(tokens=5)).definitions
    with pytest.raises(TooComplex) as caught:
        parse_bounded("{ a b c d }", Limits(tokens=5))
    assert caught.value.exceeded == Exceeded("tokens", 5, 6)
    assert "tokens 6, where 5 is allowed" in str(caught.value)


def test_comments_are_bounded_like_tokens():
    assert parse_bounded("#\n" * 5 + "{ a b c }", Limits(tokens=5)).definitions
    with pytest.raises(TooComplex) as caught:
        parse_bounded("#\n" * 6 + "{ a b c }", Limits(tokens=5))
    assert caught.value.exceeded.limit == "tokens"


def test_a_syntax_error_stays_one():
    with pytest.raises(GraphQLSyntaxError, match="Expected Name"):
        parse_bounded("{ a { } ! }", LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        nested(10_000),
        "{ a(b: " + "[" * 10_000 + "]" * 10_000 + ") }",
        "{ a(b: " + "{ c: " * 10_000 + "1" + "}" * 10_000 + ") }",
        "query ($a: " + "[" * 10_000 + "Int" + "]" * 10_000 + ") { a }",
        "{ ... " * 10_000 + "}" * 10_000,
        "{" * 10_000,
    ],
    ids=["fields", "lists", "objects", "types", "fragments", "braces"],
)
def test_nesting_without_end_is_a_syntax_error(text: str):
    with pytest.raises(GraphQLSyntaxError):
        parse_bounded(text, Limits(tokens=1_000_000))


def test_limits_are_documented_and_sane():
    properties: dict[str, dict[str, Any]] = msgspec.json.schema(Limits)["$defs"]["Limits"]["properties"]
    assert all(each["description"] for each in properties.values())
    assert msgspec.convert({"request_timeout": 3}, Limits) == Limits(request_timeout=3)
    for wrong in ({"depth": 0}, {"first": 1001}, {"request_timeout": 0}, {"deepness": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Limits)


# Fragments


def test_doubling_fragments_are_counted_without_being_walked():
    text = "{ ...F0 } " + doubling(30, "x: a @skip(if: false) { b }")
    found = measured(text)
    assert len(text) < 1200
    assert (found.aliases, found.directives, found.root_fields, found.depth) == (2**30, 2**30, 2**30, 2)
    assert cost(text) == 2**31
    assert check(text) == Exceeded("aliases", 20, 2**30)


def test_numbers_stop_growing_where_json_could_not_carry_them():
    text = "{ ...F0 } " + doubling(500, "x: a @skip(if: false) { b }")
    assert measured(text)[:4] == (MOST, MOST, MOST, 2)
    assert cost(text) == MOST
    pages = "{ " + "connections { " * 150 + "a" + " }" * 151
    assert cost(pages) == MOST


def test_a_chain_of_fragments_is_as_deep_as_its_fields():
    links = " ".join(f"fragment F{n} on T {{ a {{ ...F{n + 1} }} }}" for n in range(2_000))
    text = f"{{ ...F0 }} {links} fragment F2000 on T {{ a }}"
    assert measured(text).depth == 2001
    assert measured(text).root_fields == 1


@pytest.mark.parametrize(
    "fragments",
    [
        "fragment A on T { a ...A }",
        "fragment A on T { a ...B } fragment B on T { ...A }",
        "fragment A on T { a ...B ...C } fragment B on T { ...C } fragment C on T { ...A ...B }",
    ],
)
def test_fragments_in_a_circle_are_left_to_validation(fragments: str):
    assert measured("{ ...A } " + fragments).depth == 1
    assert check("{ ...A } " + fragments) is None


def test_unknown_fragments_are_left_to_validation():
    assert check("{ a ...Nowhere }") is None


def test_a_fragment_nobody_spreads_does_not_count():
    assert measured("{ a } fragment F on T { x: a }").aliases == 0


def test_inline_fragments_add_no_depth_but_what_they_hold_counts():
    found = measured("{ ... @include(if: true) { x: a { ... on T { ... { y: b } } } } }")
    assert found[:4] == (2, 1, 1, 2)


def test_directives_count_wherever_they_stand():
    text = "query ($v: Int @d) @d { a @skip(if: true) ...F @d ... @d { b } } fragment F on T @d { c @d }"
    assert measured(text).directives == 7


def test_skipped_fields_count_all_the_same():
    assert cost("{ a @skip(if: true) { b } }") == 2


# Which operation


def test_only_the_operation_that_runs_is_measured():
    text = "query A { a } query B { x: a ...F } fragment F on T { y: a }"
    assert [measured(text, name).aliases for name in ("A", "B")] == [0, 2]


@pytest.mark.parametrize("name", [None, "", "C"])
def test_where_no_operation_can_be_told_all_of_them_are_measured(name: str | None):
    assert measured("query A { x: a } query B { y: a z: a }", name).aliases == 3


def test_a_document_without_operations_measures_nothing():
    assert check("fragment F on T { a }") is None
    assert check("type T { a: Int }") is None


# Cost


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("{ a }", {}, 1),
        ("{ a { b c } }", {}, 3),
        ("{ connections(first: 7) { a b } }", {}, 1 + 7 * 2),
        ("{ connections(last: 7) { a } }", {}, 1 + 7),
        ("{ connections { a } }", {}, 1 + 25),
        ("{ connections(first: 3) { nodes { runs { a } } } }", {}, 1 + 3 * (1 + 1 + 10)),
        ("{ a(first: 3) { b } }", {}, 1 + 3),
        ('{ nodes(ids: ["a", "b"]) { id } }', {}, 1 + 2),
        ("{ _entities(representations: [{}, {}, {}]) { ... on T { id } } }", {}, 1 + 3),
        ('{ a(ids: ["a", "b"], first: 5) { b } }', {}, 1 + 10),
        ("query ($n: Int) { connections(first: $n) { a } }", {"n": 9}, 1 + 9),
        ("query ($n: Int) { connections(first: $n) { a } }", {"n": 9.0}, 1 + 9),
        ("query ($n: Int) { connections(first: $n) { a } }", {}, 1 + 25),
        ("query ($n: Int = 4) { connections(first: $n) { a } }", {}, 1 + 4),
        ("query ($n: Int = 4) { connections(first: $n) { a } }", {"n": 5}, 1 + 5),
        ("query ($n: Int = 4) { connections(first: $n) { a } }", {"n": None}, 1 + 25),
        ("query ($n: Int, $m: Int) { connections(first: $n, last: $m) { a } }", {"n": 5, "m": None}, 1 + 5),
        ("query ($n: Int) { ...F } fragment F on Query { connections(first: $n) { a } }", {"n": 6}, 1 + 6),
        ("query ($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a"] * 30}, 1 + 30),
        ("query ($i: [ID!] = [1, 2]) { nodes(ids: $i) { id } }", {}, 1 + 2),
        ("query ($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": "one"}, 1 + 1),
        ("query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }", {"r": [{}] * 150}, 1 + 150),
    ],
)
def test_a_list_counts_what_is_selected_in_it_for_each_row(text: str, variables: dict[str, Any], expected: int):
    assert cost(text, **variables) == expected


@pytest.mark.parametrize("value", ["ten", [], {}, True, -5, 0, float("nan")])
def test_no_nonsense_makes_a_page_free(value: object):
    assert cost("query ($n: Int) { connections(first: $n) { a } }", n=value) >= 2


@pytest.mark.parametrize("literal", ['"ten"', "-5", "0", "null", "{a: 1}", "TEN", "1.5", "9" * 5000])
def test_nonsense_literals_are_left_to_validation(literal: str):
    assert 2 <= cost(f"{{ connections(first: {literal}) {{ a }} }}") <= 101


def test_a_page_larger_than_allowed_is_left_to_the_resolver():
    assert cost("{ connections(first: 1000000) { a } }", page=100) == 101
    assert cost("query ($n: Int) { connections(first: $n) { a } }", page=100, n=float("inf")) == 101


def test_the_same_measure_serves_other_variables():
    found = measured("query ($n: Int) { connections(first: $n) { nodes { a b c d } } }")
    limits = Limits(cost=100)
    assert exceeded(found, limits, {"n": 10}) is None
    assert exceeded(found, limits, {"n": 20}) == Exceeded("cost", 100, 101)


# Introspection


@pytest.mark.parametrize("everything", [False, True])
def test_the_introspection_query_of_the_tools_passes(everything: bool):
    text = get_introspection_query(
        specified_by_url=everything,
        directive_is_repeatable=everything,
        schema_description=everything,
        input_value_deprecation=everything,
        one_of=everything,
    )
    found = measure(parse_bounded(text, LIMITS))
    assert exceeded(found, LIMITS, None) is None
    assert (found.depth, found.costs(None, page=100)[0]) == (1, 1)


@pytest.mark.parametrize("limits", [Limits(depth=1, cost=1, first=1), LIMITS])
def test_introspection_does_not_spend_what_queries_may(limits: Limits):
    assert check(get_introspection_query(), limits=limits) is None


def test_introspection_nested_too_deep_is_refused():
    text = '{ __type(name: "T") ' + nested(INTROSPECTION_DEPTH, "ofType") + " }"
    assert check(text) is None
    text = '{ __type(name: "T") ' + nested(INTROSPECTION_DEPTH + 1, "ofType") + " }"
    assert check(text) == Exceeded("introspection_depth", 20, 21)


@pytest.mark.parametrize(
    "text",
    [
        "{ __schema { types { " + "fields { type { " * 4 + "name" + " } }" * 4 + " } } }",
        "{ __schema { types { ...T0 } } } fragment T4 on __Type { name } "
        + " ".join(f"fragment T{n} on __Type {{ fields {{ type {{ ...T{n + 1} }} }} }}" for n in range(4)),
        "{ __schema { types { ...F0 } } } " + doubling(20, "name", on="__Type"),
    ],
    ids=["fields of fields", "through fragments", "doubling"],
)
def test_introspection_that_multiplies_is_refused(text: str):
    found = check(text)
    assert found is not None
    assert (found.limit, found.allowed) == ("introspection_cost", INTROSPECTION_COST)


def test_aliases_within_introspection_count():
    text = "{ __schema { " + " ".join(f"t{n}: types {{ name }}" for n in range(21)) + " } }"
    assert check(text) == Exceeded("aliases", 20, 21)


def test_a_query_beside_introspection_is_measured_as_ever():
    assert check("{ __schema { types { name } } " + nested(13)[1:]) == Exceeded("depth", 12, 13)


# The law: the same numbers as writing every fragment out


class WrittenOut:
    """The numbers of a document, found by visiting each selection as often as it is spread."""

    def __init__(self, document: DocumentNode, n: int) -> None:
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.n = n
        self.counts: Counter[str] = Counter()
        self.depths, self.costs = [0, 0], [0, 0]
        (operation,) = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        self.counts["directives"] += len(operation.directives or ())
        self.visit(operation.selection_set, 0, 1, introspects=False)

    def visit(self, inside: SelectionSetNode | None, level: int, times: int, *, introspects: bool) -> None:
        for node in inside.selections if inside else ():
            self.counts["directives"] += len(node.directives or ())
            if isinstance(node, FieldNode):
                self.visit_field(node, level + 1, times, introspects=introspects)
            elif isinstance(node, InlineFragmentNode):
                self.visit(node.selection_set, level, times, introspects=introspects)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
                self.counts["directives"] += len(fragment.directives or ())
                self.visit(fragment.selection_set, level, times, introspects=introspects)

    def visit_field(self, node: FieldNode, level: int, times: int, *, introspects: bool) -> None:
        self.counts["aliases"] += node.alias is not None
        self.counts["root_fields"] += level == 1 and not introspects
        self.depths[introspects] = max(self.depths[introspects], level)
        self.costs[introspects] += times
        if node.name.value == "__schema":
            self.visit(node.selection_set, 0, times, introspects=True)
        else:
            rows = INTROSPECTION_SIZES.get(node.name.value, 1) if introspects else self.rows(node)
            self.visit(node.selection_set, level, times * rows, introspects=introspects)

    def rows(self, node: FieldNode) -> int:
        asked = {"first: 3": 3, "last: $n": self.n, "ids: [1, 2]": 2}
        if not node.arguments:
            return PAGES.get(node.name.value, 1)
        return math.prod(asked[print_ast(each)] for each in node.arguments)


class Writer:
    """Writes a document from a list of choices, and ends it where they end."""

    fields = ("a", "b", "connections", "connections(first: 3)", "runs(last: $n)", "nodes(ids: [1, 2])", "__schema")
    meta = ("name", "kind", "types", "fields", "args", "ofType")

    def __init__(self, choices: list[int]) -> None:
        self.choices = iter(choices)

    def one_of(self, *options: str) -> str:
        return options[next(self.choices, 0) % len(options)]

    def document(self) -> str:
        """An operation, and fragments of which each spreads only those after it."""
        meta = f"__schema {{ {self.selections(0, 'S')} }}"
        texts = [f"query Q($n: Int){self.directives()} {{ {meta} {self.selections(0, 'F')} }}"]
        for kind, on in (("F", "T"), ("S", "__Type")):
            texts += (
                f"fragment {kind}{n} on {on}{self.directives()} {{ {self.selections(n, kind)} }}" for n in range(1, 5)
            )
        return " ".join(texts)

    def selections(self, after: int, kind: str) -> str:
        written = [self.selection(after, kind)]
        while self.one_of("", "more"):
            written.append(self.selection(after, kind))
        return " ".join(written)

    def selection(self, after: int, kind: str) -> str:
        match self.one_of("leaf", "object", "inline", "spread"):
            case "spread" if after < 4:
                return f"...{kind}{self.one_of(*map(str, range(after + 1, 5)))}{self.directives()}"
            case "inline":
                return f"...{self.directives()} {{ {self.selections(after, kind)} }}"
            case form:
                return self.field(after, kind, leaf=form != "object")

    def field(self, after: int, kind: str, *, leaf: bool) -> str:
        name = self.one_of(*(self.fields if kind == "F" else self.meta))
        head = f"{self.one_of('', 'x: ')}{name}{self.directives()}"
        if leaf:
            return head
        inside = self.selections(0, "S") if name == "__schema" else self.selections(after, kind)
        return f"{head} {{ {inside} }}"

    def directives(self) -> str:
        return self.one_of("", "", " @include(if: true)", " @a @b")


@settings(max_examples=300, deadline=None)  # a busy machine is no failure
@given(st.lists(st.integers(0, 27), max_size=150), st.integers(1, 100))
def test_measuring_agrees_with_writing_every_fragment_out(choices: list[int], n: int):
    document = parse(Writer(choices).document())
    found, written = measure(document, page_fields=PAGES), WrittenOut(document, n)
    assert (found.depth, found.introspection_depth) == tuple(written.depths)
    assert found.costs({"n": n}, page=100) == tuple(written.costs)
    assert {name: getattr(found, name) for name in written.counts} == written.counts
