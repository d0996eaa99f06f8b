"""Tags and consents of a file: one more event a row; rows are refused with the reason, columns before anything runs."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from perennial.common.imported import EVENT
from perennial.common.runtime import Runtime
from perennial.gateway.imports.testing import bodies, key
from perennial.gateway.testing import Send, Stored, track

HEADER = "id,email,vip,labels,news,when,form,abroad\n"
CONSENT = {"to": "consent", "purpose": "marketing", "channel": "email", "at": "when", "evidence": "form"}
MAPPING: dict[str, Any] = {
    "columns": [
        {"column": "id", "to": "identifier", "kind": "user_id"},
        {"column": "email", "to": "identifier", "kind": "email"},
        {"column": "vip", "to": "tag", "key": "vip"},
        {"column": "labels", "to": "tags"},
        {"column": "news", **CONSENT},
        {
            "column": "abroad", "to": "consent", "purpose": "cross_border", "separate": True, "text_locale": "zh",
            "text_version": 2,
        },
    ]
}  # fmt: skip


@pytest.fixture
async def asked(live_runtime: Runtime, gateway: Any) -> Any:
    """A profile service with two tags, to which the purpose `nonsense` is unknown; what it was asked."""
    seen: list[Any] = []

    async def importable(request: web.Request) -> web.Response:
        wanted = (await request.json())["consents"]
        seen.append(wanted)
        unfit = [
            {"index": index, "code": "unknown_purpose", "detail": "there is no purpose nonsense"}
            for index, one in enumerate(wanted)
            if one["purpose"] == "nonsense"
        ]
        return web.json_response({"tags": ["vip", "press"], "unfit": unfit})

    app = web.Application()
    app.router.add_post("/v1/customers/importable", importable)
    server = TestServer(app)
    await server.start_server()
    live_runtime.settings.services["profile"] = str(server.make_url(""))  # type: ignore[attr-defined]
    yield seen
    await server.close()


async def test_a_row_tells_tags_and_consents_in_an_event_of_the_same_person(
    do: Callable[..., Any], stored: Stored, asked: list[Any]
) -> None:
    rows = (
        "u-1,ada@example.com,yes,press,given,2024-05-01,form 7,同意\n"
        "u-2,,no,,Opted-Out,,,\n"
        "u-3,,,,,,,\n"
    )  # fmt: skip
    over = await do("run", HEADER + rows, mapping=MAPPING)
    assert (over["result"]["rows"], over["result"]["accepted"]) == (3, 3), over
    assert [(one["purpose"], one["separate"], one["text_version"]) for one in asked[0]] == [
        ("marketing", False, None), ("cross_border", True, 2),
    ]  # fmt: skip
    events = await stored()
    assert {(event.live, event.imported) for event in events} == {(False, True)}
    said = bodies(events)
    assert [(event["type"], event["userId"]) for event in said] == [
        ("identify", "u-1"), ("track", "u-1"), ("identify", "u-2"), ("track", "u-2"), ("identify", "u-3"),
    ]  # fmt: skip
    ada, eve = said[1], said[3]
    assert (ada["event"], ada["context"]["traits"]) == (EVENT, {"email": "ada@example.com"})
    assert ada["properties"] == {
        "import": over["input"]["import_id"],
        "tags": {"vip": True, "press": True},
        "consents": [
            {
                "purpose": "marketing", "channel": "email", "granted": True, "at": "2024-05-01T00:00:00+00:00",
                "evidence": "form 7",
            },
            {
                "purpose": "cross_border", "channel": "*", "granted": True, "separate": True, "text_locale": "zh",
                "text_version": 2,
            },
        ],
    }  # fmt: skip
    assert eve["properties"]["tags"] == {"vip": False}
    assert [one["granted"] for one in eve["properties"]["consents"]] == [False]
    assert len({event.message_id for event in events}) == 5


async def test_a_row_that_cannot_be_told_goes_not_at_all(
    do: Callable[..., Any], stored: Stored, asked: list[Any]
) -> None:
    rows = (
        "u-1,,perhaps,,,,,\nu-2,,,press;unheard,,,,\nu-3,,,,maybe,,,\nu-4,,,,given,soon,,\nu-5,,,,given,2999-01-01,,\n"
        f"u-6,,,,given,,{'x' * 201},\nu-7,,,,given,,,\n"
    )
    for verb in ("check", "run"):
        over = await do(verb, HEADER + rows, mapping=MAPPING)
        assert [(error["line"], error["column"], error["code"]) for error in over["result"]["errors"]] == [
            (2, "vip", "not_a_boolean"), (3, "labels", "unknown_tag"), (4, "news", "not_a_consent"),
            (5, "news", "not_a_datetime"), (6, "news", "in_future"), (7, "news", "invalid_evidence"),
        ]  # fmt: skip
        assert over["result"]["accepted"] == 1
    assert {body["userId"] for body in bodies(await stored())} == {"u-7"}


@pytest.mark.parametrize(
    ("column", "code", "pointer"),
    [
        ({"column": "vip", "to": "tag", "key": "nobody"}, "unknown_tag", "/mapping/columns/1"),
        ({"column": "news", "to": "consent", "purpose": "nonsense"}, "unknown_purpose", "/mapping/columns/1"),
        ({"column": "news", **CONSENT, "at": "nowhere"}, "invalid_mapping", "/mapping/columns/1/at"),
        ({"column": "news", **CONSENT, "evidence": 9}, "invalid_mapping", "/mapping/columns/1/evidence"),
        ({"column": "news", "to": "consent"}, "invalid_request", ""),
        ({"column": "news", "to": "tags", "purpose": "marketing"}, "invalid_request", ""),
        ({"column": "news", "to": "tags", "at": "when"}, "invalid_request", ""),
        ({"column": "news", "to": "consent", "purpose": "Big"}, "invalid_request", ""),
    ],
    ids=["tag", "purpose", "at", "evidence", "no purpose", "a purpose", "an instant", "spelling"],
)
async def test_columns_that_cannot_be_taken_are_refused_before_anything_runs(
    admin: httpx.AsyncClient, upload: Any, asked: list[Any], column: Any, code: str, pointer: str
) -> None:
    import_id = (await upload(HEADER + "u-1,,,,,,,\n")).json()["id"]
    columns = [{"column": "id", "to": "identifier", "kind": "user_id"}, column]
    answer = await admin.post(f"/v1/imports/{import_id}/run", json={"mapping": {"columns": columns}}, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


async def test_without_profile_nothing_is_passed_over_without_a_word(
    admin: httpx.AsyncClient, upload: Any, live_runtime: Runtime
) -> None:
    live_runtime.settings.services.pop("profile", None)  # type: ignore[attr-defined]
    import_id = (await upload(HEADER + "u-1,,,,,,,\n")).json()["id"]
    answer = await admin.post(f"/v1/imports/{import_id}/run", json={"mapping": MAPPING}, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (503, "profile_unavailable")


async def test_nobody_but_an_import_says_so(send: Send, stored: Stored) -> None:
    forged = track(event=EVENT, properties={"tags": {"vip": True}})
    answer = await send([forged, track(messageId="m2")])
    assert answer.status_code == 200
    assert [event.message_id for event in await stored()] == ["m2"]
