"""The command line as a user types it: what it prints, with which status it ends, and that it ends when told to."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator

from adapters.imitation import Knobs
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet
from tests.processes import ENDS_WITHIN_S, ROOT, Ended, answers, free_port, gateway, running

SECRET = "s3cr3t-v4lue"


async def stopped(process: asyncio.subprocess.Process, number: signal.Signals) -> Ended:
    """How a command ends when it is told to."""
    process.send_signal(number)
    async with asyncio.timeout(ENDS_WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def configuration(upstreams: Mapping[str, Any], path: Path, **sections: Any) -> str:
    """A file over the imitations, with the secrets by reference."""
    instances = {name: server.settings(url) for name, (server, url) in upstreams.items()}
    instances[UNIFIED_TO]["auth"] = {"token": "${UNIFIED_TOKEN}"}
    path.write_text(yaml.safe_dump({"instances": instances, **sections}, sort_keys=False), encoding="utf-8")
    return str(path)


def environment(upstreams: Mapping[str, Any]) -> dict[str, str]:
    server, url = upstreams[UNIFIED_TO]
    return {"UNIFIED_TOKEN": server.settings(url)["auth"]["token"]}


async def test_schema_prints_the_graph_as_it_is_reviewed():
    ended = await gateway("schema")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == (ROOT / "schema.graphql").read_text(encoding="utf-8")


async def test_schema_prints_a_federation_subgraph():
    ended = await gateway("schema", "--federation")
    assert ended.status == 0
    assert 'schema @link(url: "https://specs.apollo.dev/federation/v2' in ended.out
    assert 'type Connection implements Node @key(fields: "id", ' in ended.out
    assert '@key(fields: "instance { name } nativeId", ' in ended.out


async def test_schema_prints_the_json_schema_of_the_configuration():
    ended = await gateway("schema", "--config")
    assert ended.status == 0
    Draft202012Validator.check_schema(json.loads(ended.out))


async def test_check_prints_what_it_found_of_each_instance(fleet: Fleet, upstreams: Mapping[str, Any], tmp_path: Path):
    config = configuration(upstreams, tmp_path / "gateway.yaml")
    ended = await gateway("check", "--config", config, environment=environment(upstreams))
    header, *rows = ended.out.splitlines()
    assert (ended.status, header.split()[:5]) == (0, ["instance", "provider", "reached", "authenticated", "rows"])
    assert [row.split()[0] for row in rows] == [AIRBYTE, WORKIVA, UNIFIED_TO]
    assert all(" yes " in row for row in rows)
    counts = [row.partition(" yes  ")[2].split()[1:3] for row in rows]
    assert counts == [["40", "0"], ["60", "0"], ["40", "0"]], "of one page of the first list"
    assert [row.endswith("and more") for row in rows] == [True, False, True]
    for instance, path in (AIRBYTE, "/connections/list"), (WORKIVA, "/connections"), (UNIFIED_TO, "/connection"):
        assert fleet.calls(instance, path) == 1


async def test_check_fails_where_an_instance_does_and_says_what_is_wrong(
    fleet: Fleet, upstreams: Mapping[str, Any], tmp_path: Path
):
    fleet.servers[WORKIVA].knobs = Knobs(status=500)
    config = configuration(upstreams, tmp_path / "gateway.yaml")
    wrong = {"UNIFIED_TOKEN": SECRET}
    ended = await gateway("check", "--config", config, environment=wrong)
    rows = {row.split()[0]: row for row in ended.out.splitlines()}
    assert ended.status == 1
    assert "status 500" in rows[WORKIVA]
    assert "credentials" in rows[UNIFIED_TO]
    assert " NO " in rows[UNIFIED_TO]
    assert " 40 " in rows[AIRBYTE]
    assert SECRET not in ended.out + ended.err


async def test_check_says_where_nobody_answers(tmp_path: Path):
    base_url = f"http://127.0.0.1:{free_port()}/api"
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump({"instances": {"a": {"provider": "airbyte", "base_url": base_url}}}))
    ended = await gateway("check", "--config", str(path))
    assert ended.status == 1
    assert "cannot be reached" in ended.out
    assert base_url not in ended.out + ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_demo_prints_its_address_answers_there_and_ends_when_told(number: signal.Signals):
    async with running("demo", "--port", "0") as process:
        assert process.stdout is not None
        lines: list[str] = []
        async with asyncio.timeout(ENDS_WITHIN_S):
            while not lines or not lines[-1].startswith("GraphiQL: "):
                line = (await process.stdout.readline()).decode()
                assert line, "it ended"
                lines.append(line)
        url = lines[-1].removeprefix("GraphiQL: ").strip().removesuffix("/graphql")
        query = "{ connections(first: 100) { nodes { provider } } }"
        async with httpx.AsyncClient() as client:
            response = await client.post(f"{url}/graphql", json={"query": query})
            providers = {node["provider"] for node in response.json()["data"]["connections"]["nodes"]}
            assert providers == {"AIRBYTE", "WORKIVA", "UNIFIED_TO"}
            knobs = [line.split()[-1] for line in lines if "/_knobs" in line]
            assert len(knobs) == 3
            assert (await client.post(knobs[0], json={"status": 500})).json()["status"] == 500
        ended = await stopped(process, number)
    assert ended.status == 0
    assert "Traceback" not in ended.err


async def test_demo_says_that_its_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        ended = await gateway("demo", "--port", port)
    assert ended.status == 2
    assert f"port {port}" in ended.err
    assert "Traceback" not in ended.err


async def test_serve_answers_over_the_configured_upstreams_and_ends_cleanly(
    fleet: Fleet, upstreams: Mapping[str, Any], tmp_path: Path
):
    port = free_port()
    config = configuration(upstreams, tmp_path / "gateway.yaml", server={"port": port})
    async with running("serve", "--config", config, environment=environment(upstreams)) as process:
        response = await answers(f"http://127.0.0.1:{port}")
        assert [row["name"] for row in response.json()["data"]["instances"]] == list(fleet.servers)
        async with httpx.AsyncClient() as client:
            page = await client.post(
                f"http://127.0.0.1:{port}/graphql", json={"query": "{ connections(first: 9) { nodes { id } } }"}
            )
        assert len(page.json()["data"]["connections"]["nodes"]) == 9
        ended = await stopped(process, signal.SIGTERM)
    assert ended.status == 0
    assert "Traceback" not in ended.err
    said = [json.loads(line)["message"] for line in ended.err.splitlines()]  # every line of the log is a JSON object
    assert said.count("request") == 2, "those of the last moment too"


class Log:
    """The log of a running command, read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        self._lines = process.stderr

    async def until(self, message: str) -> dict[str, Any]:
        """The next line that says this."""
        async with asyncio.timeout(ENDS_WITHIN_S):
            while line := await self._lines.readline():
                if not line.startswith(b"{"):
                    pytest.fail(f"it said {(line + await self._lines.read(65_536)).decode()}")
                if message in (said := json.loads(line))["message"]:
                    return said
        raise AssertionError(f"it ended before it said {message!r}")


