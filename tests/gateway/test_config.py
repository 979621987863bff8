"""The configuration: every key, every default, and refusals that name the key and never the value."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from adapters.errors import ConfigurationError
from gateway import app, config
from gateway.protection.identity import Keys
from gateway.protection.limits import Limits
from gateway.schema.providers import PROVIDERS

EXAMPLE = """
server:    { host: 127.0.0.1, port: 8000 }        # a public address with auth mode none is refused at start
auth:      { mode: none }                         # none | api_key | jwt
inventory: { max_age: 5, max_stale: 300 }         # seconds; max_age 0 reads upstream for every request
limits:    { first: 100, tokens: 1000, depth: 12, aliases: 20, root_fields: 20, directives: 50, cost: 5000,
             body_bytes: 262144, request_timeout: 10 }
instances:
  airbyte-prod:                                   # the instance's name, part of every global id
    provider: airbyte
    base_url: https://airbyte.example.com/api     # /v1/... is appended
    auth: { client_id: "${AIRBYTE_CLIENT_ID}", client_secret: "${AIRBYTE_CLIENT_SECRET}" }
    workspaces: []                                # empty: all that workspaces/list answers
  workiva-us:
    provider: workiva
    region: us                                    # or base_url and token_url
    auth: { client_id: "${WORKIVA_CLIENT_ID}", client_secret: "${WORKIVA_CLIENT_SECRET}" }
  unified-us:
    provider: unified_to
    region: us                                    # or base_url
    auth: { token: "${UNIFIED_TOKEN}" }
    environments: [Production]
