"""Who is asking: a name for whoever sent one of the configured keys."""

import hashlib
import hmac
from collections.abc import Mapping

from adapters.secret import Secret


class Keys:
    """The API keys that are let in. Without any, everybody is, under no name."""

    def __init__(self, keys: Mapping[str, Secret]) -> None:
        self._digests = {name: _digest(key.reveal()) for name, key in keys.items()}

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers may be answered."""
        return not self._digests or self.name(headers) is not None

    def name(self, headers: Mapping[str, str]) -> str | None:
        """Whose key came in ``Authorization: Bearer`` or ``X-API-Key``; None where it is nobody's."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        sent = _digest(token if scheme.lower() == "bearer" else headers.get("x-api-key", ""))
        # All are compared, in constant time: how long it takes tells nothing of how close a guess was.
        matches = [name for name, digest in self._digests.items() if hmac.compare_digest(digest, sent)]
        return matches[0] if matches else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