@contextlib.asynccontextmanager
async def by_workers(
    upstreams: Mapping[str, Any], path: Path, *arguments: str, folder: Path | None = None, **server: Any
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, Log, str]]:
    """`gateway serve` by workers, its log, and its URL; ``folder`` is for what it leaves where it is killed."""
    port = free_port()
    config = configuration(upstreams, path / "gateway.yaml", server={"port": port, **server})
    told = {**environment(upstreams), **({} if folder is None else {"TMPDIR": str(folder)})}
    async with running("serve", "--config", config, *arguments, environment=told) as process:
        yield process, Log(process), f"http://127.0.0.1:{port}"


async def answered_by(url: str, log: Log) -> int:
    """The process that answers a request."""
    assert (await answers(url)).status_code == 200
    return (await log.until("request"))["pid"]


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"  # nobody has waited for it yet


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(ENDS_WITHIN_S):
        while not is_gone(pid):  # noqa: ASYNC110  it is not ours to wait for
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_workers_answer_and_end_with_the_command(
    number: signal.Signals, upstreams: Mapping[str, Any], tmp_path: Path
):
    async with by_workers(upstreams, tmp_path, "--workers", "2") as (process, log, url):
        worker = await answered_by(url, log)
        assert worker != process.pid
        assert (await answers(url)).status_code == 200
        ended = await stopped(process, number)
        said = [json.loads(line)["message"] for line in ended.err.splitlines()]
        assert said.count("request") == 1, "what was told in the last moment is written"
        assert ended.status == 0
        assert "Traceback" not in ended.err
        assert is_gone(worker)
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(url)


@pytest.mark.parametrize("after_s", [0, 0.1, 0.3])
async def test_an_interrupt_from_the_terminal_ends_workers_that_have_hardly_begun(
    after_s: float, upstreams: Mapping[str, Any], tmp_path: Path
):
    async with by_workers(upstreams, tmp_path, "--workers", "2") as (process, log, _):
        await log.until("Started parent process")
        await asyncio.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)  # all processes of a terminal are told
        async with asyncio.timeout(ENDS_WITHIN_S):
            _, err = await process.communicate()
        assert (process.returncode, [line for line in err.splitlines() if not line.startswith(b"{")]) == (0, [])


