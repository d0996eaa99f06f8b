"""A small file of customers, for tests of imports."""

from typing import Any

import msgspec

from perennial.common.ids import uuid7

HEADER = "用户ID,手机号,Email,姓名,Age,VIP,Birthday\n"
GOOD = "u-1,+14155550100,ada@example.com,张伟,36,yes,1990/1/2\nu-2,,,Bob,,,\n"
MAPPING: dict[str, Any] = {
    "columns": [
        {"column": "用户ID", "to": "identifier", "kind": "user_id"},
        {"column": "手机号", "to": "identifier", "kind": "phone"},
        {"column": 3, "to": "identifier", "kind": "email"},
        {"column": "姓名", "to": "trait", "key": "name"},
        {"column": "Age", "to": "trait", "key": "age", "type": "number", "empty": "clear"},
        {"column": "VIP", "to": "trait", "key": "vip", "type": "boolean"},
        {"column": "Birthday", "to": "trait", "key": "birthday", "type": "date"},
    ]
}


def key() -> dict[str, str]:
    """A fresh Idempotency-Key."""
    return {"Idempotency-Key": str(uuid7())}


def bodies(events: list[Any]) -> list[Any]:
    """What the events say."""
    return [msgspec.json.decode(event.body) for event in events]
