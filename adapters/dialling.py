"""Where upstreams are, and how a socket to one is opened: names, TLS, and the first address that answers."""

import asyncio
import ipaddress
import itertools
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import httpx

P = TypeVar("P", bound=asyncio.BaseProtocol)

_NEXT_AFTER_S = 0.25
"""How long one address of a name is tried alone (RFC 8305 asks for 0.1 to 2 s)."""
_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535


class Origin(NamedTuple):
    """A server, as RFC 6454 tells them apart. ``host`` is ASCII, an IPv6 address without its brackets; ``authority``
    is what the Host header says."""

    scheme: str
    host: str
    port: int
    authority: bytes

    @classmethod
    def of(cls, url: httpx.URL) -> "Origin":
        """Raises httpx.UnsupportedProtocol for anything but http and https with a host and a port that there is."""
        if url.scheme not in _PORTS or not url.raw_host:
            raise httpx.UnsupportedProtocol("only http and https are spoken")
        port = _PORTS[url.scheme] if url.port is None else url.port
        if not 0 < port <= _LAST_PORT:
            raise httpx.UnsupportedProtocol("there is no such port")
        return cls(url.scheme, url.raw_host.decode("ascii"), port, url.netloc)


class Unopened(httpx.ConnectError):
    """No socket could be opened; ``why`` says it in our words, where that is known."""

    def __init__(self, raised: Exception) -> None:
        super().__init__("no socket could be opened")
        self.why = next((why for kind, why in _REASONS.items() if isinstance(raised, kind)), "")


_REASONS: Mapping[type[Exception], str] = {
    socket.gaierror: "its name could not be looked up",
    UnicodeError: "its name could not be looked up",
    ssl.SSLCertVerificationError: "its certificate is not trusted",
    ssl.SSLError: "TLS could not be agreed on",
    ConnectionRefusedError: "nothing listens there",
}


def trust(ca_file: str | None = None) -> ssl.SSLContext:
    """Certificates are verified against the authorities that httpx trusts, and those in ``ca_file``, whatever the
    environment says. Raises OSError, of which ssl.SSLError is one, for a file that holds none."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(protocol: Callable[[], P], origin: Origin, tls: ssl.SSLContext | None) -> P:
    """A protocol over an open socket to ``origin``. Raises Unopened."""
    loop = asyncio.get_running_loop()
    name = None if tls is None else origin.host

    async def opened(address: str) -> tuple[asyncio.Transport, P]:
        return await loop.create_connection(protocol, address, origin.port, ssl=tls, server_hostname=name)

    try:
        addresses = await _addresses(loop, origin)
        _, made = await (opened(addresses[0]) if len(addresses) == 1 else first(opened, addresses))
    except (OSError, UnicodeError) as error:
        raise Unopened(error) from None
    return made


async def _addresses(loop: asyncio.AbstractEventLoop, origin: Origin) -> Sequence[str]:
    """The addresses of a host, of both families by turns, in the order its resolver gives them."""
    try:
        ipaddress.ip_address(origin.host)
    except ValueError:
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    else:
        return (origin.host,)
    by_family: dict[int, list[str]] = {}
    for family, _, _, _, address in found:
        by_family.setdefault(family, []).append(str(address[0]))
    turns = itertools.zip_longest(*by_family.values())
    return tuple(dict.fromkeys(address for turn in turns for address in turn if address is not None))


Opened = tuple[asyncio.Transport, P]


async def first(opened: Callable[[str], Coroutine[Any, Any, Opened[P]]], addresses: Sequence[str]) -> Opened[P]:
    """The first that opens (RFC 8305): each is tried when the one before it has failed, or has had its time alone."""
    waiting = list(addresses)
    running: set[asyncio.Task[Opened[P]]] = set()
    failure: BaseException | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(opened(waiting.pop(0))))
            alone_s = _NEXT_AFTER_S if waiting else None
            done, _ = await asyncio.wait(running, timeout=alone_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                failure = task.exception()
                if failure is None:
                    running |= done - {task}
                    return task.result()
        raise failure or OSError("no address")
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_closed)


def _closed(late: "asyncio.Task[tuple[asyncio.Transport, Any]]") -> None:
    """Close what opened too late to be used."""
    if not late.cancelled() and late.exception() is None:
        late.result()[0].abort()
