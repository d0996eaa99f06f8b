"""What the edge itself may answer, whichever service is behind it, and the headers that it adds."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
PROBLEM = {"$ref": "#/components/schemas/ProblemBody"}
_STRING, _SECONDS = {"type": "string"}, {"type": "integer", "minimum": 0}

HEADERS: dict[str, dict[str, Any]] = {
    "RateLimit": {"description": 'What is left: `"name";r=<requests>;t=<seconds>`.', "schema": _STRING},
    "RateLimit-Policy": {"description": 'The limit: `"name";q=<requests>;w=<seconds>`.', "schema": _STRING},
    "Retry-After": {"description": "Seconds to wait.", "schema": _SECONDS},
    "WWW-Authenticate": {"description": "What is wrong with the credentials.", "schema": _STRING},
    "X-Request-Id": {"description": "By which the logs know this request.", "schema": _STRING},
    "Deprecation": {"description": "Since when: `@<unix seconds>` (RFC 9745).", "schema": _STRING},
    "Sunset": {"description": "When it will be gone (RFC 8594).", "schema": _STRING},
}
# By status: what it means, and the headers that it bears.
_SAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "400": ("The request is malformed: not JSON, a cursor of another list, a header that says nothing.", ()),
    "401": ("No principal, or one that is unknown, expired or revoked.", ("WWW-Authenticate",)),
    "403": ("The principal may not do this: a scope is missing, or the wrong kind of token.", ()),
    "404": ("There is nothing of this name.", ()),
    "408": ("The body did not arrive in time.", ()),
    "409": ("The state of things forbids it, or the first request with this Idempotency-Key is still running.", ()),
    "412": ("Somebody has changed it meanwhile: the ETag is another one.", ()),
    "413": ("The body is too large.", ()),
    "414": ("The path and query are too long.", ()),
    "415": ("The body has another Content-Type or Content-Encoding than the route takes.", ()),
    "422": ("A field is wrong; `errors` says which, and why.", ()),
    "428": ("If-Match is missing.", ()),
    "429": (
        "Too many requests; `violated-policies` says which limit.",
        ("Retry-After", "RateLimit", "RateLimit-Policy"),
    ),
    "431": ("The headers are too many or too large.", ()),
    "502": ("The service behind the gateway answered nonsense.", ("Retry-After",)),
    "503": ("A part of the platform is not reachable.", ("Retry-After",)),
    "504": ("The service behind the gateway did not answer in time.", ("Retry-After",)),
}
_PHRASES = frozenset(status.phrase for status in HTTPStatus)
Statuses = tuple[str, ...]
ALWAYS: Statuses = ("414", "431")
PRINCIPALS = ("401", "403")
COUNTED = ("429", "503")
BODIES = ("408", "413")
BEHIND = ("502", "504")


def problem_response(description: str, *headers: str) -> dict[str, Any]:
    """An error as a problem."""
    said: dict[str, Any] = {"description": description, "content": {MEDIA_TYPE: {"schema": PROBLEM}}}
    return {**said, "headers": refer(*headers, "X-Request-Id")} if headers else said


def components() -> dict[str, dict[str, Any]]:
    """The shared headers, and a response for each status that means the same everywhere."""
    responses = {f"Problem{status}": problem_response(says, *bears) for status, (says, bears) in _SAYS.items()}
    return {"headers": dict(HEADERS), "responses": responses}


def refer(*names: str) -> dict[str, Any]:
    """Headers by name."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def shared(status: str) -> dict[str, str]:
    """The response of a status that means the same everywhere."""
    return {"$ref": f"#/components/responses/Problem{status}"}


def completed(responses: Mapping[str, Any], statuses: Statuses, *, counted: bool) -> dict[str, Any]:
    """An operation's responses, with those of the edge; a problem like any other is said once for all."""
    found: dict[str, Any] = {
        status: shared(status) if _is_plain(status, said) else said for status, said in responses.items()
    }
    found |= {status: shared(status) for status in statuses if status not in found}
    added = refer("X-Request-Id", *(("RateLimit", "RateLimit-Policy") if counted else ()))
    for status in [status for status in found if status < "400"]:
        found[status] = {**found[status], "headers": {**found[status].get("headers", {}), **added}}
    return dict(sorted(found.items()))


def _is_plain(status: str, said: Mapping[str, Any]) -> bool:
    """Whether the service says no more of a problem than what its status is called."""
    return status in _SAYS and MEDIA_TYPE in said.get("content", {}) and said["description"] in _PHRASES
