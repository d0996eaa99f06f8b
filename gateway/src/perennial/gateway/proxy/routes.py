"""Which service answers a path: a tree of the templates in the committed OpenAPI snapshots."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})
# A message id is whatever a client made up, and what was accepted can be asked for.
ANY_TEXT = frozenset({"/v1/events/{message_id}", "/v1/events/{message_id}/reveal"})


@dataclass(frozen=True)
class Route:
    """One documented path: its template, and the service behind each method."""

    template: str
    services: Mapping[str, str]


@dataclass
class _Node:
    literals: "dict[str, _Node]" = field(default_factory=dict)
    parameter: "_Node | None" = None
    template: str = ""
    services: dict[str, str] = field(default_factory=dict)


class RouteTable:
    """Finds the route of a path; a literal segment wins over a parameter."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Read each service's OpenAPI document. Raises ValueError when two services claim one operation."""
        self._root = _Node()
        for service, document in documents.items():
            for template, operations in document.get("paths", {}).items():
                self._add(service, template, operations)

    def match(self, raw_path: bytes) -> Route | None:
        """The route of a path as it was sent, still percent-encoded; None for unknown ones and for path tricks."""
        segments = _segments(raw_path)
        node = _find(self._root, segments, 0) if segments is not None else None
        if node is None or (node.template not in ANY_TEXT and not all(map(_is_plain, segments or ()))):
            return None
        return Route(node.template, node.services)

    def routes(self) -> list[Route]:
        """Every route."""
        return [Route(node.template, node.services) for node in _walk(self._root) if node.services]

    def _add(self, service: str, template: str, operations: Mapping[str, Any]) -> None:
        node = self._root
        for segment in template.strip("/").split("/"):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.template = node.template or template
        for method in METHODS & set(operations):
            other = node.services.setdefault(method.upper(), service)
            if other != service:
                msg = f"{method.upper()} {template} is claimed by {other} and by {service}"
                raise ValueError(msg)


def allow_of(methods: set[str]) -> str:
    """The value of `Allow`: whatever can be read can be asked for by HEAD, and everything by OPTIONS."""
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


def is_customers_own(path: str) -> bool:
    """Whether a path is of the signed-in customer."""
    return path == "/v1/me" or path.startswith("/v1/me/")


def _segments(raw_path: bytes) -> list[str] | None:
    """The decoded segments; None where one is empty, or one dot or two."""
    found: list[str] = []
    for raw in raw_path.removeprefix(b"/").split(b"/"):
        try:
            segment = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            return None
        if segment in ("", ".", ".."):
            return None
        found.append(segment)
    return found


def _is_plain(segment: str) -> bool:
    """Whether a segment hides no slash and no control character."""
    return "/" not in segment and "\\" not in segment and segment.isprintable()


def _find(node: _Node, segments: list[str], at: int) -> _Node | None:
    if at == len(segments):
        return node if node.services else None
    literal = node.literals.get(segments[at])
    found = _find(literal, segments, at + 1) if literal else None
    if found is None and node.parameter is not None:
        found = _find(node.parameter, segments, at + 1)
    return found


def _walk(node: _Node) -> Iterator[_Node]:
    yield node
    for child in node.literals.values():
        yield from _walk(child)
    if node.parameter is not None:
        yield from _walk(node.parameter)
