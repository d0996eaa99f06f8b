"""How much a principal may ask of the platform, and how much an address without one."""

import functools
import ipaddress
from collections.abc import Callable, Mapping, Sequence

from starlette.types import Scope

from perennial.common.auth import Principal
from perennial.gateway.limits import Limiter, Policy, Taken

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SECONDS = 60
UNKNOWN = "unknown"


class Rates:
    """Principals and strangers have buckets apart: whoever comes without a key uses up nothing of those with one."""

    def __init__(
        self,
        per_principal: int,
        per_address: int,
        limit_of: Callable[[Principal], int | None] = lambda _: None,
        probes: int = 60,
    ) -> None:
        """Requests per minute; `limit_of` says where a principal has a limit of its own, `probes` see that module."""
        self._limit_of = limit_of
        self._default = Policy("default", per_principal, SECONDS)
        self._stranger = Policy("address", per_address, SECONDS)
        self._probe = Policy("lookup", probes, SECONDS)
        self._principals = Limiter()
        self._strangers = Limiter()

    def policy_for(self, principal: Principal) -> Policy:
        """What a principal may ask for: its own limit, or that of everybody."""
        own = self._limit_of(principal)
        return Policy("key", own, SECONDS) if own else self._default

    def take(self, principal: Principal | None, address: str) -> tuple[Policy, Taken]:
        """Count one request."""
        if principal is None:
            return self._stranger, self._strangers.take(bucket_of(address), self._stranger)
        policy = self.policy_for(principal)
        return policy, self._principals.take(f"{principal.kind}:{principal.id}", policy)

    def take_probe(self, principal: Principal) -> tuple[Policy, Taken]:
        """Count one look-up by what the principal does not see."""
        return self._probe, self._principals.take(f"{principal.kind}:{principal.id}", self._probe)

    def is_spent(self, address: str) -> bool:
        """Whether an address has used up what a stranger may ask."""
        return self._strangers.take(bucket_of(address), self._stranger, cost=0).remaining == 0


def client_address(scope: Scope, headers: Mapping[bytes, bytes], trusted: Sequence[Network]) -> str:
    """The address of who asks.

    `X-Forwarded-For` is read from its end, for as long as the one who added the entry is a proxy of ours: what stands
    before that is the client's own invention.
    """
    peer = scope.get("client")
    address = str(peer[0]) if peer else UNKNOWN
    if not trusted or b"x-forwarded-for" not in headers:
        return address
    listed = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for entry in reversed(b",".join(listed).decode("latin-1").split(",")):
        found = _parse(address)
        if found is None or not any(found in network for network in trusted):
            break
        said = _parse(_without_port(entry.strip()))
        if said is None:
            break
        address = str(said)
    return address


@functools.lru_cache(maxsize=4096)
def bucket_of(address: str) -> str:
    """Whose bucket an address is: an IPv6 client commonly has a /64 to itself."""
    found = _parse(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found) if found else UNKNOWN


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _parse(address: str) -> Address | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found
