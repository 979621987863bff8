"""The command line: serve, demo, check, schema."""

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

from adapters.errors import ConfigurationError
from adapters.imitation import KNOBS_PATH, listener
from gateway import app, check, config, demo, observability, serving
from gateway.routes import GRAPHQL_PATH
from gateway.schema.providers import PROVIDERS
from gateway.schema.schema import build, client_sdl


def main(arguments: list[str] | None = None) -> int:
    """Run a command; gives the exit status: 0, 1 for a failed check, 2 for a configuration that cannot be used."""
    given = _parser().parse_args(arguments)
    observability.configure(given.log_level.upper())
    try:
        return given.command(given)
    except ConfigurationError as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway", description="One GraphQL graph of every connection.")
    levels = ["debug", "info", "warning", "error"]
    parser.add_argument("--log-level", default="info", choices=levels, help="how much is logged (default: info)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the gateway over the configured upstreams")
    serve.add_argument("--config", type=Path, default=Path("gateway.yaml"), help="the configuration (gateway.yaml)")
    serve.add_argument("--workers", type=_count, metavar="N", help="processes that answer (server.workers, or 1)")
    serve.set_defaults(command=_serve)

    demo = commands.add_parser("demo", help="serve the gateway over imitation upstreams with living data")
    demo.add_argument("--port", type=_port, default=8000, help="port of the gateway (8000); 0 takes a free one")
    demo.set_defaults(command=_demo)

    check = commands.add_parser("check", help="try a configuration against its upstreams")
    check.add_argument("--config", type=Path, default=Path("gateway.yaml"), help="the configuration (gateway.yaml)")
    check.set_defaults(command=_check)

    schema = commands.add_parser("schema", help="print the schema")
    forms = schema.add_mutually_exclusive_group()
    forms.add_argument("--federation", action="store_true", help="as a Federation 2 subgraph")
    forms.add_argument("--config", action="store_true", help="not the graph's but the configuration's, as JSON Schema")
    schema.set_defaults(command=_schema)
    return parser


def _count(text: str) -> int:
    return _number(text, 1, None)


def _port(text: str) -> int:
    return _number(text, 0, 65_535)


def _number(text: str, least: int, most: int | None) -> int:
    """A number within these bounds. Raises ArgumentTypeError."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 10  # noqa: PLR2004  far beyond any use
    if is_number and int(text) >= least and (most is None or int(text) <= most):
        return int(text)
    bounds = f"{least} or more" if most is None else f"{least} to {most}"
    raise argparse.ArgumentTypeError(f"{text!r} is not a number, {bounds}")


def _serve(given: argparse.Namespace) -> int:
    settings = config.load(given.config, PROVIDERS)
    server = settings.server
    workers = given.workers or server.workers
    # Several workers each make their own gateway; here it is only seen whether they can.
    gateway = app.create(settings) if workers == 1 else asyncio.run(_try(settings))
    try:
        listening = listener(server.host, server.port)  # where uvicorn would only log that it cannot
    except OSError as error:
        print(f"gateway: cannot listen on port {server.port}: {error.strerror}", file=sys.stderr)
        return 2
    logging.getLogger("gateway").info(
        "serving %d instances on %s:%d", len(settings.instances), *listening.getsockname()[:2]
    )
    with listening:
        if gateway is not None:
            serving.alone(gateway, listening)
        else:
            with _shared_ledger(settings) as shared:
                serving.by_workers(shared, workers, given.log_level.upper(), listening)
    return 0


@contextlib.contextmanager
def _shared_ledger(settings: config.Settings) -> Generator[config.Settings]:
    """The settings with a ledger that workers share; one that goes with them where none is configured. Raises
    ConfigurationError where there is no place for one."""
    if settings.writes.ledger is not None:
        yield settings
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="gateway-ledger-")
    except OSError:
        raise ConfigurationError("writes.ledger: workers share one, and there is no temporary folder for it") from None
    with folder:
        yield config.with_ledger(settings, Path(folder.name) / "ledger.db")


async def _try(settings: config.Settings) -> None:
    """See whether a gateway can be made of the settings. Raises ConfigurationError."""
    async with app.http_client(settings) as client:
        app.connect(settings, client, PROVIDERS)
    outcomes, _ = app.shared(settings.writes)
    outcomes.close()


def _demo(given: argparse.Namespace) -> int:
    try:
        asyncio.run(_demonstrate(given.port))
    except OSError as error:
        print(f"gateway: cannot listen on port {given.port}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


async def _demonstrate(port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with demo.running(PROVIDERS, port) as (url, instances):
        print("Imitation upstreams; POST to their knobs to make trouble:")
        for name, settings in instances.items():
            origin = "/".join(settings["base_url"].split("/")[:3])
            print(f"  {name:16} {origin}{KNOBS_PATH}")
        print(f"GraphiQL: {url}{GRAPHQL_PATH}", flush=True)
        await stop.wait()


def _check(given: argparse.Namespace) -> int:
    settings = config.load(given.config, PROVIDERS)
    found = asyncio.run(_find(settings))
    print(check.table(found))
    return 0 if all(finding.is_good for finding in found) else 1


async def _find(settings: config.Settings) -> "list[check.Finding]":
    async with app.http_client(settings) as client:
        return list(await check.findings(app.connect(settings, client, PROVIDERS)))


def _schema(given: argparse.Namespace) -> int:
    if given.config:
        print(json.dumps(config.json_schema(PROVIDERS), indent=2, ensure_ascii=False))
    else:
        print(build().as_str() if given.federation else client_sdl(build()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
