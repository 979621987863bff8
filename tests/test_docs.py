"""The documentation cannot lie: what it shows is run, what it lists is complete, what it links is there."""

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import graphql
import httpx
import pytest
import yaml

import gateway.schema
from adapters.imitation import KNOBS_PATH, ImitationServer, Knobs
from adapters.port import Adapter, Capability
from gateway import __main__ as command_line
from gateway import config
from gateway.errors import CODES, Code
from gateway.examples import EXAMPLES
from gateway.protection.limits import Limits
from gateway.protection.measure import measure
from gateway.schema.providers import PROVIDERS
from gateway.schema.schema import build, client_sdl
from scripts import generate, lock
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, gateway_over

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
DEMO_NAMES = {AIRBYTE: "airbyte-demo", WORKIVA: "workiva-demo", UNIFIED_TO: "unified-to-demo"}
NOT_YET = "Not in this version yet"


class Block(NamedTuple):
    """A block of code: where it stands, its language, what else is said beside that, and the block right after it."""

    page: Path
    line: int
    language: str
    about: str
    text: str
    following: "Block | None" = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(language: str = "", about: str = "") -> list[Block]:
    """The blocks of all pages in a language."""
    found = [block for page in PAGES for block in _blocks(page)]
    return [block for block in found if block.language == language and about in block.about]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w*) ?(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    following: Block | None = None
    for fence in reversed(list(fences)):
        line = text.count("\n", 0, fence.start()) + 1
        following = Block(page, line, fence[1], fence[2], fence[3], following)
        yield following


def commands() -> list[tuple[str, str]]:
    """Where each command is shown, in a block or in the running text, and the command."""
    pages = [page for page in PAGES if page.name != "federation.md"]  # where node speaks: tests of its own run that
    found = [(str(block), line) for block in blocks("sh") if block.page in pages for line in block.text.splitlines()]
    for page in pages:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        codes = re.findall(r"`((?:PORT=\d+ )?(?:gateway |scripts/|\.venv/bin/python |curl )[^`\n]+)`", prose)
        found += [(page.name, code) for code in codes]
    return found


def ids(item: object) -> str:
    return str(item)


# --- commands ---


@pytest.mark.parametrize(("where", "command"), commands())
def test_every_command_shown_exists_and_takes_its_arguments(where: str, command: str) -> None:
    words = [word for word in shlex.split(command, comments=True) if not re.fullmatch(r"[A-Z]+=\w+", word)]
    match words:
        case [".venv/bin/python", "-m", "gateway"]:
            pass  # without arguments, it stands for the command as such
        case ["gateway", *arguments] | [".venv/bin/python", "-m", "gateway", *arguments]:
            command_line._parser().parse_args(arguments)
        case [".venv/bin/python", "-m", module, *_] if module.startswith("benchmarks."):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
        case [".venv/bin/python", script, *_] if script.endswith(".py"):
            assert (ROOT / script).is_file()
        case [script, *_] if script.startswith("scripts/"):
            assert (ROOT / script).exists()
            assert os.access(ROOT / script, os.X_OK) or script.endswith(".py")
        case ["docker", *arguments]:
            assert [word for word in arguments if word.startswith(("deploy/", "./deploy/"))] or arguments[-1] == "."
            files = {word.removeprefix("./").partition(":")[0] for word in arguments if "deploy/" in word}
            assert all((ROOT / name).exists() for name in files - {"deploy/.env"})
        case ["cp", given, "deploy/.env"]:
            assert (ROOT / given).exists()
        case ["npm", "ci", "--prefix", folder, *_]:
            assert (ROOT / folder / "package-lock.json").is_file()
        case ["curl", *_]:
            assert words[-1] == "$KNOBS"  # run below
        case _:
            pytest.fail(f"{where}: nobody knows the command {command!r}")


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_two_commands_are_short_and_can_be_executed(name: str) -> None:
    script = ROOT / "scripts" / name
    assert os.access(script, os.X_OK)
    assert len(script.read_text(encoding="utf-8").splitlines()) < 20
    assert f"scripts/{name}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


async def run(*arguments: str, expected: int = 0) -> str:
    """What a Python command of the documentation prints. It runs beside the loop, which serves the upstreams."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == expected, errors.decode()
    return output.decode()


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("-m", "gateway", "schema"), "schema.graphql"),
        (("-m", "gateway", "schema", "--config"), "docs/gateway.schema.json"),
        (("-m", "gateway", "schema", "--federation"), None),
        (("scripts/generate.py", "--check"), None),
        (("scripts/lock.py", "--check"), None),
    ],
)
async def test_cheap_commands_run_and_print_what_is_kept(arguments: tuple[str, ...], file: str | None) -> None:
    printed = await run(*arguments)
    if file is not None:
        assert printed == (ROOT / file).read_text(encoding="utf-8")


async def test_check_prints_a_table_as_the_documentation_shows(
    upstreams: Mapping[str, tuple[ImitationServer, str]], tmp_path: Path
) -> None:
    instances = {name: server.settings(url) for name, (server, url) in upstreams.items()}
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump({"instances": instances}), encoding="utf-8")
    printed = (await run("-m", "gateway", "check", "--config", str(file))).splitlines()
    shown = next(block for block in blocks() if block.text.startswith("instance ")).text.splitlines()
    assert printed[0].split() == shown[0].split()
    row = re.compile(r"yes +yes +(\d+) +0 +\d+\.\d\d +(and more|all there are)$")
    found, told = ([row.search(line) for line in lines[1:]] for lines in (printed, shown))
    assert sorted(match.groups() for match in found if match) == sorted(match.groups() for match in told if match)
    assert None not in found
    assert len(printed) == len(shown)


# --- queries ---


@pytest.fixture
async def demo(upstreams: Mapping[str, tuple[ImitationServer, str]]) -> AsyncGenerator[Fleet]:
    """A gateway over the upstreams under the names that they have in the demo, which are those in the documentation."""
    servers = {DEMO_NAMES[name]: server for name, (server, _) in upstreams.items()}
    instances = {DEMO_NAMES[name]: {**server.settings(url), "retries": 0} for name, (server, url) in upstreams.items()}
    for server in servers.values():
        server.knobs = Knobs()
    async with gateway_over(instances) as url, httpx.AsyncClient(timeout=30) as client:
        yield Fleet(url, servers, client)


async def test_the_first_query_of_the_readme_returns_rows_of_all_three_providers(fleet: Fleet) -> None:
    first = next(block for block in reversed(blocks("graphql")) if block.page.name == "README.md")
    assert first.text == EXAMPLES[0].query
    data = await fleet.data(first.text)
    providers = {node["provider"] for node in data["connections"]["nodes"]}
    assert providers == {"AIRBYTE", "WORKIVA", "UNIFIED_TO"}


@pytest.mark.parametrize("block", blocks("graphql"), ids=ids)
def test_every_query_shown_is_valid(block: Block) -> None:
    schema = graphql.build_schema(client_sdl(build()))
    if block.page.name == "federation.md":  # there, other subgraphs speak too: its own tests try them
        graphql.parse(block.text)
        return
    assert graphql.validate(schema, graphql.parse(block.text)) == []


@pytest.mark.parametrize("block", blocks("graphql", "runnable"), ids=ids)
async def test_every_query_marked_runnable_answers_what_is_shown(demo: Fleet, block: Block) -> None:
    data = await demo.data(block.text)
    assert None not in data.values()
    shown = block.following
    if shown is not None and shown.language == "json":
        assert fits(json.loads(shown.text)["data"], data)


def test_every_json_shown_is_json() -> None:
    for block in blocks("json"):
        json.loads(block.text)


async def test_the_trouble_that_is_shown_can_be_made(
    demo: Fleet, upstreams: Mapping[str, tuple[ImitationServer, str]]
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    knobs = upstreams[WORKIVA][1] + KNOBS_PATH
    breaking, mending = (next(line for _, line in commands() if trouble in line) for trouble in ("503", "'{}'"))
    query = next(block for block in blocks("graphql", "runnable") if "droppedRowCount" in block.text)
    shown = next(block for block in blocks("sh") if breaking in block.text).following
    assert shown is not None
    await demo.data(query.text)
    await _shell(breaking, knobs)
    broken = await demo.ask(query.text)
    await _shell(mending, knobs)
    mended = await demo.ask(query.text)
    assert are(json.loads(shown.text)["errors"], broken["errors"])
    assert are([json.loads(_first_json("docs/errors.md"))], broken["errors"])
    assert fits(json.loads(shown.text)["data"], broken["data"])
    assert _told_beside(json.loads(shown.text)) == _told_beside(broken)
    assert broken["data"]["connections"]["nodes"] == json.loads(shown.text)["data"]["connections"]["nodes"]
    assert "errors" not in mended


async def _shell(command: str, knobs: str) -> None:
    process = await asyncio.create_subprocess_shell(
        command, env={**os.environ, "KNOBS": knobs}, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


def fits(shown: Any, real: Any) -> bool:
    """Whether ``shown`` is a shortened ``real``: the same fields everywhere, each row of a list like a real one."""
    if shown is None or real is None:
        return True
    if isinstance(shown, dict):
        return isinstance(real, dict) and shown.keys() == real.keys() and all(fits(shown[k], real[k]) for k in shown)
    if isinstance(shown, list):
        return isinstance(real, list) and all(any(fits(one, other) for other in real) for one in shown)
    return type(shown) is type(real)


def _told_beside(answer: Mapping[str, Any]) -> list[Any]:
    """The errors that stand in the data."""
    return [source["error"] for source in answer["data"]["connections"]["sources"] if source["error"] is not None]


def are(shown: Sequence[Mapping[str, Any]], real: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these errors are the real ones, wherever they stand in a document and whatever their ids."""
    told = [[{**error["extensions"], "correlationId": None} for error in errors] for errors in (shown, real)]
    said = [[(error["message"], error["path"]) for error in errors] for errors in (shown, real)]
    return fits(shown, real) and len(shown) == len(real) and told[0] == told[1] and said[0] == said[1]


def _first_json(page: str) -> str:
    return next(block.text for block in reversed(blocks("json")) if block.page == ROOT / page)


def test_instances_of_the_demo_are_called_what_they_are_called() -> None:
    told = {name for page in PAGES for name in re.findall(r"\b[a-z_-]+-demo\b", page.read_text(encoding="utf-8"))}
    assert told == set(DEMO_NAMES.values())


def test_the_costs_shown_are_those_that_are_counted() -> None:
    fields = "a b c d e f g h i j"
    rows = f"{{ connections(first: 100) {{ nodes {{ {fields} %s }} }} }}"
    plain, more = (
        measure(graphql.parse(rows % inside)).costs(None, page=Limits().first)[0]
        for inside in ("", "runs(first: 10) { nodes { a b c } }")
    )
    shown = re.search(r"with 10 fields costs (\d+), .*?3 fields (\d+) more", _page("docs/graph.md"), re.DOTALL)
    assert shown is not None
    assert (int(shown[1]), int(shown[2])) == (plain, more - plain)


# --- configurations ---


def _parsed(text: str, tmp_path: Path) -> config.Settings:
    """The settings in a text with every secret it refers to in place; a lone section gets an instance to stand on."""
    environment = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "a-secret-of-some-length")
    secret = tmp_path / "secret"
    secret.write_text("another-secret-of-some-length\n", encoding="utf-8")
    text = re.sub(r"\$\{file:[^}]+\}", f"${{file:{secret}}}", text)
    if "instances:" not in text:
        text += "instances: { some: { provider: unified_to } }\n"
    return config.parse(text, PROVIDERS, environment)


