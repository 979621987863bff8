"""The engine's own view of the present field, which Strawberry wraps."""

from typing import Any

from graphql import GraphQLResolveInfo
from strawberry.types import Info


def raw(info: Info[Any, Any]) -> GraphQLResolveInfo[Any]:
    """The engine's info: the selection's nodes, the return type, the fragments, the path."""
    wrapped: Any = info
    return wrapped._raw_info
