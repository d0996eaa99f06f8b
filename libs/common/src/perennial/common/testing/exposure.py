"""Every way of reading a service, walked: for tests that nothing leaves by any of them."""

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import httpx
from fastapi import FastAPI

# Somebody whose every sensitive value is like no other text, to seed a service with.
PHONE = "+8613987654321"
TRAITS: dict[str, Any] = {
    "email": "zoe.quillfeather@post.example",
    "phone": PHONE,
    "last_name": "Quillfeather",
    "address": {"street": "17 Larkspur Crescent", "city": "Rome", "phone": PHONE},
    "birthday": "1987-06-05",
    "id_card": "110101198706059876",
    "wechat_openid": "oQXWVUTSRQPONMLKJIHG",
    "Pet Of Youth": "Wolpertinger",
    "website": "https://x.example/?email=zoe.quillfeather%40post.example&ref=mail&phone=13987654321",
    "description": "call 13987654321 or zoe.quillfeather@post.example",
    "plan": "gold",
}
CONTEXT: dict[str, Any] = {
    "ip": "203.0.113.177",
    "device": {"id": "device-Glockenspiel-01", "token": "token-Glockenspiel-02", "name": "Zoe Quillfeather's phone"},
    "externalIds": [{"id": "ext-Glockenspiel-03", "type": "partner"}],
    "location": {"latitude": 47.112233, "longitude": 8.445566, "city": "Rome"},
    "page": {"url": "https://x.example/?email=zoe.quillfeather%40post.example", "path": "/"},
    "traits": {"email": "zoe.quillfeather@post.example", "phone": PHONE},
}
PROPERTIES: dict[str, Any] = {
    "order_id": "o-1",
    "total": 12,
    "email": "zoe.quillfeather@post.example",
    "shippingAddress": {"street": "17 Larkspur Crescent"},
    "recipient_phone": PHONE,
    "customer": {"name": "Quillfeather", "city": "Rome"},
    "note": f"ring {PHONE}",
    "products": [{"name": "Shirt", "gift_email": "zoe.quillfeather@post.example"}],
}
_IDS_AND_TIMES = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")


def pieces(number: str) -> set[str]:
    """What may not be seen of a number: any five digits in a row."""
    digits = re.sub(r"\D", "", number)
    return {digits[at : at + 5] for at in range(len(digits) - 4)} - {digits[:5]}


SECRETS = frozenset(
    {
        "zoe.quill", "oe.q", "uillfeather", "arkspur", "1987", "0101", "60598", "oQXWV", "XWVUTS", "olpertinger",
        "203.0.", "113.177", "lockenspiel", "47.11", "8.445", *pieces(PHONE),
    }
)  # fmt: skip


async def read_all(
    app: FastAPI, client: httpx.AsyncClient, bearer: str, places: Mapping[str, object], query: str = ""
) -> dict[str, httpx.Response]:
    """The answers of all GET routes but the customers' own, by path.

    `places` fills the templates: a whole path by its template, else each parameter by its name; `query` is added to
    all. Whoever makes a route says here where it leads: without that the walk ends in a KeyError.
    """
    found = {}
    for template, operations in app.openapi()["paths"].items():
        if "get" in operations and not f"{template}/".startswith("/v1/me/"):
            path = str(places.get(template) or template.format_map(places))
            path += f"{'&' if '?' in path else '?'}{query}" if query else ""
            found[path] = await client.get(path, headers={"Authorization": f"Bearer {bearer}"})
    return found


def exposed(answers: Mapping[str, httpx.Response], secrets: Collection[str]) -> Iterator[tuple[str, str]]:
    """Where a secret text stands, in a body or in a header; also in what is base64 or percent-encoded there."""
    for path, answer in answers.items():
        said = answer.text + "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
        said = _IDS_AND_TIMES.sub("", said)
        said += unquote(said) + "".join(_decoded(found) for found in _ENCODED.findall(said))
        yield from ((path, secret) for secret in secrets if secret in said)


def _decoded(text: str) -> str:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        found = base64.b64decode(plain + "=" * (-len(plain) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
    return _IDS_AND_TIMES.sub("", found)