@pytest.mark.parametrize("block", blocks("yaml"), ids=ids)
def test_every_configuration_shown_is_accepted(block: Block, tmp_path: Path) -> None:
    assert _parsed(block.text, tmp_path).instances


def test_the_deployed_configuration_is_accepted_and_given_its_secrets(tmp_path: Path) -> None:
    text = _page("deploy/gateway.yaml")
    assert _parsed(text, tmp_path).server.port == 8000
    service = yaml.safe_load(_page("deploy/compose.yaml"))["services"]["gateway"]
    assert set(service["environment"]) == set(re.findall(r"\$\{(\w+)\}", text))
    assert (ROOT / "deploy" / service["build"] / "Dockerfile").is_file()


def test_the_image_is_given_what_it_copies() -> None:
    image = _page("Dockerfile")
    copied = {word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", image, re.MULTILINE) for word in line.split()}
    allowed = set(re.findall(r"^!(\S+)$", _page(".dockerignore"), re.MULTILINE))
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert image.count("--require-hashes") == 2
    assert re.search(r"^USER 10001:10001$", image, re.MULTILINE)


# --- lists that must be complete ---


def _page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _codes() -> dict[str, str]:
    """The rows of the tables of error codes, by code."""
    return {row[1]: row[0] for row in re.finditer(r"^\| `([A-Z_]+)` \|.*\|$", _page("docs/errors.md"), re.MULTILINE)}


def test_every_error_code_is_documented_and_no_other() -> None:
    assert _codes().keys() == {code.value for code in Code}


def test_retryable_is_documented_as_it_is() -> None:
    rows = _codes()
    assert all(row.endswith(("| yes |", "| no |")) for row in rows.values())
    for kind, code in CODES.items():
        assert rows[code].endswith("| yes |") == kind.retryable, code


def test_codes_that_nothing_raises_yet_are_documented_as_such() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "gateway").rglob("*.py"))
    used = {code for code in Code if f"Code.{code.name}" in source}
    assert {code for code, row in _codes().items() if NOT_YET not in row} == used


