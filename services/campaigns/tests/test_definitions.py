"""Drafts and publications that are refused, with the step at fault named."""

from typing import Any

import httpx
import pytest

from perennial.campaigns.testing.world import Json, definition, message, wait

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
