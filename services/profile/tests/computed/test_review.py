"""Definitions and edits that nobody should send, and seams that only a clock or a crowd reaches."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked

Hear = Callable[..., Awaitable[None]]
Declare = Callable[..., Awaitable[httpx.Response]]
Build = Callable[[], Awaitable[int]]

H = {"content-type": "application/json"}


async def test_scratch(hear: Hear, client: httpx.AsyncClient, derive: Any) -> None:
    via = uuid7()
    await hear(identified({"plan": "free"}, via=via))
    for n, d in enumerate([
        {"key": "n1", "type": "number", "maximum": "1e400"},
        {"key": "n2", "type": "number", "maximum": "1e999999999"},
        {"key": "l1", "type": "list", "items": "object"},
        {"key": "o1", "type": "object"},
        {"key": "s1", "type": "string"},
        {"key": "num", "type": "number"},
        {"key": "mon", "type": "money", "currency": "EUR"},
        {"key": "geo1", "type": "geo"},
        {"key": "en", "type": "enum", "values": [{"value": "İ"}, {"value": "i̇"}]},
        {"key": "dd", "type": "datetime", "minimum": "2020-01-01T00:00:00+08:00"},
        {"key": "orders", "type": "number"},
        {"key": "tags", "type": "list"},
        {"key": "stage", "type": "string"},
    ]):
        r = await client.post("/v1/traits", content=json.dumps({"label": {"en": "x"}, **d}), headers={**H, "Idempotency-Key": f"k{n}"})
        print("define", d["key"], r.status_code, r.text[:150])
    for lang in ("en", "zh"):
        try:
            r = await client.get("/v1/traits/form", params={"lang": lang}); print("form", r.status_code, r.text[:100])
        except Exception as e: print("FORM", repr(e)[:200])
    bodies = [
        '{"o1": {"a": 1e400}}', '{"o1": {"a": "\\u0000"}}', '{"o1": {"a\\u0000": 1}}', '{"s1": "\\u0000"}', '{"s1": "\\ud800"}',
        '{"num": ' + '9' * 40 + '}', '{"num": ' + '9' * 5000 + '}', '{"num": 1e300}', '{"num": 1e29}', '{"num": 0.1234567890123456789}', '{"num": "1e5"}',
        '{"num": NaN}', '{"o1": ' + '{"a":' * 3000 + '1' + '}' * 3000 + '}', '{"o1": ' + '{"a":' * 500 + '1' + '}' * 500 + '}', '{"o1": ' + '{"a":' * 150 + '1' + '}' * 150 + '}',
        '{"l1": [[1]]}', '{"l1": [null]}', '{"o1": {"$sealed": "abc", "via": "x"}}', '{"s1": {"$sealed": "abc"}}', '{"l1": {"$sealed": "abc"}}', '{"mon": {"amount": "1e3"}}', '{"mon": {"amount": null}}', '{"mon": "12 \\u0000"}',
        '{"geo1": "nan,1"}', '{"geo1": [1,2]}', '{"dd": 5}', '{"": 1}', '{"a\\u0000": 1}', '{"\\ud800": 1}',
        '{"o1": {' + ','.join(f'"k{i}": 1' for i in range(10000)) + '}}', '{' + ','.join(f'"k{i}": 1' for i in range(10000)) + '}',
        '[]', 'null', '5', '{"s1": "' + 'x' * 20000 + '"}', '{"phone": 13800138000}', '{"en": "I"}',
    ]
    for i, b in enumerate(bodies):
        try:
            r = await client.patch(f"/v1/customers/{via}/traits", content='{"reason": "r", "traits": ' + b + '}', headers={**H, "Idempotency-Key": f"e{i}"})
            print("edit", b[:60], r.status_code, r.text[:160])
        except Exception as e: print("EDIT", b[:60], repr(e)[:300])
    for i, b in enumerate(['{"reason":"\\u0000","traits":{"s1":"a"}}', '{"reason":"\\ud800","traits":{"s1":"a"}}', '{"reason":"x","give_back":["s1","S1"]}', '{"reason":"x","give_back":["\\u0000"]}', '{"reason":"x","give_back":["'+'x'*200+'"]}', '{"reason":5}', '{"reason":"x","give_back":["$sealed", "nope"]}']):
        try:
            r = await client.patch(f"/v1/customers/{via}/traits", content=b, headers={**H, "Idempotency-Key": f"g{i}"})
            print("edit2", b[:60], r.status_code, r.text[:160])
        except Exception as e: print("EDIT2", b[:60], repr(e)[:300])
    for p in (f"/v1/customers/{via}", f"/v1/customers/{via}/traits/o1", f"/v1/customers/{via}/traits/o1/history", "/v1/traits/%00", "/v1/traits/%20", "/v1/traits/%ED%A0%80", "/v1/traits/proposed", "/v1/computed-traits/%00", "/v1/computed-traits/%20", f"/v1/customers/{via}/traits/%20/history"):
        try:
            r = await client.get(p); print("get", p[-30:], r.status_code, r.text[:100])
        except Exception as e: print("GET", p[-30:], repr(e)[:300])
    base = {"label": {"en": "x"}, "function": "count", "events": ["A"]}
    for n, d in enumerate([
        {"label": {"en": "\0"}}, {"label": {"en": "\ud800"}}, {"events": ["a\0"]}, {"events": ["\ud800"]}, {"events": [" "]}, {"function": "first", "property": "a\0"}, {"function": "first", "property": "\ud800"},
        {"window": "P999999999999D"}, {"window": "P99999D"}, {"window": "P1000Y"}, {"window": "PT1H"}, {"window": "\0"}, {"timezone": "\0"}, {"timezone": "../../etc/passwd"}, {"timezone": ""}, {"timezone": "\ud800"}, {"timezone": "localtime"},
        {"where": [{"property": "a", "is": "\0"}]}, {"where": [{"property": "a", "is": "\ud800"}]}, {"where": [{"property": "a\0", "is": "x"}]}, {"where": [{"property": "a", "gt": 1e308}]}, {"where": [{"property": "a", "gt": 10**400}]}, {"where": [{}]}, {"where": [{"property": "a", "matches": "*" * 200}]},
        {"gap": "P1D"}, {"gap": "PT1S", "function": "sessions"}, {"limit": 10**30}, {"function": "share", "having": [{"property": "a", "exists": False}]}, {"types": ["track"] * 6}, {"window": "day", "timezone": "Africa/Cairo"},
        {"source": "orders", "events": [], "function": "first", "property": "items"}, {"source": "orders", "events": [], "function": "unique_list", "property": "order_id"}, {"function": "sum", "property": "[]"}, {"function": "sum", "property": "a[][][][]"},
        {"source": "orders", "events": [], "window": "P1D"},
    ]):
        body = {**base, "key": f"c{n}", **d}
        try:
            r = await client.post("/v1/computed-traits", content=json.dumps(body), headers={**H, "Idempotency-Key": f"c{n}"})
            print("computed", str(d)[:60], r.status_code, r.text[:120] if r.status_code != 201 else "")
        except Exception as e: print("COMPUTED", str(d)[:60], repr(e)[:300])
    await hear(tracked("A", {"a": 10**30, "x": None}, via=via), identified({"num": 10**29, "s1": 10**25, "big": 1e308, "o1": {"$sealed": "abc", "via": "x"}, "new": {"$sealed": "abc"}}, via=via))
    try:
        r = await client.get(f"/v1/customers/{via}"); print(r.status_code, r.text[:600])
    except Exception as e: print("GET360", repr(e)[:300])
    await derive()
    r = await client.get(f"/v1/customers/{via}/computed-traits"); print(r.status_code, r.text[:100])