def test_every_setting_is_documented() -> None:
    told = config.json_schema(PROVIDERS)
    documented = _page("docs/configuration.md")
    names = {name for about in (told, *told["$defs"].values()) for name in about["properties"]} - {"provider"}
    assert not [name for name in sorted(names) if f"| `{name}` |" not in documented]


def test_the_port_is_documented_whole() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", _page("docs/providers/adding.md"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"\w+", row)}
    assert told == {name for name in vars(Adapter) if not name.startswith("_")}


def test_every_room_of_the_schema_is_named_in_front() -> None:
    rooms = {path.stem for path in (ROOT / "gateway/schema").glob("*.py")} - {"__init__"}
    assert set(re.findall(r"`(\w+)`", gateway.schema.__doc__ or "")) == rooms


def test_every_capability_is_documented() -> None:
    assert not [capability for capability in Capability if f"| `{capability}` |" not in _page("README.md")]


def test_everything_generated_is_shown_somewhere_and_up_to_date() -> None:
    shown = [found["name"] for page in generate.PAGES for found in generate.BLOCK.finditer(_page(page))]
    assert sorted(shown) == sorted(generate.BLOCKS)
    assert generate.stale() == []


def test_what_is_said_not_to_be_there_is_not_there() -> None:
    schema = graphql.build_schema(client_sdl(build()))
    assert schema.query_type is not None
    assert schema.subscription_type is None


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(((?:docs|benchmarks)/[^)#]+\.md)", _page("README.md")))
    assert linked == {str(page.relative_to(ROOT)) for page in PAGES if page.parent != ROOT}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def _anchors(page: Path) -> set[str]:
    """The anchors that a renderer gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_changelog_has_a_heading_for_the_schema() -> None:
    assert re.search(r"^## \[Unreleased\].*?^### Schema$", _page("CHANGELOG.md"), re.MULTILINE | re.DOTALL)


def test_the_licence_is_there_with_its_holder() -> None:
    assert "Copyright 2026 The connection-gateway authors" in _page("LICENSE")
    assert tomllib.loads(_page("pyproject.toml"))["project"]["license"] == "Apache-2.0"


# --- locks ---

WANTED = {lock.DEV: ["some>=1", "tool>=2"], "requirements.lock": ["some>=1"]}
HASH = f" --hash=sha256:{'0' * 64}"
GOOD = {lock.DEV: f"some==1.1{HASH}\ntool==2.0{HASH}\n", "requirements.lock": f"some==1.1{HASH}\n"}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("requirements.lock", f"other==1{HASH}\n", "some is not locked"),
        ("requirements.lock", f"some==0.9{HASH}\n", "some is locked at 0.9, where >=1 is asked for"),
        ("requirements.lock", "some==1.1\n", "some is locked without a hash"),
        ("requirements.lock", f"some==1.2{HASH}\n", f"some is not as in {lock.DEV}"),
        ("requirements.lock", f"some>=1{HASH}\n", "some is not locked to one version"),
        (lock.DEV, f"# from https://packages.example\n{GOOD[lock.DEV]}", "names a place to fetch from"),
        (lock.DEV, f"--index-url x\n{GOOD[lock.DEV]}", "names a place to fetch from"),
    ],
)
def test_what_is_wrong_with_a_lock_is_told(name: str, text: str, problem: str) -> None:
    assert list(lock.problems(WANTED, GOOD)) == []
    assert any(told.startswith(f"{name}: ") and problem in told for told in lock.problems(WANTED, {**GOOD, name: text}))


def test_a_missing_lock_is_told() -> None:
    assert list(lock.problems(WANTED, {lock.DEV: GOOD[lock.DEV]})) == ["requirements.lock: is missing or empty"]
