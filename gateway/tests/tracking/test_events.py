"""Each event is judged by itself."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from perennial.common.contracts.gateway import AcceptedEvent
from perennial.gateway.tracking.envelope import Envelope
from perennial.gateway.tracking.events import MAX_BYTES, Arrival, judge
from perennial.gateway.tracking.refusal import Rejection

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def arrival(
    *events: Any, kind: str | None = None, ip: str | None = None, client_side: bool = False, **envelope: Any
) -> Arrival:
    raws = [msgspec.Raw(event if isinstance(event, bytes) else json.dumps(event).encode()) for event in events]
    return Arrival("shop", NOW, Envelope(events=raws, **envelope), kind, None, ip, client_side)


def accept(event: Any, **options: Any) -> AcceptedEvent:
    accepted, rejected = judge(arrival(event, **options))
    assert rejected == []
    return accepted[0]


def reject(event: Any, **options: Any) -> Rejection:
    accepted, rejected = judge(arrival(event, **options))
    assert accepted == []
    return rejected[0]


def event(**changes: Any) -> dict[str, Any]:
    return {"type": "track", "event": "X", "userId": "u", "messageId": "m", **changes}


def body(accepted: AcceptedEvent) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(accepted.body)
    return found


VALID: list[dict[str, Any]] = [
    {"type": "identify", "userId": "u", "traits": {"email": "a@b.c"}},
    {"type": "identify", "anonymousId": "a", "userId": None, "traits": None, "context": {"traits": {"x": 1}}},
    {"type": "track", "userId": "u", "event": "X", "properties": {"unknown": [1, {"x": None}]}},
    {"type": "page", "anonymousId": "a"},
    {"type": "screen", "anonymousId": "a", "name": "Home", "category": "Main"},
    {"type": "group", "userId": "u", "groupId": "g", "traits": {}},
    {"type": "alias", "userId": "u", "previousId": "a"},
    {"type": "alias", "userId": "u", "previousId": "u"},
]
INVALID: list[tuple[Any, str, str]] = [
    (None, "not_an_object", "event"),
    (5, "not_an_object", "event"),
    ("x", "not_an_object", "event"),
    ([], "not_an_object", "event"),
    ({}, "missing_type", "type"),
    (event(type=None), "missing_type", "type"),
    (event(type="order"), "unknown_type", "type"),
    (event(type=3), "unknown_type", "type"),
    (event(type="Track"), "unknown_type", "type"),
    (event(userId=None), "no_user_anon_id", "userId or anonymousId"),
    (event(userId="  "), "no_user_anon_id", "userId or anonymousId"),
    (event(userId={}), "invalid_user_id", "userId"),
    (event(userId=True), "invalid_user_id", "userId"),
    (event(anonymousId=[]), "invalid_anonymous_id", "anonymousId"),
    (event(event=None), "missing_event", "event"),
    (event(event="  "), "missing_event", "event"),
    (event(event=7), "missing_event", "event"),
    (event(type="group"), "missing_group_id", "groupId"),
    (event(type="group", groupId={}), "invalid_group_id", "groupId"),
    (event(type="alias"), "missing_previous_id", "previousId"),
    (event(type="alias", userId=None, previousId="x"), "missing_user_id", "userId"),
    (event(messageId="x" * 101), "message_id_too_long", "messageId"),
    (event(messageId={}), "invalid_message_id", "messageId"),
    (event(properties="x"), "invalid_properties", "properties"),
    (event(traits=[1]), "invalid_traits", "traits"),
    (event(context=7), "invalid_context", "context"),
    (event(integrations="all"), "invalid_integrations", "integrations"),
    (event(context={"import": True}), "import_in_event", "context.import"),
    (b'{"type":"track","event":"X","userId":"u","properties":{"n":1e999}}', "invalid_event", "properties.n"),
    (b'{"type":"track","event":"X","userId":"u","context":{"a":[1,{"b":-1e999}]}}', "invalid_event", "context.a.1.b"),
    (b'{"type":"track","event":"X","userId":1%b}' % (b"0" * 5000), "invalid_event", "userId"),
    (b'{"type":"track","event":"X","userId":"u","x":%b1e999%b}' % (b"[" * 40, b"]" * 40), "invalid_event", "x.0.0"),
]


@pytest.mark.parametrize("sent", VALID, ids=lambda sent: sent["type"])
def test_valid_events_stay_as_they_were_sent(sent: dict[str, Any]) -> None:
    raw = json.dumps({"messageId": "m", **sent}).encode()
    accepted = accept(raw)
    assert bytes(accepted.body) == raw
    assert (accepted.type, accepted.message_id) == (sent["type"], "m")


@pytest.mark.parametrize(("sent", "code", "field"), INVALID)
def test_invalid_events_name_their_field(sent: Any, code: str, field: str) -> None:
    rejection = reject(sent)
    assert rejection.code == code
    assert field in rejection.message


def test_one_bad_event_harms_no_other() -> None:
    accepted, rejected = judge(
        arrival(event(messageId="1"), None, event(messageId="2"), event(messageId="3", event=""))
    )
    assert [one.message_id for one in accepted] == ["1", "2"]
    assert [(one.at, one.message_id, one.code) for one in rejected] == [
        (1, None, "not_an_object"),
        (3, "3", "missing_event"),
    ]


def test_the_path_names_the_type_of_a_single_event() -> None:
    assert accept(event(type=None), kind="track").type == "track"
    assert accept(event(type="identify", event=None), kind="identify").type == "identify"


def test_ids_become_trimmed_strings_in_the_body_too() -> None:
    accepted = accept(b'{"type":"group","userId":7,"anonymousId":" a ","groupId":12.0,"event":"X","n":1.50}')
    found = body(accepted)
    assert (found["userId"], found["anonymousId"], found["groupId"]) == ("7", "a", "12")
    assert b'"n":1.50' in bytes(accepted.body)


def test_numbers_as_message_ids() -> None:
    assert accept(event(messageId=42)).message_id == "42"


def test_an_event_without_a_message_id_is_named_after_itself_and_its_place() -> None:
    first, second = judge(arrival(event(messageId=None), event(messageId="")))[0]
    again = accept(event(messageId=None))
    assert first.message_id == again.message_id != second.message_id
    assert len(first.message_id) == 32


def test_semantic_names_have_one_spelling() -> None:
    assert accept(event(event=" completed ORDER ")).name == "Order Completed"
    assert accept(event(event=" My Own Event ")).name == "My Own Event"
    assert accept(event(type="page", name=" Home ")).name == "Home"
    assert accept(event(type="page", name=7)).name is None
    assert accept(event(type="identify")).name is None


def test_the_size_limit_of_an_event_leaves_out_what_only_serves_transport() -> None:
    frame = len(json.dumps(event(properties={"x": ""})))
    fits = event(properties={"x": "y" * (MAX_BYTES - frame)})
    accept(fits)
    assert reject({**fits, "z": 1}).code == "event_too_large"
    accept({**fits, "writeKey": "k" * 500, "sentAt": "2026-03-01T12:00:00Z", "_metadata": {"a": "b" * 100}})


def test_what_only_serves_transport_is_bounded_too() -> None:
    assert reject(event(_metadata={"a": "b" * (MAX_BYTES + 3_000)})).code == "event_too_large"
    assert reject(event(properties={"x": "y" * 31_000}, _metadata={"a": "b" * 5_000})).code == "event_too_large"


def test_when_the_client_sent_it_is_kept() -> None:
    sent = "2026-03-01T11:00:00+02:00"
    for accepted in (accept(event(), sent_at=sent), accept(event(sentAt=sent))):
        assert accepted.sent_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert accept(event(sentAt="yesterday")).sent_at is None
    assert b"sent_at" not in msgspec.json.encode(accept(event())), "what is not known costs nothing"


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 5_000, "9" * 30_000, "1E+999999999", "0." + "9" * 20_000, "-0", "1e-999"]
)
def test_huge_numbers_are_stored_or_refused_by_name(number: str) -> None:
    accepted, rejected = judge(arrival(*[b'{"type":"track","event":"X","userId":%b}' % number.encode()]))
    assert len(accepted) + len(rejected) == 1
    assert all(one.code == "invalid_event" for one in rejected)
    judge(arrival(b'{"type":"track","event":"X","userId":"u","messageId":%b}' % number.encode()))


def test_the_last_of_repeated_keys_counts() -> None:
    accepted = accept(b'{"type":"page","userId":"a","userId":7,"type":"track","event":"X"}')
    assert (accepted.type, body(accepted)["userId"]) == ("track", "7")


def nested(depth: int) -> dict[str, Any]:
    inner: Any = 1
    for _ in range(depth - 2):
        inner = [inner]
    return event(properties={"x": inner})


def test_nesting() -> None:
    accept(nested(63))
    accept(event(properties={"x": [{}] * 500}))
    assert reject(nested(70)).code == "too_deep"


def test_ten_thousand_keys_do_not_fit() -> None:
    assert reject(event(properties={str(n): n for n in range(10_000)})).code == "event_too_large"


def test_the_context_of_the_batch_lies_under_the_events_own() -> None:
    context = {"app": msgspec.Raw(b'{"name":"batch"}'), "locale": msgspec.Raw(b'"de"')}
    integrations = {"All": msgspec.Raw(b"false"), "X": msgspec.Raw(b"true")}
    found = body(
        accept(
            event(context={"app": {"version": "1"}}, integrations={"All": True}),
            context=context,
            integrations=integrations,
        )
    )
    assert found["context"] == {"app": {"version": "1"}, "locale": "de"}
    assert found["integrations"] == {"All": True, "X": True}
    assert body(accept(event(), context=context))["context"] == {"app": {"name": "batch"}, "locale": "de"}


def test_a_batch_context_cannot_make_an_event_grow_beyond_its_limit() -> None:
    context = {"x": msgspec.Raw(b'"' + b"y" * MAX_BYTES + b'"')}
    assert reject(event(), context=context).code == "event_too_large"


def test_the_address_is_noted_for_clients_only() -> None:
    assert body(accept(event(), ip="192.0.2.1", client_side=True))["context"] == {"ip": "192.0.2.1"}
    assert body(accept(event(context={"ip": "x"}), ip="192.0.2.1", client_side=True))["context"] == {"ip": "x"}
    assert body(accept(event(context={"direct": True}), ip="192.0.2.1"))["context"]["ip"] == "192.0.2.1"
    assert "context" not in body(accept(event(), ip="192.0.2.1"))


def test_sent_at_of_the_batch_of_the_event_or_of_the_header() -> None:
    hour_ago, hour_on = "2026-03-01T11:00:00Z", "2026-03-01T13:00:00Z"
    late = event(timestamp=hour_ago)
    assert accept(late, sent_at=hour_ago).timestamp == NOW
    assert accept({**late, "sentAt": hour_on}).timestamp == NOW.replace(hour=10)
    assert accept({**late, "sentAt": hour_on}, sent_at=hour_ago).timestamp == NOW
    by_header = arrival(late)._replace(header_sent_at=hour_on)
    assert judge(by_header)[0][0].timestamp == NOW.replace(hour=10)


def test_an_import_builds_state_only() -> None:
    accepted = accept(event(timestamp="2017-05-06T07:08:09Z", context={"import": True}), imported=True)
    assert (accepted.live, accepted.imported) == (False, True)
    assert accepted.timestamp == datetime(2017, 5, 6, 7, 8, 9, tzinfo=UTC)
    fresh = accept(event(timestamp="2026-03-01T11:59:00Z"))
    assert (fresh.live, fresh.imported, fresh.received_at) == (True, False, NOW)


@pytest.mark.parametrize(
    "member",
    [
        rb'"properties":5,"properties":{}', rb'"traits":[],"traits":{"a":1}', rb'"context":"x","context":null',
        rb'"propert\u0069es":5,"properties":{}',
    ],
)  # fmt: skip
def test_what_services_could_not_read_is_not_hidden_by_saying_it_again(member: bytes) -> None:
    assert reject(b'{"type":"track","event":"X","userId":"u",%b}' % member).code == "invalid_event"


def test_what_is_said_twice_in_the_same_way_is_accepted() -> None:
    said = b'{"type":"track","event":"X","userId":"u","properties":{"a":1},"properties":{"a":2,"properties":"\\u4e2d"}}'
    assert body(accept(said))["properties"]["a"] == 2
