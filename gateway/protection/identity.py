"""Who is asking: a name for whoever sent one of the configured keys."""

import hashlib
import hmac
from collections.abc import Collection, Mapping

from adapters.secret import Secret
from gateway.deeds import NOBODY, Caller


class Keys:
    """The API keys that are let in. Without any, everybody is, under no name. Those that are ``read_only`` may change
    nothing."""

    def __init__(self, keys: Mapping[str, Secret], read_only: Collection[str] = ()) -> None:
        self._callers = {name: Caller(name, name not in read_only) for name in keys}
        self._digests = {name: _digest(key.reveal()) for name, key in keys.items()}

    def admit(self, name: str | None) -> bool:
        """Whether a request may be answered that came with the key of this name, or with nobody's."""
        return name is not None or not self._digests

    def caller(self, name: str | None) -> Caller:
        """Who asks with the key of this name, or with none."""
        return NOBODY if name is None else self._callers[name]

    def name(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Whose key came in ``Authorization: Bearer`` or ``X-API-Key``; None where it is nobody's.

        ``headers`` have names in lower case.
        """
        if not self._digests:
            return None
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        sent = token if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        digest = _digest(sent.decode("latin-1"))
        # All are compared, in constant time: how long it takes tells nothing of how close a guess was.
        matches = [name for name, known in self._digests.items() if hmac.compare_digest(known, digest)]
        return matches[0] if matches else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
