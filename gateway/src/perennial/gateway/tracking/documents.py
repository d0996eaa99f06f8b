"""What SDKs read before they send: `settings` of analytics-next and mobile, `sourceConfig` of rudder-js."""

import re
from typing import Any

import msgspec
from starlette.types import Receive, Scope

from perennial.gateway.cors import Headers
from perennial.gateway.sources.known import KnownSource
from perennial.gateway.tracking import keys
from perennial.gateway.tracking.refusal import Refusal

_HOST = re.compile(rb"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_CACHED: Headers = [(b"cache-control", b"public, max-age=120")]


def json_answer(content: bytes, headers: Headers | None = None) -> tuple[int, Headers, bytes]:
    """Exactly 200, with a JSON body."""
    sent = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    return 200, [*sent, *(headers or [])], content


async def settings(scope: Scope, _: Receive) -> tuple[int, Headers, bytes]:
    """`GET /v1/projects/{key}/settings`: one destination, which is us, and no counters to third parties."""
    edge = scope["app"].state.edge
    key = scope["path_params"]["key"]
    source = edge.access.sources.get(key)
    if source is None or not source.enabled:
        raise Refusal(404, "unknown_write_key", "the write key in the path is unknown")
    protocol, host = _public_address(scope, edge.settings.public_url)
    return json_answer(msgspec.json.encode(_settings(key, protocol, host)), [*_CACHED, (b"vary", b"Host")])


async def source_config(scope: Scope, _: Receive) -> tuple[int, Headers, bytes]:
    """`GET /sourceConfig`: the source, no destinations. `HEAD` is an ad-blocker probe and needs no key."""
    if scope["method"] == "HEAD":
        return json_answer(b"")
    key = keys.basic(dict(scope["headers"]).get(b"authorization", b"")) or keys.from_query(scope["query_string"])
    source = scope["app"].state.edge.access.sources.get(key or "")
    if source is None:
        raise Refusal(401, "invalid_write_key", "writeKey is missing or unknown")
    return json_answer(msgspec.json.encode(_source_config(key or "", source)), [*_CACHED, (b"vary", b"Authorization")])


def _public_address(scope: Scope, public_url: str | None) -> tuple[str, str]:
    if public_url:
        protocol, _, host = public_url.rstrip("/").partition("://")
        return protocol, host
    host = dict(scope["headers"]).get(b"host", b"")
    if not _HOST.fullmatch(host):
        raise Refusal(400, "invalid_host", "Host is not a host name")
    return scope["scheme"], host.decode()


def _settings(key: str, protocol: str, host: str) -> dict[str, Any]:
    everything = {"__default": {"enabled": True, "integrations": {}}}
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": key,
                "apiHost": f"{host}/v1",
                "protocol": protocol,
                "bundlingStatus": "bundled",
                "unbundledIntegrations": [],
                "addBundledMetadata": True,
                "maybeBundledConfigIds": {},
            }
        },
        "plan": {
            "track": everything,
            "identify": {"__default": {"enabled": True}},
            "group": {"__default": {"enabled": True}},
        },
        "metrics": {"sampleRate": 0},
        "edgeFunction": {},
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "remotePlugins": [],
        "legacyVideoPluginsEnabled": False,
    }


def _source_config(key: str, source: KnownSource) -> dict[str, Any]:
    off = {"enabled": False}
    return {
        "source": {
            "id": source.id,
            "name": source.name,
            "writeKey": key,
            "enabled": source.enabled,
            "workspaceId": "perennial",
            "config": {"statsCollection": {"errors": off, "metrics": off}},
            "destinations": [],
        }
    }
