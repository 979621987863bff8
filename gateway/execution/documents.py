"""Documents, each parsed, measured and validated once, however often it is sent; long ones each time."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Node,
    OperationType,
    get_operation_ast,
    validate,
)

from gateway.errors import Code, bad_input, error
from gateway.protection.limits import Exceeded, Limits, TooComplex, exceeded, parse_bounded
from gateway.protection.measure import Measured, measure

PAGE_FIELDS: Mapping[str, int] = {"connections": 25, "connectionFacets": 25, "runs": 10}
"""Rows of a page where a query does not say how many; of facets, about as many as each list of them has values."""
KEPT = 300
"""Documents that are kept; the one longest unused makes room. A hostile one can take half a megabyte."""
LONGEST = 32_768
"""Letters of a document that is kept, with the name of its operation: more than one has that is written as people write
and within the limits. The text itself is held as well, and without a bound it could be as long as a request."""


def is_kept(node: Node) -> bool:
    """Whether a node is of a document that is kept. No other is to be held: with each node goes all of its text."""
    return node.loc is None or len(node.loc.source.body) <= LONGEST


class Document(NamedTuple):
    """A document that is fit to be executed."""

    node: DocumentNode
    operation: OperationType
    measured: Measured


class Unfit(Exception):
    """A document that cannot be executed, and why."""

    def __init__(self, *reasons: GraphQLError) -> None:
        super().__init__("the document cannot be executed")
        self.reasons = reasons


class Documents:
    """The documents of one schema under one set of limits."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._kept: OrderedDict[tuple[str, str | None], Document | Unfit] = OrderedDict()

    def get(self, text: str, operation_name: str | None, variables: Mapping[str, Any] | None) -> Document:
        """The document, within its limits for these variables. Raises Unfit."""
        key = text, operation_name
        found = self._kept.get(key)
        if found is None:
            found = self._keep(key, self._read(text, operation_name))
        else:
            self._kept.move_to_end(key)
        if isinstance(found, Unfit):
            raise Unfit(*found.reasons)
        if found.measured.varies and (over := exceeded(found.measured, self._limits, variables)):
            raise Unfit(_too_complex(over))
        return found

    def _keep(self, key: tuple[str, str | None], read: Document | Unfit) -> Document | Unfit:
        if sum(map(len, filter(None, key))) > LONGEST:
            return read
        self._kept[key] = read
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return read

    def _read(self, text: str, operation_name: str | None) -> Document | Unfit:
        try:
            node = parse_bounded(text, self._limits)
        except TooComplex as refused:
            return Unfit(_too_complex(refused.exceeded))
        except GraphQLSyntaxError as syntax:
            return Unfit(_coded(syntax, Code.GRAPHQL_PARSE_FAILED))
        operation = get_operation_ast(node, operation_name)
        if operation is None:
            return Unfit(bad_input("The document has no single operation of that name."))
        measured = measure(node, operation_name, page_fields=PAGE_FIELDS)
        # The shape is judged before validation, whose rules are not all linear. Values need the variables.
        if over := exceeded(measured, self._limits, None):
            return Unfit(_too_complex(over))
        if invalid := validate(self._schema, node, max_errors=20):
            return Unfit(*(_coded(reason, Code.GRAPHQL_VALIDATION_FAILED) for reason in invalid))
        return Document(node, operation.operation, measured)


def _coded(reason: GraphQLError, code: Code) -> GraphQLError:
    """The reason with this code, unless it has its own: a scalar refuses a value in the document as it does one of a
    variable."""
    reason.extensions = {"code": code.value, **(reason.extensions or {})}
    return reason


def _too_complex(over: Exceeded) -> GraphQLError:
    return error(Code.QUERY_TOO_COMPLEX, str(TooComplex(over)), **over._asdict())
