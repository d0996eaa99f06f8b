"""A file of customers: tried, imported though the gateway dies in the middle, and exported again as a list."""

import csv
import io
from collections.abc import Mapping
from functools import partial
from typing import Any

from perennial.local.platform import Platform
from tests.e2e.shop import Shop, until

ROWS, BAD, KNOWN = 6_000, 7, 3
COLUMNS = [
    {"column": "会员", "to": "identifier", "kind": "user_id"},
    {"column": "Mail", "to": "identifier", "kind": "email"},
    {"column": "Name", "to": "trait", "key": "name"},
    {"column": "Batch", "to": "trait", "key": "batch"},
]


def file_of(shop: Shop) -> bytes:
    """Rows of as many customers, and some that are wrong, as a spreadsheet in China saves them."""
    held = io.StringIO(newline="")
    writer = csv.writer(held)
    writer.writerow(["会员", "Mail", "Name", "Batch"])
    for number in range(ROWS):
        writer.writerow(
            [shop.user(number), f"{shop.user(number)}@example.com", f'王{number}, Q. "{number}"', shop.mark]
        )
        if number < BAD:
            writer.writerow([shop.user(f"bad{number}"), "no address", "x", shop.mark])
    return held.getvalue().encode("gbk")


def begin(shop: Shop, path: str, body: Mapping[str, Any]) -> str:
    """Where to ask about the operation that a request starts; the same request again starts no other."""
    headers = {**shop.headers, "Idempotency-Key": f"{shop.mark}{path}"}
    first, again = (shop.http.post(path, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.json()["id"]) == (202, first.json()["id"]), first.text
    where: str = first.headers["location"]
    return where


def over(shop: Shop, where: str) -> dict[str, Any] | None:
    """The operation, once it is over."""
    found = shop.try_get(where)
    return found if found and found["finished_at"] else None


def done(shop: Shop, where: str) -> dict[str, Any]:
    """The operation, which succeeds."""
    found = until(partial(over, shop, where), 120, where)
    assert found["state"] == "succeeded", found
    return found


def test_a_file_is_imported_once_though_the_gateway_dies_and_a_list_is_exported(platform: Platform, shop: Shop) -> None:
    shop.deliver([shop.event("identify", shop.user(number), traits={"batch": "old"}) for number in range(KNOWN)])
    for number in range(KNOWN):
        shop.known(shop.user(number))
    params = {"source_id": "development", "name": "members.csv"}
    headers = {**shop.headers, "Content-Type": "text/csv"}
    answer = shop.http.post("/v1/imports", params=params, content=file_of(shop), headers=headers)
    assert answer.status_code == 201, answer.text
    sent = answer.json()
    assert (sent["encoding"], sent["columns"], sent["sample"][0][2]) == (
        "gb18030", ["会员", "Mail", "Name", "Batch"], '王0, Q. "0"',
    )  # fmt: skip
    body = {"mapping": {"columns": COLUMNS}}
    tried = done(shop, begin(shop, f"/v1/imports/{sent['id']}/check", body))["result"]
    assert {name: tried[name] for name in ("rows", "accepted", "rejected", "created", "updated")} == {
        "rows": ROWS + BAD, "accepted": ROWS, "rejected": BAD, "created": ROWS - KNOWN, "updated": KNOWN,
    }  # fmt: skip

    where = begin(shop, f"/v1/imports/{sent['id']}/run", body)
    until(lambda: (shop.try_get(where) or {}).get("done"), what="the first rows")
    platform.kill("gateway")
    platform.wait_process("gateway")
    ran = done(shop, where)["result"]
    assert (ran["rows"], ran["accepted"], ran["rejected"]) == (ROWS + BAD, ROWS, BAD)
    errors = shop.http.get(f"{where}/files/{ran['errors_file']}", headers=shop.headers)
    assert [line["code"] for line in csv.DictReader(io.StringIO(errors.text))] == ["invalid_identifier"] * BAD

    asked = {"trait.batch": shop.mark}
    until(lambda: len(shop.items("/v1/customers", **asked)) >= ROWS, 120, "every customer")
    found = shop.items("/v1/customers", **asked)
    names = sorted(item["traits"]["name"] for item in found)
    assert names == sorted(f'王{number}, Q. "{number}"' for number in range(ROWS)), "each row once"
    assert shop.customer(f"{shop.user(5)}@example.com", "email") == shop.customer(shop.user(5))
    until(lambda: {item["events"] for item in shop.items("/v1/customers", **asked)} == {1, 2}, what="the counters")
    assert sum(item["events"] for item in shop.items("/v1/customers", **asked)) == ROWS + KNOWN, "no event twice"
    assert shop.items("/v1/customers", identifier=f"user_id:{shop.user('bad0')}") == []

    wanted = {"columns": ["id", "trait.name", "trait.email"], "filter": {"trait": "batch", "is": shop.mark}}
    where = begin(shop, "/v1/exports", wanted)
    name = done(shop, where)["result"]["file"]
    content = shop.http.get(f"{where}/files/{name}", headers=shop.headers).text
    told = list(csv.reader(io.StringIO(content, newline="")))
    assert told[0] == wanted["columns"]
    assert sorted(line[1] for line in told[1:]) == names
    assert {line[0] for line in told[1:]} == {item["id"] for item in found}
