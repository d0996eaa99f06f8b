"""Drafts and publications that are refused, with the step at fault named."""

from typing import Any

import httpx
import pytest

from perennial.campaigns.plans import readable
from perennial.campaigns.testing.world import Json, World, definition, message, wait

NO_JOURNEY = "0192d0c0-0000-7000-8000-000000000000"


async def drafted(client: httpx.AsyncClient, wanted: Json, name: str = "test") -> Json:
    answer = await client.post("/v1/journeys", json={"name": name, "definition": wanted})
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


async def published(client: httpx.AsyncClient, wanted: Json) -> str:
    journey = (await drafted(client, wanted))["id"]
    answer = await client.post(f"/v1/journeys/{journey}/publish")
    assert answer.status_code == 200, answer.text
    return str(journey)


STEPS = [wait("PT1H"), message()]


def broken(**more: Any) -> Json:
    return {**definition(*STEPS), **more}


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"steps": STEPS}, "/definition/trigger"),
        (broken(trigger={"event": ""}), "/definition/trigger/event"),
        (broken(trigger={"segment": "vip"}), "/definition/trigger/segment"),
        (broken(trigger={"cron": "* * * * *"}), "/definition/trigger"),
        (broken(trigger={"event": "A", "where": [{"property": "x", "like": 1}]}), "/definition/trigger/where/0/like"),
        (broken(steps=[]), "/definition/steps"),
        (broken(steps=[{"id": "a", "kind": "fax"}]), "/definition/steps/0"),
        (broken(steps=[wait("1 hour")]), "/definition/steps/0/for"),
        (broken(steps=[wait("PT0S")]), "/definition/steps/0/for"),
        (broken(steps=[message(channel="sms")]), "/definition/steps/0/channel"),
        (broken(steps=[message(body=7)]), "/definition/steps/0/body"),
        (broken(steps=[message(body="a\x00b")]), "/definition/steps/0/body"),
        (broken(steps=[message(colour="red")]), "/definition/steps/0/colour"),
        (broken(steps=[wait("PT1H", "a b")]), "/definition/steps/0/id"),
        (
            broken(steps=[{"id": "c", "kind": "condition", "rule": {"all": [{"trait": "x", "is": []}]}}]),
            "/definition/steps/0/rule/all/0/is",
        ),
        (
            broken(
                steps=[
                    {"id": "s", "kind": "split", "arms": [{"name": "a", "percent": 60}, {"name": "b", "percent": 60}]}
                ]
            ),
            "/definition/steps/0",
        ),
        (broken(exit_on=[{"event": "A", "where": [{"property": "x"}]}]), "/definition/exit_on/0/where/0"),
        (broken(reentry="sometimes"), "/definition/reentry"),
    ],
)
async def test_definitions_that_cannot_be_drafted(client: httpx.AsyncClient, wanted: Json, pointer: str) -> None:
    answer = await client.post("/v1/journeys", json={"name": "x", "definition": wanted})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert pointer.strip("/") in answer.json()["detail"]


def condition(identifier: str, **targets: str) -> Json:
    return {"id": identifier, "kind": "condition", "rule": {"everyone": True}, **targets}


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [
        ([wait("PT1H", "a"), wait("PT1H", "a")], "/definition/steps/1/id"),
        ([condition("a", yes="b", no="nowhere"), wait("PT1H", "b")], "/definition/steps/0/no"),
        ([wait("PT1H", "a") | {"next": "c"}, wait("PT1H", "b"), message("c")], "/definition/steps/1"),
        ([wait("PT1H", "a"), condition("b", yes="a", no="exit")], "/definition/steps/1/yes"),
        ([wait("PT1H", "a") | {"next": "a"}], "/definition/steps/0/next"),
        ([{"id": "a", "kind": "exit"}, message()], "/definition/steps/1"),
        ([message(subject="{{ traits.name")], "/definition/steps/0/subject"),
        ([message(body="{{ order.total }}")], "/definition/steps/0/body"),
        ([message(body="{{ traits.name | shout }}")], "/definition/steps/0/body"),
    ],
)
async def test_definitions_that_cannot_be_published(client: httpx.AsyncClient, steps: list[Json], pointer: str) -> None:
    made = await drafted(client, definition(*steps))
    answer = await client.post(f"/v1/journeys/{made['id']}/publish")
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_paths_may_join_again_and_exit_may_be_a_step_or_the_end(client: httpx.AsyncClient) -> None:
    steps = [condition("a", yes="b", no="c"), wait("PT1H", "b"), message("c"), condition("d", no="exit"), message("e")]
    await published(client, definition(*steps))
    await published(client, definition(*steps, {"id": "exit", "kind": "exit", "reason": "done"}))


