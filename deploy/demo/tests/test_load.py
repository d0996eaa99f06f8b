import json

from rich.console import Console

from perennial.demo.client import Client
from perennial.demo.data import Load
from perennial.demo.load import MOST_BYTES, MOST_EVENTS, batches, load
from perennial.demo.testing import Answer, Server

SILENT = Console(quiet=True)


def test_batches_keep_the_order_and_both_limits() -> None:
    events = [[f'{{"n":{n},"pad":"{"x" * (n % 7 * 900)}"}}' for n in range(3000)], ['{"n":3000}']]
    made = list(batches(events))
    decoded = [json.loads(batch.body) for batch in made]
    assert [event["n"] for body in decoded for event in body["batch"]] == list(range(3001))
    assert all(body["context"] == {"import": True} for body in decoded)
    assert all(len(batch.body) <= MOST_BYTES and batch.events <= MOST_EVENTS for batch in made)
    assert sum(batch.events for batch in made) == 3001
    assert len(made) < 20, "batches are filled"


async def test_everything_arrives_once_although_the_gateway_is_busy(
    client: Client, server: Server, sample: Load
) -> None:
    server.script = [(503, {"Retry-After": "1"}, "{}"), None]
    server.always = _accept
    loaded = await load(client, sample.chunks(), sample.events, SILENT)
    taken = [event["messageId"] for body in server.bodies[2:] for event in json.loads(body)["batch"]]
    assert len(taken) == len(set(taken)) == loaded.accepted == sample.events
    assert client.retries == 2
    assert loaded.rate > 0


async def test_what_the_gateway_rejects_is_reported(client: Client, server: Server) -> None:
    refusal = {"index": 0, "messageId": "a", "code": "too_large", "message": "event is over 32 KiB"}
    server.script = [(200, {}, json.dumps({"success": True, "accepted": 0, "rejected": [refusal]}))]
    loaded = await load(client, [["{}"]], 1, SILENT)
    assert loaded.rejected == [refusal]


def _accept(body: bytes) -> Answer:
    return 200, {}, json.dumps({"success": True, "accepted": len(json.loads(body)["batch"]), "rejected": []})
