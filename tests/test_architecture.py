"""The house: which way imports go, and that no file but a provider's own knows which providers there are."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.registry import BUILT_IN

ROOT = Path(__file__).parents[1]
OWN_FOLDERS = tuple(place.split(":")[0].rpartition(".")[2] for place in BUILT_IN)
KNOWS_PROVIDERS = {Path("gateway/examples.py"), Path("adapters/registry.py")}
"""The queries that GraphiQL offers, and the table of providers."""
NAMES = re.compile(r"airbyte|workiva|wdata|unified_to|unified\.to|unifiedto", re.IGNORECASE)
SOURCES = sorted(path.relative_to(ROOT) for room in ("adapters", "gateway") for path in (ROOT / room).rglob("*.py"))


def provider_of(path: Path) -> str | None:
    """The provider whose folder a file stands in."""
    return path.parts[1] if path.parts[0] == "adapters" and path.parts[1] in OWN_FOLDERS else None


def words(path: Path) -> Iterator[str]:
    """The names and the texts in a file that a program can act on, with their lines: no comments and no sentences."""
    with (ROOT / path).open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.NAME or (token.type == tokenize.STRING and " " not in token.string):
                yield f"{path}:{token.start[0]}: {token.string}"


def imports(path: Path) -> Iterator[str]:
    """The modules that a file names in its imports, whole."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_gateway_mentions_no_provider_at_all():
    """Not even in a comment: what it says of one, it would have to say of the next."""
    for path in SOURCES:
        if path.parts[0] == "gateway" and path not in KNOWS_PROVIDERS:
            found = [line for line in (ROOT / path).read_text(encoding="utf-8").splitlines() if NAMES.search(line)]
            assert found == [], path


def test_the_shared_rooms_of_the_adapters_ask_for_no_provider():
    """Their comments may tell of what an upstream does, and descriptions give examples; no code depends on it."""
    for path in SOURCES:
        if path.parts[0] == "adapters" and provider_of(path) is None and path not in KNOWS_PROVIDERS:
            found = [word for word in words(path) if NAMES.search(word.partition(": ")[2])]
            assert found == []


def test_adapters_never_import_the_gateway():
    found = [path for path in SOURCES if path.parts[0] == "adapters" for name in imports(path) if "gateway" in name]
    assert found == []


@pytest.mark.parametrize("own", OWN_FOLDERS)
def test_providers_do_not_import_each_other(own: str):
    others = tuple(f"adapters.{name}" for name in OWN_FOLDERS if name != own)
    found = [(path, name) for path in SOURCES if provider_of(path) == own for name in imports(path)]
    assert found
    assert [(path, name) for path, name in found if name.startswith(others)] == []


def test_nobody_but_the_registry_reaches_into_a_providers_folder():
    folders = tuple(f"adapters.{name}" for name in OWN_FOLDERS)
    found = [(path, name) for path in SOURCES if provider_of(path) is None for name in imports(path)]
    assert [(path, name) for path, name in found if name.startswith(folders)] == []


def test_every_provider_has_the_same_files():
    expected = {"__init__.py", "wire.py", "client.py", "convert.py", "adapter.py", "demo.py", "details.py", "fields.py"}
    for name in OWN_FOLDERS:
        assert expected <= {path.name for path in (ROOT / "adapters" / name).glob("*.py")}


def test_every_module_says_what_it_is_for():
    silent = [path for path in SOURCES if not ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))]
    assert silent == []
