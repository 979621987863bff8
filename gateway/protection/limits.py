"""How much one request may ask for, and which of these limits a query exceeds.

The numbers of a query come from `measure`; here they are compared. Two limits hold for introspection, which nobody
need configure: they let every tool's usual query pass, and nothing that is many times larger.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from graphql import DocumentNode, GraphQLSyntaxError, parse

from gateway.protection.measure import Measured

INTROSPECTION_DEPTH: Final = 20
"""Fields inside fields beneath `__schema` and `__type`: the query that graphql-core and graphql-js make has 14."""

INTROSPECTION_COST: Final = 500_000
"""In the sizes that `sizes` assumes: the usual query costs about a third of it, `types` with four times `fields { type`
inside one another more than twice as much."""

_TOO_LONG: Final = "Syntax Error: Document contains more than "  # how graphql-core's parser begins to say so


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one request may ask for. Larger ones are refused before anything runs."""

    first: Annotated[int, msgspec.Meta(ge=1, le=1000, description="Rows in one page at the most.")] = 100
    tokens: Annotated[
        int, msgspec.Meta(ge=1, description="Tokens of a document: names, values, punctuation; comments likewise.")
    ] = 1000
    depth: Annotated[int, msgspec.Meta(ge=1, description="Fields inside fields, introspection aside.")] = 12
    aliases: Annotated[int, msgspec.Meta(ge=1, description="Aliases, each as often as its fragment is spread.")] = 20
    root_fields: Annotated[
        int, msgspec.Meta(ge=1, description="Fields of the query, mutation or subscription itself.")
    ] = 20
    directives: Annotated[
        int, msgspec.Meta(ge=1, description="Directives, each as often as its fragment is spread.")
    ] = 50
    cost: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            description="Fields that an answer may have: what is selected in a list counts for each row asked for.",
        ),
    ] = 5000
    body_bytes: Annotated[int, msgspec.Meta(ge=1, description="Bytes of a request's body.")] = 262_144
    request_timeout: Annotated[float, msgspec.Meta(gt=0, description="Seconds until an answer is given up.")] = 10.0


class Exceeded(NamedTuple):
    """A limit by its name, what it allows, and what was found (at least that much, for tokens)."""

    limit: str
    allowed: int
    found: int


class TooComplex(Exception):
    """A query asks for more than is allowed; ``exceeded`` says of what."""

    def __init__(self, exceeded: Exceeded) -> None:
        self.exceeded = exceeded
        limit, allowed, found = exceeded
        super().__init__(f"The query is too complex: {limit.replace('_', ' ')} {found}, where {allowed} is allowed")


def parse_bounded(text: str, limits: Limits) -> DocumentNode:
    """The document in ``text``, nested at most some 200 deep.

    Raises TooComplex where it has too many tokens or comments, GraphQLSyntaxError where it is none.
    """
    try:
        return parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
    except GraphQLSyntaxError as error:
        if error.message.startswith(_TOO_LONG):
            raise TooComplex(Exceeded("tokens", limits.tokens, limits.tokens + 1)) from None
        raise


def exceeded(measured: Measured, limits: Limits, variables: Mapping[str, Any] | None) -> Exceeded | None:
    """The first limit that the query exceeds with these variables, if any. A larger ``first`` is not among them."""
    cost, introspection_cost = measured.costs(variables, page=limits.first)
    for limit, allowed, found in (
        ("depth", limits.depth, measured.depth),
        ("aliases", limits.aliases, measured.aliases),
        ("root_fields", limits.root_fields, measured.root_fields),
        ("directives", limits.directives, measured.directives),
        ("introspection_depth", INTROSPECTION_DEPTH, measured.introspection_depth),
        ("introspection_cost", INTROSPECTION_COST, introspection_cost),
        ("cost", limits.cost, cost),
    ):
        if found > allowed:
            return Exceeded(limit, allowed, found)
    return None
