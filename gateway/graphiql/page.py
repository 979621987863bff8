"""The HTML of the GraphiQL page, the content security policy it needs, and the app that serves its files.

The three go together: every address in the page is one of ours, and the policy says so to the browser.
"""

import html
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

ASSETS_PATH: Final = "/graphiql/static"
"""Where the application mounts `static_files()`."""

STATIC: Final = Path(__file__).parent / "static"


class Example(NamedTuple):
    """A query the page offers; comment lines that open it are shown under its title."""

    title: str
    query: str
    variables: str = ""  # JSON, as typed into the editor


class Manifest(msgspec.Struct, frozen=True):
    """Which file of `static/` plays which part: the build writes it, since only the build knows their hashes."""

    script: str
    style: str
    icon: str
    font: str


MANIFEST: Final = msgspec.json.decode((STATIC / "manifest.json").read_bytes(), type=Manifest)

# The script waits for the editor's font, which is preloaded to travel beside it.
PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta property="csp-nonce" nonce="{nonce}">
<title>Connections — GraphiQL</title>
<link rel="icon" type="image/svg+xml" href="{icon}">
<link rel="stylesheet" href="{style}">
<link rel="preload" as="font" type="font/woff2" href="{font}" crossorigin>
<script type="application/json" id="graphiql-config">{config}</script>
<script type="module" src="{script}"></script>
</head>
<body>
<div id="graphiql"><p class="graphiql-loading">Loading GraphiQL…</p></div>
<noscript>GraphiQL needs JavaScript. Any GraphQL client can use the endpoint: <code>{endpoint}</code></noscript>
</body>
</html>
"""


def render(endpoint: str, examples: Sequence[Example], nonce: str, *, needs_key: bool = False) -> str:
    """The page, talking to `endpoint` on this origin. Serve it with `content_security_policy` of the same nonce.
    Where the endpoint ``needs_key``, the page has a place for it at hand.

    The nonce is new for every response, so the page must not be cached.
    """
    return PAGE.format(
        nonce=html.escape(nonce),
        endpoint=html.escape(endpoint),
        config=_config(endpoint, examples, needs_key=needs_key),
        font=_address(MANIFEST.font),
        script=_address(MANIFEST.script),
        style=_address(MANIFEST.style),
        icon=_address(MANIFEST.icon),
    )


def content_security_policy(nonce: str) -> str:
    """The value of the `Content-Security-Policy` header: our own files and endpoint, nothing else."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        # Monaco makes style elements for its theme and its measurements; the page's script gives them the nonce.
        "style-src-elem": f"'self' 'nonce-{nonce}'",
        # Monaco writes each line of text as HTML with its position in a style attribute. An attribute has no nonce.
        "style-src-attr": "'unsafe-inline'",
        "worker-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",  # the wavy underline of an error is a data: image
        "font-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())


def static_files() -> StaticFiles:
    """The app that serves the page's files, to be mounted at `ASSETS_PATH`."""
    return _Assets(directory=STATIC)


class _Assets(StaticFiles):
    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = _cache_control(Path(full_path).name)
        response.headers["X-Content-Type-Options"] = "nosniff"
        # A worker obeys the policy of its own response, not the page's: ours need nothing from anywhere.
        response.headers["Content-Security-Policy"] = "default-src 'none'"
        if media_type := MEDIA_TYPES.get(Path(full_path).suffix):
            response.headers["Content-Type"] = media_type
        return response


MEDIA_TYPES: Final = {
    # Python takes these from the system, and a slim container image has none of them.
    ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
}


def _cache_control(name: str) -> str:
    """Forever for a name with the hash of its content in it, an hour for the others (the licenses)."""
    hashed = re.search(r"-[0-9A-Z]{8}\.\w+$", name)
    return "public, max-age=31536000, immutable" if hashed else "public, max-age=3600"


def _config(endpoint: str, examples: Sequence[Example], *, needs_key: bool) -> str:
    """JSON that is safe inside a script element: with no `<` in it, nothing can end the element early."""
    config = {
        "endpoint": endpoint,
        "needsKey": needs_key,
        "examples": [example._asdict() for example in examples],
    }
    return json.dumps(config).replace("<", r"\u003c")


def _address(name: str) -> str:
    return f"{ASSETS_PATH}/{name}"
