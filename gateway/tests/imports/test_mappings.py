"""Where columns go is kept under a name, and must fit the file."""

from typing import Any

import httpx

from perennial.gateway.edge import Edge
from perennial.gateway.imports.testing import GOOD, HEADER, MAPPING, key
from perennial.gateway.testing import Stored


async def test_mappings_are_kept_under_names(admin: httpx.AsyncClient, do: Any, stored: Stored) -> None:
    body = {"name": "members", "mapping": MAPPING}
    made = await admin.post("/v1/import-mappings", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/v1/import-mappings/members")
    assert (await admin.post("/v1/import-mappings", json=body)).status_code == 409
    await admin.post("/v1/import-mappings", json={**body, "name": "guests"})
    first = (await admin.get("/v1/import-mappings", params={"limit": 1})).json()
    rest = (await admin.get("/v1/import-mappings", params={"cursor": first["next_cursor"]})).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["guests", "members"]
    over = await do("run", HEADER + GOOD, mapping_name="members")
    assert over["result"]["accepted"] == 2
    assert (await admin.delete("/v1/import-mappings/members")).status_code == 204
    assert (await admin.get("/v1/import-mappings/members")).status_code == 404
    assert (await admin.delete("/v1/import-mappings/members")).status_code == 404


async def test_a_mapping_must_fit_the_file(admin: httpx.AsyncClient, upload: Any) -> None:
    import_id = (await upload("id,a,a\n1,2,3\n")).json()["id"]
    known = {"column": "id", "to": "identifier", "kind": "user_id"}
    for column, pointer in (
        ({"column": "b", "to": "trait", "key": "b"}, "/mapping/columns/1/column"),
        ({"column": "a", "to": "trait", "key": "b"}, "/mapping/columns/1/column"),
        ({"column": 4, "to": "trait", "key": "b"}, "/mapping/columns/1/column"),
    ):
        body = {"mapping": {"columns": [known, column]}}
        answer = await admin.post(f"/v1/imports/{import_id}/run", json=body, headers=key())
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    for columns in (
        [], [{"column": 2, "to": "trait", "key": "a"}], [known, {**known, "column": 2}], [{**known, "kind": None}],
        [{**known, "key": "x"}], [{**known, "kind": "external_id"}], [{**known, "column": 0}], [known, {"column": 2}],
    ):  # fmt: skip
        answer = await admin.post(
            f"/v1/imports/{import_id}/check", json={"mapping": {"columns": columns}}, headers=key()
        )
        assert answer.status_code == 422, columns
    for sent, status in (({}, 422), ({"mapping_name": "none"}, 404)):
        answer = await admin.post(f"/v1/imports/{import_id}/run", json=sent, headers=key())
        assert answer.status_code == status


async def test_two_columns_that_mean_one_trait_are_refused(admin: httpx.AsyncClient, upload: Any) -> None:
    import_id = (await upload("id,a,b\n1,2,3\n")).json()["id"]
    known = {"column": "id", "to": "identifier", "kind": "user_id"}
    for one, other in (
        ({"to": "trait", "key": "firstName"}, {"to": "trait", "key": "first_name"}),
        ({"to": "identifier", "kind": "email"}, {"to": "trait", "key": "email", "empty": "clear"}),
    ):
        columns = [known, {"column": 2, **one}, {"column": 3, **other}]
        body = {"mapping": {"columns": columns}}
        answer = await admin.post(f"/v1/imports/{import_id}/check", json=body, headers=key())
        assert answer.status_code == 422, columns


async def test_long_and_many_identifiers_hide_nobody_from_a_trial(
    do: Any, upload: Any, profile: list[Any], edge: Edge
) -> None:
    columns = [{"column": 1, "to": "identifier", "kind": "user_id"}] + [
        {"column": n, "to": "identifier", "kind": "external_id", "namespace": f"n{n}"} for n in range(2, 25)
    ]
    header = ",".join(f"c{n}" for n in range(1, 25))
    import_id = (await upload(f"{header}\nu-1,{','.join('x' * 23)}\nu-2,{'y' * 450}{',' * 22}\n")).json()["id"]
    over = await do("check", import_id=import_id, mapping={"columns": columns})
    assert over["result"]["created"] is not None, over
    assert max(len(said) for asked in profile for said in asked) <= 20
    assert max(len(one) for asked in profile for said in asked for one in said) <= 400