"""
"""As the design has it; these keys are an interface."""
SECRET = "s3cr3t-v4lue"
ENVIRONMENT = dict.fromkeys(
    ("AIRBYTE_CLIENT_ID", "AIRBYTE_CLIENT_SECRET", "WORKIVA_CLIENT_ID", "WORKIVA_CLIENT_SECRET", "UNIFIED_TOKEN"),
    SECRET,
)
SMALL = "instances: { a: { provider: airbyte, base_url: 'http://localhost/api' } }\n"


def parsed(text: str, environment: Mapping[str, str] = ENVIRONMENT) -> config.Settings:
    return config.parse(text, PROVIDERS, environment)


def refusal(text: str, environment: Mapping[str, str] = ENVIRONMENT) -> str:
    """How a configuration is refused; whatever is wrong with it, no value is told."""
    with pytest.raises(ConfigurationError) as refused:
        parsed(text, environment)
    message = str(refused.value)
    assert SECRET not in message
    assert refused.value.__cause__ is None, "a cause would be printed, values and all"
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return message


def instance(**keys: Any) -> str:
    return yaml.safe_dump({"instances": {"a": keys}})


def airbyte(**keys: Any) -> str:
    return instance(**{"provider": "airbyte", "base_url": "http://localhost/api", **keys})


# What is accepted


def test_the_example_is_read_with_every_key_and_the_order_of_its_instances():
    read = parsed(EXAMPLE)
    assert list(read.instances) == ["airbyte-prod", "workiva-us", "unified-us"]
    assert (read.server.host, read.server.port, read.auth.mode) == ("127.0.0.1", 8000, "none")
    assert (read.inventory.max_age, read.inventory.max_stale) == (5, 300)
    assert read.limits == Limits()
    assert read.instances["airbyte-prod"].auth.client_secret.reveal() == SECRET
    assert read.instances["unified-us"].environments == ("Production",)


def test_only_instances_are_needed_and_the_rest_is_as_the_example_has_it():
    small, full = parsed(SMALL), parsed(EXAMPLE)
    for section in ("server", "auth", "inventory", "limits"):
        assert getattr(small, section) == getattr(full, section)
    assert small.graphiql is True


def test_the_inventory_is_taken_over():
    keys = "{ max_age: 0, max_stale: 0.5, walk_timeout: 7, max_rows: 10, max_bytes: 2048 }"
    read = parsed(SMALL + f"inventory: {keys}").inventory
    assert (read.max_age, read.max_stale, read.walk_timeout, read.max_rows, read.max_bytes) == (0, 0.5, 7, 10, 2048)


def test_explanations_are_for_viewers_unless_told_otherwise():
    assert parsed(SMALL).auth.explain == "viewers"
    for who in ("off", "viewers", "everyone"):
        assert parsed(SMALL + f"auth: {{ explain: {who} }}").auth.explain == who
        assert parsed(SMALL + f"auth: {{ explain: '{who}' }}").auth.explain == who


def test_limits_are_taken_over():
    read = parsed(SMALL + "limits: { first: 7, request_timeout: 0.5 }")
    assert (read.limits.first, read.limits.request_timeout, read.limits.depth) == (7, 0.5, 12)


@pytest.mark.parametrize(
    ("provider", "auth"),
    [
        ("airbyte", {"client_id": "a", "client_secret": SECRET}),
        ("airbyte", {"username": "a", "password": SECRET}),
        ("airbyte", {"token": SECRET}),
        ("airbyte", None),
        ("workiva", {"client_id": "a", "client_secret": SECRET}),
        ("workiva", {"token": SECRET}),
        ("workiva", None),
        ("unified_to", {"token": SECRET}),
        ("unified_to", None),
    ],
)
async def test_every_form_of_auth_that_a_provider_takes_makes_an_adapter(provider: str, auth: object):
    read = parsed(instance(provider=provider, base_url="http://localhost", auth=auth))
    async with app.http_client(read) as client:
        assert list(app.connect(read, client, PROVIDERS)) == ["a"]
    assert SECRET not in repr(read)


@pytest.mark.parametrize(
    ("provider", "auth"),
    [
        ("workiva", {"username": "a", "password": SECRET}),
        ("unified_to", {"username": "a", "password": SECRET}),
        ("unified_to", {"client_id": "a", "client_secret": SECRET}),
    ],
)
async def test_a_form_of_auth_that_a_provider_does_not_take_is_refused_at_start(provider: str, auth: object):
    read = parsed(instance(provider=provider, base_url="http://localhost", auth=auth))
    async with app.http_client(read) as client:
        with pytest.raises(ConfigurationError) as refused:
            app.connect(read, client, PROVIDERS)
    assert SECRET not in str(refused.value)
    assert str(refused.value).startswith(f"instances.a: {provider} takes auth by")


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"client_id": "a"},
        {"client_secret": SECRET},
        {"username": "a"},
        {"password": SECRET},
        {"token": SECRET, "username": "a", "password": SECRET},
        {"token": ""},
        {"token": 7},
        {"api_key": SECRET},
        SECRET,
    ],
    ids=range(10),
)
def test_half_a_form_of_auth_and_two_at_once_are_refused(auth: object):
    assert refusal(airbyte(auth=auth)).startswith("instances.a.auth")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_no_auth(address: str):
    assert parsed(SMALL + f"server: {{ host: '{address}' }}").server.host == address


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "gateway.example.com", ""])  # noqa: S104  refused
def test_a_public_address_needs_auth(address: str):
    assert refusal(SMALL + f"server: {{ host: '{address}' }}").startswith("server.host:")
    keys = f"auth: {{ mode: api_key, keys: {{ ours: {SECRET}-and-longer }} }}"
    assert parsed(SMALL + f"server: {{ host: '{address}' }}\n{keys}").auth.mode == "api_key"


def test_api_keys_go_with_their_mode_and_are_long():
    assert refusal(SMALL + "auth: { mode: api_key }").startswith("auth.keys:")
    assert refusal(SMALL + f"auth: {{ keys: {{ ours: {SECRET}-and-longer }} }}").startswith("auth.keys:")
    assert refusal(SMALL + f"auth: {{ mode: api_key, keys: {{ ours: {SECRET} }} }}").startswith("auth.keys.ours:")


def test_jwt_is_refused_by_name():
    assert refusal(SMALL + "auth: { mode: jwt }").startswith("auth.mode: jwt")


# What is refused


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (SMALL + f"unknown: {SECRET}", "unknown"),
        (SMALL + f"server: {{ hots: {SECRET} }}", "server"),
        (SMALL + f"limits: {{ dept: {SECRET} }}", "limits"),
        (SMALL + f"inventory: {{ age: {SECRET} }}", "inventory"),
        (SMALL + f"auth: {{ secret: {SECRET} }}", "auth"),
        (airbyte(bse_url=SECRET), "instances.a"),
        (airbyte(auth={"token": "x", "tocken": SECRET}), "instances.a.auth"),
    ],
)
def test_an_unknown_key_is_refused_by_its_name(text: str, key: str):
    message = refusal(text)
    unknown = re.search(r"(\w+): s3cr3t", text)
    assert message.startswith(key)
    assert unknown is not None
    assert unknown[1] in message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (SMALL + f"server: {{ port: {SECRET} }}", "server.port"),
        (SMALL + "server: { port: 65536 }", "server.port"),
        (SMALL + "server: { port: -1 }", "server.port"),
        (SMALL + f"server: {SECRET}", "server"),
        (SMALL + f"auth: {{ mode: {SECRET} }}", "auth.mode"),
        (SMALL + f"auth: {{ keys: {SECRET} }}", "auth.keys"),
        (SMALL + f"auth: {{ keys: {{ ours: [{SECRET}] }} }}", "auth.keys"),
        (SMALL + "limits: { first: 0 }", "limits.first"),
        (SMALL + "limits: { first: 1.5 }", "limits.first"),
        (SMALL + f"limits: {{ depth: {SECRET} }}", "limits.depth"),
        (SMALL + "limits: { request_timeout: 0 }", "limits.request_timeout"),
        (SMALL + "inventory: { max_age: -1 }", "inventory.max_age"),
        (SMALL + "inventory: { max_stale: -1 }", "inventory.max_stale"),
        (SMALL + "inventory: { walk_timeout: 0 }", "inventory.walk_timeout"),
        (SMALL + "inventory: { max_rows: 0 }", "inventory.max_rows"),
        (SMALL + "inventory: { max_bytes: 1023 }", "inventory.max_bytes"),
        (SMALL + f"auth: {{ explain: {SECRET} }}", "auth.explain"),
        (SMALL + "auth: { explain: on }", "auth.explain"),
        (SMALL + f"graphiql: {SECRET}", "graphiql"),
        (f"instances: {SECRET}", "instances"),
        ("instances: {}", "instances"),
        ("{}", "instances"),
        (f"instances: {{ a: {SECRET} }}", "instances.a.provider"),
        (instance(provider=SECRET), "instances.a.provider"),
        (instance(provider=["airbyte"]), "instances.a.provider"),
        (instance(provider="airbyte"), "instances.a"),
        (airbyte(base_url=7), "instances.a.base_url"),
        (airbyte(timeout=0), "instances.a.timeout"),
        (airbyte(retries=SECRET), "instances.a.retries"),
        (airbyte(retries=6), "instances.a.retries"),
        (airbyte(workspaces=SECRET), "instances.a.workspaces"),
        (instance(provider="workiva", region=SECRET), "instances.a.region"),
        (instance(provider="unified_to", environments=[]), "instances.a.environments"),
        (instance(provider="unified_to", environments=[SECRET, SECRET]), "instances.a"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_key(text: str, key: str):
    assert refusal(text).startswith(key)


@pytest.mark.parametrize("name", ["", "Airbyte", "a b", "a:b", "-a", "a/b", "é", "a" * 64, "a\n", 7, None], ids=repr)
def test_names_that_cannot_be_part_of_an_id_are_refused(name: object):
    text = yaml.safe_dump({"instances": {name: {"provider": "airbyte", "base_url": "http://localhost"}}})
    assert refusal(text).startswith("instances:")


@pytest.mark.parametrize("url", ["localhost", "ftp://host", f"http://user:{SECRET}@host", f"http://h/?k={SECRET}", ""])
async def test_a_base_url_that_cannot_be_built_on_is_refused_by_its_instance_and_key(url: str):
    read = parsed(airbyte(base_url=url))
    async with app.http_client(read) as client:
        with pytest.raises(ConfigurationError) as refused:
            app.connect(read, client, PROVIDERS)
    assert str(refused.value).startswith("instances.a: base_url:")
    assert SECRET not in str(refused.value)


# References


def test_a_missing_variable_is_told_with_its_key_and_its_name():
    message = refusal(EXAMPLE, {**ENVIRONMENT, "WORKIVA_CLIENT_SECRET": ""})
    assert message.startswith("instances.workiva-us.auth.client_secret:")
    assert "WORKIVA_CLIENT_SECRET" in message
    without = {name: value for name, value in ENVIRONMENT.items() if name != "UNIFIED_TOKEN"}
    assert refusal(EXAMPLE, without).startswith("instances.unified-us.auth.token:")


def test_references_may_stand_inside_a_text_and_in_lists():
    text = airbyte(base_url="http://${HOST}:${PORT}/api", workspaces=["${WS}"])
    read = parsed(text, {"HOST": "h", "PORT": "1", "WS": "w"}).instances["a"]
    assert (read.base_url, read.workspaces) == ("http://h:1/api", ("w",))


def test_what_a_variable_holds_is_not_looked_into_again():
    assert parsed(airbyte(web_url="${A}"), {"A": "${B}", "B": SECRET}).instances["a"].web_url == "${B}"


def test_a_secret_comes_from_a_file_without_its_last_line_break(tmp_path: Path):
    (tmp_path / "token").write_text(f"{SECRET}\n", encoding="utf-8")
    read = parsed(airbyte(auth={"token": f"${{file:{tmp_path}/token}}"}))
    assert read.instances["a"].auth.token.reveal() == SECRET


def test_a_file_that_cannot_be_read_is_told_by_the_key(tmp_path: Path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("missing", "binary", "."):
        message = refusal(airbyte(auth={"token": f"${{file:{tmp_path}/{name}}}"}))
        assert message.startswith("instances.a.auth.token:")


@pytest.mark.parametrize("text", ["${9x}", "${MY-VAR}", "${", "a${}b", "${A}${", "${file:}"])
def test_what_looks_like_a_reference_and_is_none_is_not_taken_for_a_secret(text: str):
    message = refusal(airbyte(auth={"token": text}), {"A": "a"})
    assert message.startswith("instances.a.auth.token:")
    assert "${NAME}" in message


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET}\r\nX: y", "schlüssel", f" {SECRET}"])
def test_a_token_that_no_header_can_hold_is_refused_by_its_key(token: str):
    message = refusal(airbyte(auth={"token": token}))
    assert message.startswith("instances.a.auth: token:")


@pytest.mark.parametrize(
    "key",
    [
        f"{SECRET}-schlüssel",
        f"  {SECRET}-and-longer",
        f"{SECRET}-and-longer ",
        f"{SECRET}\tand-longer",
        f"{SECRET}-\x00-long",
    ],
)
def test_a_key_that_no_header_can_bring_is_refused(key: str):
    given = "auth: { mode: api_key, keys: { ours: '${KEY}' } }"
    message = refusal(SMALL + given, {**ENVIRONMENT, "KEY": key})
    assert message.startswith("auth.keys.ours: must be of printable ASCII")


def test_a_key_may_hold_whatever_is_printed():
    key = "".join(map(chr, range(0x20, 0x7F))).strip()
    read = parsed(SMALL + "auth: { mode: api_key, keys: { ours: '${KEY}' } }", {**ENVIRONMENT, "KEY": key})
    keys = Keys(read.auth.keys)
    assert keys.name({b"authorization": f"Bearer {key}".encode()}) == "ours"
    assert keys.name({b"x-api-key": key.encode()}) == "ours"


def test_two_callers_have_two_keys():
    message = refusal(
        SMALL + f"auth: {{ mode: api_key, keys: {{ a: {SECRET * 4}, b: {SECRET * 4} }}, read_only: [b] }}"
    )
    assert message.startswith("auth.keys.b:")


def test_a_file_of_authorities_is_read_at_the_start(tmp_path: Path):
    (tmp_path / "empty.pem").write_text("", encoding="utf-8")
    for name, told in (("missing.pem", "cannot be read"), ("empty.pem", "holds no certificate")):
        read = parsed(SMALL + f"upstreams: {{ ca_file: {tmp_path / name} }}")
        with pytest.raises(ConfigurationError, match=rf"^upstreams\.ca_file: {told}$"):
            app.create(read)


# YAML


def test_what_is_said_once_may_be_merged_into_several():
    text = """