async def until_refused(url: str) -> None:
    """Wait until nobody listens any more; it takes a moment."""
    async with asyncio.timeout(ENDS_WITHIN_S):
        while True:
            try:
                async with httpx.AsyncClient(timeout=ENDS_WITHIN_S) as client:
                    await client.get(f"{url}/healthz")
            except httpx.ConnectError:
                return
            except httpx.TransportError:  # it was taken, and closed at that very moment
                pass
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
async def test_who_comes_while_the_last_requests_are_answered_is_refused_at_once(
    workers: int, fleet: Fleet, upstreams: Mapping[str, Any], tmp_path: Path
):
    async with by_workers(upstreams, tmp_path, workers=workers) as (process, _, url):
        await answers(url)
        fleet.servers[AIRBYTE].knobs = Knobs(delay_s=4.0)
        fleet.forget()
        query = {"query": "{ connections(first: 9, maxAge: 0) { nodes { id } } }"}
        async with httpx.AsyncClient(timeout=10) as client:
            under_way = asyncio.create_task(client.post(f"{url}/graphql", json=query))
            async with asyncio.timeout(ENDS_WITHIN_S):
                while not fleet.servers[AIRBYTE].journal.asked:  # noqa: ASYNC110  it is asked by another process
                    await asyncio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            await until_refused(url)
            for _ in range(5):
                with pytest.raises(httpx.ConnectError):
                    await httpx.AsyncClient().get(f"{url}/healthz")
            assert not under_way.done(), "nobody waited for the last answer"
            assert len((await under_way).json()["data"]["connections"]["nodes"]) == 9
        async with asyncio.timeout(ENDS_WITHIN_S):
            _, err = await process.communicate()
        assert process.returncode == 0
        assert all(json.loads(line)["level"] in ("INFO", "WARNING") for line in err.decode().splitlines())


async def test_a_worker_that_dies_is_replaced(upstreams: Mapping[str, Any], tmp_path: Path):
    async with by_workers(upstreams, tmp_path, workers=2) as (process, log, url):
        died = await answered_by(url, log)
        os.kill(died, signal.SIGKILL)
        assert str(died) in (await log.until("died"))["message"]
        assert await answered_by(url, log) != died
        assert (await stopped(process, signal.SIGTERM)).status == 0


async def test_workers_end_where_the_command_could_not_tell_them_to(upstreams: Mapping[str, Any], tmp_path: Path):
    async with by_workers(upstreams, tmp_path, "--workers", "2", folder=tmp_path) as (process, log, url):
        worker = await answered_by(url, log)
        process.kill()
        await until_gone(worker)


async def test_a_configuration_that_no_worker_could_use_is_told_in_a_line(tmp_path: Path):
    path = tmp_path / "gateway.yaml"
    path.write_text(f"instances: {{ a: {{ provider: airbyte, base_url: '{SECRET}' }} }}", encoding="utf-8")
    ended = await gateway("serve", "--config", str(path), "--workers", "2")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert ended.err.startswith("gateway: instances.a: base_url:")
    path.write_text(
        "instances: { a: { provider: airbyte, base_url: 'http://127.0.0.1' } }\nwrites: { ledger: /nonexistent/l.db }",
        encoding="utf-8",
    )
    ended = await gateway("serve", "--config", str(path), "--workers", "2")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert ended.err.startswith("gateway: writes.ledger:")
    none = await gateway("serve", "--config", str(path), "--workers", "0")
    assert none.status == 2
    assert "--workers" in none.err


async def test_serve_says_that_its_port_is_taken(upstreams: Mapping[str, Any], tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = configuration(upstreams, tmp_path / "gateway.yaml", server={"port": port})
        ended = await gateway("serve", "--config", config, environment=environment(upstreams))
    assert ended.status == 2
    assert f"port {port}" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"instances: {{}}\nunknown: {SECRET}", "unknown:"),
        (
            "instances: { a: { provider: unified_to, auth: { token: '${NOT_SET_ANYWHERE}' } } }",
            "instances.a.auth.token:",
        ),
        (f"instances: {{ a: {{ provider: airbyte, base_url: '{SECRET}' }} }}", "instances.a: base_url:"),
        (f"instances: [ {SECRET}", "line 1:"),
    ],
    ids=range(4),
)
async def test_a_configuration_that_cannot_be_used_is_told_in_a_line(command: str, text: str, key: str, tmp_path: Path):
    path = tmp_path / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    ended = await gateway(command, "--config", str(path))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"gateway: {key}")
    assert len(ended.err.splitlines()) == 1
    assert SECRET not in ended.err


async def test_a_missing_file_and_an_unknown_command_are_told():
    missing = await gateway("serve", "--config", "no-such-file.yaml")
    assert (missing.status, missing.err) == (2, "gateway: no-such-file.yaml: cannot be read\n")
    unknown = await gateway("dance")
    assert unknown.status == 2
    assert "usage: gateway" in unknown.err
