"""Writes what is made from the code: schema.graphql, docs/gateway.schema.json, and the tables between markers in
README.md and docs. `--check` writes nothing, and fails with the names of the files that are not as they would be.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from graphql import GraphQLField, GraphQLInputField, GraphQLSchema, build_schema
from strawberry.utils.str_converters import to_camel_case

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from adapters import transport  # noqa: E402  a script knows the way to the packages beside it
from adapters.port import Capability, Provider  # noqa: E402
from gateway import config  # noqa: E402
from gateway.schema.mutation import MUTATIONS, Field  # noqa: E402
from gateway.schema.providers import PROVIDERS  # noqa: E402
from gateway.schema.schema import build, client_sdl  # noqa: E402

BLOCK = re.compile(r"(?P<start><!-- generated: (?P<name>[\w.]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)

Json = Mapping[str, Any]
Row = Iterable[str]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown."""
    lines = [list(head), ["---" for _ in head], *map(list, rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


# --- what each provider can do ---


def capabilities() -> str:
    """A row for each capability, a column for each provider."""
    head = ["Capability", "", *(provider.label for provider in PROVIDERS.values())]
    return table(head, (_able(capability) for capability in Capability))


def _able(capability: Capability) -> Iterator[str]:
    yield f"`{capability}`"
    yield capability.description
    for provider in PROVIDERS.values():
        yield "yes" if capability in provider.capabilities else "-"


# --- which mutation works where ---


def mutations() -> str:
    """A row for each mutation, a column for each provider."""
    head = ["Mutation", "What it does", *(provider.label for provider in PROVIDERS.values())]
    return table(head, (_works(name, mutation) for name, mutation in MUTATIONS.items()))


def _works(name: str, mutation: Field) -> Iterator[str]:
    yield f"`{to_camel_case(name)}`"
    yield mutation.field.description
    for provider in PROVIDERS.values():
        yield "yes" if mutation.capability in provider.capabilities else "-"


# --- where each field of the source models is ---


def fields() -> str:
    """A table for each source model of each provider."""
    schema = build_schema(client_sdl(build()))
    return "\n".join(
        f"### {provider.label}: `{model}`, {len(places)} fields\n\n{_places(schema, provider, places)}"
        for provider in PROVIDERS.values()
        for model, places in provider.source_models.items()
    )


def _places(schema: GraphQLSchema, provider: Provider, places: Mapping[str, str]) -> str:
    rows = ((f"`{name}`", _shown(path), _told(schema, provider, name, path)) for name, path in places.items())
    return table(["Field", "In the graph", "What it is there"], rows)


def _shown(path: str) -> str:
    match path.split("."):
        case ["details", kind, *rest]:
            return f"`details` on `{kind}`: `{'.'.join(rest)}`"
        case ["input", kind, *rest]:
            return f"input `{kind}`: `{'.'.join(rest)}`"
        case _:
            return f"`{path}`"


def _told(schema: GraphQLSchema, provider: Provider, name: str, path: str) -> str:
    description = place(schema, path)[-1].description or ""
    secret = provider.secrets.get(name)
    return f"**Secret.** {secret} There: {description}" if secret else description


def place(schema: GraphQLSchema, path: str) -> list[GraphQLField | GraphQLInputField]:
    """The fields that a path of `Provider.source_models` leads through, from `Connection`, a details type or an input.
    Raises KeyError where it leads nowhere."""
    names = path.split(".")
    kind: Any = schema.type_map["Connection"]
    if names[0] == "input":
        kind, names = schema.type_map[names[1]], names[2:]
    found: list[GraphQLField | GraphQLInputField] = []
    while names:
        field = kind.fields[names[0]]
        found.append(field)
        kind = schema.type_map[re.sub(r"\W", "", str(field.type))]
        if names[0] == "details" and names[1:]:
            kind = {member.name: member for member in kind.types}[names[1]]
            names = names[1:]
        names = names[1:]
    return found


# --- the keys of the configuration ---


def keys() -> Mapping[str, Callable[[], str]]:
    """A table for each section of the configuration, by name: its own keys, their defaults and what they mean."""
    told = config.json_schema(PROVIDERS)
    definitions: Json = told["$defs"]
    tables: dict[str, Callable[[], str]] = {"sections": lambda: _keys(told["properties"], ())}
    for name, section in told["properties"].items():
        if "$ref" in section:
            tables[name] = lambda section=section: _keys(_of(section, definitions)["properties"], ())
    common = set(transport.Settings.__struct_fields__)
    mapping: Mapping[str, str] = told["properties"]["instances"]["additionalProperties"]["discriminator"]["mapping"]
    for key, reference in mapping.items():
        settings: Json = definitions[reference.rpartition("/")[2]]
        required: list[str] = settings["required"]
        own = {name: about for name, about in settings["properties"].items() if name not in {*common, "provider"}}
        shared = {name: about for name, about in settings["properties"].items() if name in common}
        tables[f"instances.{key}"] = lambda own=own, required=required: _keys(own, required)
        tables["instances"] = lambda shared=shared: _keys(shared, ())
    tables["instances.auth"] = lambda: _keys(definitions["Credentials"]["properties"], ())
    return tables


def _of(schema: Json, definitions: Json) -> Json:
    return definitions[schema["$ref"].rpartition("/")[2]]


def _keys(properties: Json, required: Iterable[str]) -> str:
    rows = (
        (f"`{name}`", _kind(about), _default(name, about, required), about.get("description", ""))
        for name, about in properties.items()
    )
    return table(["Key", "Value", "Default", "What it is"], rows)


def _default(name: str, about: Json, required: Iterable[str]) -> str:
    if name in required or about.get("minProperties"):
        return "required"
    if "$ref" in about or about.get("default", "") is None:
        return ""
    default = about.get("default", True)  # the one key of a section without a struct
    return f"`{json.dumps(default)}`"


def _kind(about: Json) -> str:
    """The type of a value in words, with its bounds."""
    if "anyOf" in about:
        (about,) = (kind for kind in about["anyOf"] if kind.get("type") != "null")
    if "enum" in about:
        return ", ".join(f"`{word}`" for word in about["enum"])
    is_secret = about.get("description", "").startswith("A secret")
    return {
        "array": "list of texts" + (", one or more" if about.get("minItems") else ""),
        "boolean": "true or false",
        "integer": "whole number" + _bounds(about),
        "number": "number" + _bounds(about),
        "object": "map",
        "string": "secret" if is_secret else "text",
    }[about.get("type", "object")]


def _bounds(about: Json) -> str:
    least, above, most = about.get("minimum"), about.get("exclusiveMinimum"), about.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if above is not None:
        return f" above {above}"
    return "" if least is None else f", {least} or more"


# --- the files ---


BLOCKS: Mapping[str, Callable[[], str]] = {
    "capabilities": capabilities,
    "mutations": mutations,
    "fields": fields,
    **keys(),
}
FILES: Mapping[str, Callable[[], str]] = {
    "schema.graphql": lambda: client_sdl(build()) + "\n",
    "docs/gateway.schema.json": lambda: json.dumps(config.json_schema(PROVIDERS), indent=2, ensure_ascii=False) + "\n",
}
PAGES = ("README.md", "docs/fields.md", "docs/configuration.md", "docs/writes.md")


def generated() -> Iterator[tuple[Path, str]]:
    """Each file that holds something generated, as it should be."""
    for name, text in FILES.items():
        yield ROOT / name, text()
    for name in PAGES:
        page = ROOT / name
        yield page, BLOCK.sub(lambda found: f"{found['start']}\n{BLOCKS[found['name']]()}\n{found['end']}", _text(page))


def stale() -> list[str]:
    """The files that are not as they should be."""
    return [str(path.relative_to(ROOT)) for path, text in generated() if not path.exists() or _text(path) != text]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write what is made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not up to date")
    if parser.parse_args().check:
        old = stale()
        sys.stderr.writelines(f"{name}: run scripts/generate.py\n" for name in old)
        return 1 if old else 0
    for path, text in generated():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