async def test_a_definition_that_is_nested_without_end(client: httpx.AsyncClient) -> None:
    rule: Json = {"everyone": True}
    for _ in range(100):
        rule = {"not": rule}
    answer = await client.post(
        "/v1/journeys", json={"name": "x", "definition": broken(steps=[condition("a") | {"rule": rule}])}
    )
    assert answer.status_code in {400, 422}, "by the edge of every service, or by the journey's own bound"


def asking(rule: Json) -> Json:
    return broken(steps=[condition("a") | {"rule": rule}])


@pytest.mark.parametrize(
    ("rule", "pointer"),
    [
        ({"tag": "vip"}, ""),
        ({"trait": "tags", "contains": "vip"}, ""),
        ({"all": [{"everyone": True}, {"not": {"stage": "lost"}}]}, "/all/1/not"),
        ({"any": [{"trait": "rfm.net", "is": "champions"}, {"everyone": True}]}, "/any/0"),
        ({"trait": "Stage", "exists": False}, ""),
        ({"any_of": "tags[]", "where": [{"property": "key", "is": "vip"}]}, ""),
    ],
)
async def test_conditions_on_what_never_comes_here(client: httpx.AsyncClient, rule: Json, pointer: str) -> None:
    made = await drafted(client, broken())
    path, any_version = f"/v1/journeys/{made['id']}", {"If-Match": "*"}
    for answer in (
        await client.post("/v1/journeys", json={"name": "x", "definition": asking(rule)}),
        await client.put(path, json={"name": "x", "definition": asking(rule)}, headers=any_version),
        await client.patch(path, json={"definition": asking(rule)}, headers=any_version),
    ):
        assert answer.status_code == 422, answer.text
        [error] = answer.json()["errors"]
        assert error["pointer"] == f"/definition/steps/0/rule{pointer}"
        assert "let a segment ask for it" in error["detail"]


async def test_journeys_of_before_that_ask_for_it_are_read_and_walked(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(readable, "ELSEWHERE", frozenset())
        journey = await world.journey(
            asking({"not": {"tag": "vip"}})
            | {"steps": [condition("a", no="exit") | {"rule": {"not": {"tag": "vip"}}}, message()]}
        )
    await world.track("Product Added", await world.customer())
    await world.tick()
    assert await world.enrolments() == [("hello", "completed", "completed")]
    path, any_version = f"/v1/journeys/{journey}", {"If-Match": "*"}
    for place in ("", "/versions", "/funnel"):
        assert (await client.get(path + place)).status_code == 200
    assert (await client.patch(path, json={"name": "y"}, headers=any_version)).status_code == 200
    assert (await client.post(f"{path}/pause")).status_code == 200
    assert (await client.post(f"{path}/resume")).status_code == 200
    assert (await client.post(f"{path}/publish")).status_code == 422, "but it is not published anew"


async def test_a_patch_is_merged_into_the_draft(client: httpx.AsyncClient) -> None:
    made = await drafted(client, broken(reentry="once"))
    path = f"/v1/journeys/{made['id']}"

    async def patched(patch: Json, tag: str = "*") -> httpx.Response:
        return await client.patch(path, json={"definition": patch}, headers={"If-Match": tag})

    answer = await patched({"reentry": "always"}, '"1"')
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert answer.json()["definition"] == {**made["definition"], "reentry": "always"}
    assert (await patched({"steps": []}, '"1"')).status_code == 412
    taken = (await patched({"exit_on": None, "steps": [message()]})).json()["definition"]
    assert (taken["exit_on"], taken["reentry"], [step["id"] for step in taken["steps"]]) == ([], "always", ["hello"])
    for patch, pointer in (
        ({"trigger": {"segment": NO_JOURNEY}}, "/definition/trigger/segment"),
        ({"trigger": None}, "/definition/trigger"),
        ({"steps": None}, "/definition/steps"),
        ({"reentry": {"deep": {"nothing": None}}}, "/definition/reentry"),
        ({"colour": "red"}, "/definition/colour"),
    ):
        refused = await patched(patch)
        assert refused.status_code == 422, refused.text
        assert pointer in [error["pointer"] for error in refused.json()["errors"]]
    other = await patched({"trigger": {"event": None, "where": None, "segment": NO_JOURNEY}})
    assert other.json()["definition"]["trigger"] == {"segment": NO_JOURNEY}
    nowhere = await client.patch(f"/v1/journeys/{NO_JOURNEY}", json={"definition": {}}, headers={"If-Match": "*"})
    assert nowhere.status_code == 404


async def test_the_funnel_of_a_version_that_there_is_not(client: httpx.AsyncClient) -> None:
    path = f"/v1/journeys/{await published(client, broken())}/funnel"
    assert (await client.get(f"{path}?version=1")).status_code == 200
    answer = await client.get(f"{path}?version=2")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (404, "query/version")
    draft = (await drafted(client, broken()))["id"]
    assert (await client.get(f"/v1/journeys/{draft}/funnel")).status_code == 200, "of all versions: of none"
    assert (await client.get(f"/v1/journeys/{draft}/funnel?version=1")).status_code == 404
