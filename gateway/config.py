"""The configuration: a YAML file, read once into frozen Settings, with secrets from the environment or from files.

Whatever is wrong with it is told by the name of its key, never by a value: values may be secrets.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, cast

import msgspec
import yaml
from msgspec import Meta

from adapters import ids, transport
from adapters.errors import ConfigurationError
from adapters.port import Provider
from adapters.secret import Secret
from gateway.protection.limits import Limits

_REFERENCE = re.compile(r"\$\{(?:(?P<file>file:)(?P<path>[^}]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*))\}")
_IN_A_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")
_PATH_IN_MESSAGE = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_QUOTED = re.compile(r"(Invalid (?:enum )?value) .*")

Map = dict[str, Any]


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the gateway listens."""

    host: Annotated[str, Meta(description="Address to listen on. One that is not loopback needs auth.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8000
    workers: Annotated[
        int, Meta(ge=1, description="Processes that answer, each on a core and with a memory of its own.")
    ] = 1


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask."""

    mode: Annotated[
        Literal["none", "api_key", "jwt"],
        Meta(description="none: everybody; api_key: whoever sends one of the keys; jwt: not in this version yet."),
    ] = "none"
    keys: Annotated[
        dict[str, Secret],
        Meta(description="With api_key: the keys by a name of whose they are, 16 ASCII characters or more."),
    ] = {}
    read_only: Annotated[
        tuple[str, ...], Meta(description="With api_key: the names of those whose keys may change nothing.")
    ] = ()
    explain: Annotated[
        Literal["off", "viewers", "everyone"],
        Meta(description="Who may ask which upstream calls a query makes: nobody, whoever sent a key, or everybody."),
    ] = "viewers"


class Inventory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How old an answer may be, and how much is kept in memory for it."""

    max_age: Annotated[
        float, Meta(ge=0, description="Seconds that what was read is fresh; 0 reads upstream for every request.")
    ] = 5.0
    max_stale: Annotated[
        float, Meta(ge=0, description="Seconds that it may be shown, marked as stale, where its upstream fails.")
    ] = 300.0
    walk_timeout: Annotated[
        float,
        Meta(
            gt=0, description="Seconds for reading one whole list; it goes on where the request that began it gives up."
        ),
    ] = 60.0
    max_rows: Annotated[int, Meta(ge=1, description="Connections kept in memory, of all instances together.")] = 500_000
    max_bytes: Annotated[
        int, Meta(ge=1024, description="Bytes kept, by the length of the bodies that they were read from.")
    ] = 2 * 1024**3


class Writes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it is remembered what was changed."""

    ledger: Annotated[
        str | None,
        Meta(
            description=(
                "A file, on a local disk, that keeps what was done under which idempotency key; it is made where it is "
                "not there, and workers share it. Without one, that is forgotten when the gateway ends."
            )
        ),
    ] = None
    keep_outcomes: Annotated[
        float, Meta(gt=0, description="Seconds that an idempotency key is good for, and a task can be followed.")
    ] = 86_400.0
    settle: Annotated[
        float,
        Meta(
            ge=0,
            description=(
                "Seconds in which it is looked whether something happened whose answer was lost; an upstream that was "
                "interrupted may still be at it."
            ),
        ),
    ] = 2.5


class Execution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How operations are executed."""

    compiled: Annotated[
        bool,
        Meta(description="Whether selections are read by generated code; the answers are the same."),
    ] = True


class Upstreams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How upstreams are called, whichever they are."""

    ca_file: Annotated[
        str | None,
        Meta(description="A file of certificates (PEM) of authorities that are trusted beside the public ones."),
    ] = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was configured. ``instances`` keeps the order of the file."""

    server: Server
    auth: Auth
    inventory: Inventory
    limits: Limits
    writes: Writes
    upstreams: Upstreams
    execution: Execution
    graphiql: bool
    instances: Mapping[str, transport.Settings]


SECTIONS: Mapping[str, tuple[Any, str]] = {
    "server": (Server, "Where the gateway listens."),
    "auth": (Auth, "Who may ask."),
    "inventory": (Inventory, "How old an answer may be."),
    "limits": (Limits, "What one request may ask for."),
    "writes": (Writes, "How it is remembered what was changed."),
    "upstreams": (Upstreams, "How upstreams are called, whichever they are."),
    "execution": (Execution, "How operations are executed."),
    "graphiql": (bool, "Whether a browser is shown GraphiQL; true by default."),
}
"""The sections beside ``instances``: their type and what they are for."""


def load(path: Path, providers: Mapping[str, Provider], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in a file. Raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{path}: cannot be read") from None
    return parse(text, providers, environment)


def parse(text: str, providers: Mapping[str, Provider], environment: Mapping[str, str]) -> Settings:
    """The settings in a text. Raises ConfigurationError."""
    try:
        raw = _filled(_yaml(text), environment, "")
    except RecursionError:
        raise ConfigurationError("it is nested too deeply, or contains itself") from None
    if not isinstance(raw, dict):
        raise ConfigurationError("the configuration must be a map")
    return settings(cast("Map", raw), providers)


def settings(raw: Map, providers: Mapping[str, Provider]) -> Settings:
    """The settings in a map, references already filled in. Raises ConfigurationError."""
    unknown = sorted(raw.keys() - SECTIONS.keys() - {"instances"})
    if unknown:
        raise ConfigurationError(f"{unknown[0]}: unknown key")
    auth: Any = raw.get("auth")
    if isinstance(auth, dict) and cast("Map", auth).get("explain") is False:  # so YAML reads a bare `off`
        raw = {**raw, "auth": {**cast("Map", auth), "explain": "off"}}
    sections = {
        name: _section(raw.get(name, True if kind is bool else {}), kind, name) for name, (kind, _) in SECTIONS.items()
    }
    read = Settings(**sections, instances=_instances(raw.get("instances"), providers))
    _check(read)
    return read


def with_ledger(read: Settings, path: Path) -> Settings:
    """The settings with this file as the ledger."""
    return msgspec.structs.replace(read, writes=msgspec.structs.replace(read.writes, ledger=str(path)))


def _instances(raw: Any, providers: Mapping[str, Provider]) -> Mapping[str, transport.Settings]:
    if not isinstance(raw, dict) or not raw:
        raise ConfigurationError("instances: must name at least one")
    return {name: _instance(name, value, providers) for name, value in cast("dict[Any, Any]", raw).items()}


def _instance(name: Any, raw: Any, providers: Mapping[str, Provider]) -> transport.Settings:
    if not isinstance(name, str) or not ids.INSTANCE_NAME.fullmatch(name):
        raise ConfigurationError(f"instances: {name!r} must be lower case letters, digits, '.', '_' and '-'")
    key = cast("Map", raw).get("provider") if isinstance(raw, dict) else None
    if not isinstance(key, str) or key not in providers:
        raise ConfigurationError(f"instances.{name}.provider: must be one of {', '.join(providers)}")
    return _section(raw, providers[key].settings, f"instances.{name}")


def _section(raw: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(raw, kind, dec_hook=_secret)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_told(str(error), name)) from None


def _secret(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str) and value:
        return Secret(value)
    raise ValueError("Expected a text that is not empty")


def _told(message: str, name: str) -> str:
    """msgspec's message with the whole key in front, and without the value that some of its messages quote."""
    place = _PATH_IN_MESSAGE.search(message)
    key = ".".join(part for part in (name, place["path"] if place else "") if part)
    return f"{key}: " + _QUOTED.sub(r"\1", _PATH_IN_MESSAGE.sub("", message))


def _check(read: Settings) -> None:
    """What no single key can tell."""
    if read.auth.mode == "jwt":
        raise ConfigurationError("auth.mode: jwt is not supported by this version")
    if (read.auth.mode == "api_key") != bool(read.auth.keys):
        raise ConfigurationError("auth.keys: goes with auth.mode api_key, which needs at least one")
    for name in set(read.auth.read_only) - read.auth.keys.keys():
        raise ConfigurationError(f"auth.read_only: there is no key called {name!r}")
    by_key: dict[Secret, str] = {}
    for name, key in read.auth.keys.items():
        if (other := by_key.setdefault(key, name)) != name:
            raise ConfigurationError(f"auth.keys.{name}: is the key of {other!r} as well")
        if not _IN_A_HEADER.fullmatch(key.reveal()):
            told = "must be of printable ASCII characters without blanks around them: no header brings another"
            raise ConfigurationError(f"auth.keys.{name}: {told}")
        if len(key.reveal()) < 16:  # noqa: PLR2004  the documented minimum
            raise ConfigurationError(f"auth.keys.{name}: must have 16 characters or more")
    if read.auth.mode == "none" and not _is_loopback(read.server.host):
        raise ConfigurationError("server.host: an address that is not loopback needs auth.mode other than none")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _filled(value: Any, environment: Mapping[str, str], key: str) -> Any:
    """The value with its ``${NAME}`` and ``${file:/path}`` references replaced."""
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {name: _filled(item, environment, f"{key}.{name}".lstrip(".")) for name, item in items}
    if isinstance(value, list):
        return [_filled(item, environment, f"{key}[{n}]") for n, item in enumerate(cast("list[Any]", value))]
    if isinstance(value, str):
        if "${" in _REFERENCE.sub("", value):
            raise ConfigurationError(f"{key}: ${{ begins a reference, which is ${{NAME}} or ${{file:/path}}")
        return _REFERENCE.sub(lambda reference: _referred(reference, environment, key), value)
    return value


def _referred(reference: re.Match[str], environment: Mapping[str, str], key: str) -> str:
    if reference["file"]:
        try:
            # Editors and `echo` end a file with a line break that is no part of the secret.
            return Path(reference["path"]).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(f"{key}: the file it refers to cannot be read") from None
    found = environment.get(reference["name"])
    if not found:
        raise ConfigurationError(f"{key}: the environment variable {reference['name']} is not set")
    return found


_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """YAML's safe types, with a name given twice refused: the later one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = (name for name, _ in node.value if name.tag != _MERGE)  # what `<<` brings may be given anew
        names = [self.construct_object(name, deep=True) for name in own]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigurationError(f"{twice}: stands twice, in line {node.start_mark.line + 1} and after")
        return super().construct_mapping(node, deep)


def _yaml(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigurationError(f"line {line}: not valid YAML") from None
    except (yaml.YAMLError, ValueError):  # the latter for a date that there is not, or a number of too many digits
        raise ConfigurationError("not valid YAML") from None


def json_schema(providers: Mapping[str, Provider]) -> Map:
    """A JSON Schema of the configuration, for editors."""
    kinds = [kind for kind, _ in SECTIONS.values()]
    union = Union[tuple(provider.settings for provider in providers.values())]  # noqa: UP007  made at run time
    (*sections, instance), definitions = msgspec.json.schema_components(
        [*kinds, union], schema_hook=_secret_schema, ref_template="#/$defs/{name}"
    )
    described = {
        name: {**schema, "description": text}
        for (name, (_, text)), schema in zip(SECTIONS.items(), sections, strict=True)
    }
    instances = {
        "type": "object",
        "description": "The upstreams, each by a name of your choice, which becomes part of every id.",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{ids.INSTANCE_NAME.pattern}$"},
        "additionalProperties": instance,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the connection gateway",
        "type": "object",
        "additionalProperties": False,
        "required": ["instances"],
        "properties": {**described, "instances": instances},
        "$defs": definitions,
    }


def _secret_schema(kind: type) -> Map:
    if kind is Secret:
        return {
            "type": "string",
            "minLength": 1,
            "description": "A secret: ${NAME} or ${file:/path} keeps it out of here.",
        }
    raise NotImplementedError
