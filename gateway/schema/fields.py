"""How fields are declared, and the checks that arguments of several fields share."""

from typing import Any, TypeVar

import strawberry

from gateway.errors import bad_input

T = TypeVar("T")


def described(description: str, graphql_type: Any = None) -> Any:
    """A field that reads the attribute of its name from whatever its parent's resolver returned."""
    return strawberry.field(description=description, graphql_type=graphql_type)


def argument(description: str) -> Any:
    """What goes beside an argument's type to describe it."""
    return strawberry.argument(description=description)


def given(value: T | None) -> T | None:
    """An optional argument; None where it was left out, which the schema then need not show as a default."""
    return None if value is strawberry.UNSET else value


def checked_size(name: str, size: int, most: int) -> int:
    """A page size. Raises BAD_USER_INPUT."""
    if not 0 <= size <= most:
        raise bad_input(f"{name} must be between 0 and {most}.")
    return size
