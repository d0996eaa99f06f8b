"""The web origins that may send to a source: `https://shop.example`, `https://*.shop.example`."""

import re
from collections.abc import Iterable

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<any>\*\.)?"
    r"(?P<host>[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*|\[[0-9a-f:.]{2,45}\])"
    r"(:(?P<port>[0-9]{1,5}))?"
)
_LABELS = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST = 300
_MAX_PORT = 65_535


def normalised(origin: str) -> str:
    """An origin as browsers send it: lower case, no default port. Raises ValueError for what is none."""
    found = _ORIGIN.fullmatch(origin.lower()) if len(origin) <= _LONGEST else None
    if found is None:
        msg = "must be an origin like https://shop.example or https://*.shop.example, without a path"
        raise ValueError(msg)
    if found["any"] and ("." not in found["host"] or found["host"].replace(".", "").isdigit()):
        msg = "the wildcard must stand for the subdomains of a domain of your own"
        raise ValueError(msg)
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[found["scheme"]]
    if not 0 < port <= _MAX_PORT:
        msg = "has a port that does not exist"
        raise ValueError(msg)
    shown = "" if port == _DEFAULT_PORTS[found["scheme"]] else f":{port}"
    return f"{found['scheme']}://{found['any'] or ''}{found['host']}{shown}"


class Origins:
    """An allow-list. An empty one is false, and says nothing of anybody."""

    def __init__(self, listed: Iterable[str]) -> None:
        every = frozenset(listed)
        self._exact = frozenset(origin for origin in every if "*" not in origin)
        parted = (origin.partition("*") for origin in every - self._exact)
        self._wild = tuple((scheme, domain) for scheme, _, domain in parted)

    def __bool__(self) -> bool:
        return bool(self._exact or self._wild)

    def allows(self, origin: str) -> bool:
        """Whether a request with this `Origin` may come in."""
        if origin in self._exact:
            return True
        return any(
            origin.startswith(scheme)
            and origin.endswith(domain)
            and _LABELS.fullmatch(origin, len(scheme), len(origin) - len(domain)) is not None
            for scheme, domain in self._wild
        )
