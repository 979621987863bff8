"""Walks over JSON, and JSON in which something is another."""

from collections.abc import Iterable, Iterator
from typing import Any, cast


def texts(value: Any) -> Iterator[str]:
    """Every text inside some JSON, apart from keys."""
    if isinstance(value, str):
        yield value
    for _, item in inside(value):
        yield from texts(item)


def inside(value: Any) -> Iterable[tuple[Any, Any]]:
    """What some JSON holds, by key or index."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).items()
    return enumerate(cast("list[Any]", value)) if isinstance(value, list) else ()


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """Some JSON with what stands at ``path`` replaced; the path's parts are keys and indexes."""
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything inside some JSON."""
    if path:
        yield path
    for key, item in inside(value):
        yield from places(item, (*path, key))