instances:
  a: &a { provider: airbyte, base_url: http://localhost, timeout: 5 }
  b: { <<: *a, timeout: 6 }
  c: { timeout: 7, <<: [*a] }
"""
    read = parsed(text).instances
    assert [(of.base_url, of.timeout) for of in read.values()] == [("http://localhost", at) for at in (5, 6, 7)]
    assert refusal("instances: { a: &a { provider: airbyte }, b: { <<: *a, timeout: 1, timeout: 2 } }").startswith(
        "timeout:"
    )


def test_a_key_given_twice_is_refused():
    assert refusal(SMALL + f"server: {{ port: 1 }}\nserver: {{ host: {SECRET} }}").startswith("server:")
    assert refusal(f"instances:\n  a: {{ provider: airbyte, base_url: x, base_url: {SECRET} }}").startswith("base_url:")


@pytest.mark.parametrize(
    "text",
    [
        f"a: [{SECRET}",
        f"a: {SECRET}: b",
        f"\t{SECRET}",
        f"a: !!python/object/apply:os.system [{SECRET}]",
        f"a: *{SECRET}",
        f"a: {SECRET}\n b: c",
        f"a: \x00{SECRET}",
        f"- {SECRET}",
        SECRET,
        "",
        f"? [{SECRET}]\n: 1",
        f"<<: {SECRET}",
        "a: 2026-02-30",
        "a: 2026-13-45",
        "a: " + "9" * 5_000,
        "&a [*a]",
        "instances: &a { a: *a }",
        "[" * 3_000,
        "a: " + "[" * 2_000 + "]" * 2_000,
    ],
    ids=range(19),
)
def test_what_is_no_yaml_or_no_map_is_refused_without_being_repeated(text: str):
    refusal(text)


def test_a_file_that_is_missing_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        config.load(tmp_path / "gateway.yaml", PROVIDERS, {})


def test_a_file_is_read(tmp_path: Path):
    (tmp_path / "gateway.yaml").write_text(EXAMPLE, encoding="utf-8")
    assert config.load(tmp_path / "gateway.yaml", PROVIDERS, ENVIRONMENT) == parsed(EXAMPLE)


# The JSON Schema


SCHEMA: dict[str, Any] = json.loads(json.dumps(config.json_schema(PROVIDERS)))  # as it is printed


def problems(text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))]


def test_the_published_schema_is_a_json_schema_and_takes_the_example():
    Draft202012Validator.check_schema(SCHEMA)
    assert problems(EXAMPLE) == []
    assert problems(SMALL) == []


@pytest.mark.parametrize(
    "text",
    [
        SMALL + "unknown: 1",
        SMALL + "server: { hots: x }",
        SMALL + "limits: { first: 0 }",
        SMALL + "auth: { mode: maybe }",
        airbyte(bse_url="x"),
        airbyte(auth={"tocken": "x"}),
        instance(provider="airbyte"),
        instance(provider="unheard of"),
        instance(base_url="http://localhost"),
        instance(provider="workiva", region="moon"),
        "instances: {}",
        "instances: { 'A b': { provider: workiva } }",
        "{}",
    ],
)
def test_the_published_schema_refuses_what_the_gateway_refuses(text: str):
    assert problems(text)
    refusal(text)


def test_every_property_of_the_published_schema_is_described():
    undescribed = [path for path, schema in properties(SCHEMA, "") if "description" not in resolved(schema)]
    assert undescribed == []


def properties(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property in a schema, at whatever depth; the tag that names a provider is a constant."""
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            if "enum" not in inner or name != "provider":
                yield f"{path}.{name}", inner
        for name, inner in schema.items():
            yield from properties(inner, f"{path}.{name}")
    elif isinstance(schema, list):
        for inner in schema:
            yield from properties(inner, path)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    return {**SCHEMA["$defs"].get(reference, {}), **schema}
