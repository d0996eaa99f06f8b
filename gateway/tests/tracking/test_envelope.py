"""What a request says about all of its events."""

import json
from typing import Any

import pytest

from perennial.gateway.tracking import envelope
from perennial.gateway.tracking.refusal import Refusal


def read(**members: Any) -> envelope.Envelope:
    return envelope.read_batch(json.dumps(members).encode())


def refused(body: bytes) -> tuple[int, str]:
    with pytest.raises(Refusal) as error:
        envelope.read_batch(body)
    return error.value.status, error.value.code


def test_events_are_slices_of_the_body() -> None:
    found = envelope.read_batch(b'{"batch": [ {"a": 1.50} , null,3], "sentAt":"x","writeKey":"wk"}')
    assert [bytes(raw) for raw in found.events] == [b'{"a": 1.50}', b"null", b"3"]
    assert (found.sent_at, found.write_key) == ("x", "wk")


def test_import_is_taken_out_of_the_context() -> None:
    found = read(batch=[], context={"import": True, "app": {"name": "x"}})
    assert found.imported
    assert set(found.context or {}) == {"app"}
    assert read(batch=[], context={"import": True}).context is None
    assert not read(batch=[], context={"import": False}).imported
    assert not read(batch=[], context={"import": None}).imported


def test_other_members_may_be_anything() -> None:
    found = read(batch=[], sentAt=5, writeKey=7, timestamp=[], context=None, integrations=None, x={"y": 1})
    assert (found.sent_at, found.write_key, found.context, found.integrations) == (None, None, None, None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'"batch"', "invalid_json"),
        (b"null", "invalid_json"),
        (b'{"batch":[]} x', "invalid_json"),
        (b'{"batch":["\x01"]}', "invalid_json"),
        (b"{}", "invalid_batch"),
        (b'{"batch":null}', "invalid_batch"),
        (b'{"batch":{}}', "invalid_batch"),
        (b'{"batch":"x"}', "invalid_batch"),
        (b'{"batch":[],"context":3}', "invalid_context"),
        (b'{"batch":[],"context":{"import":"true"}}', "invalid_context"),
        (b'{"batch":[],"integrations":[]}', "invalid_integrations"),
        (b"[" * 500_000, "invalid_json"),
        (b'{"batch":' + b"[" * 500_000, "too_deep"),
    ],
)
def test_faults_of_the_whole_request(body: bytes, code: str) -> None:
    assert refused(body) == (400, code)


def test_too_many_events() -> None:
    most = b'{"batch":[' + b",".join([b"1"] * envelope.MAX_EVENTS)
    assert len(envelope.read_batch(most + b"]}").events) == envelope.MAX_EVENTS
    assert refused(most + b",1]}") == (413, "too_many_events")


@pytest.mark.parametrize(
    ("shared", "code"),
    [
        (b'{"x":1e400}', "invalid_context"),
        (b'{"x":' + b"9" * 100_000 + b"}", "invalid_context"),
        (b'{"x":' + b"[" * 63 + b"]" * 63 + b"}", "invalid_context"),
        (b'{"x":"\\u12"}', "invalid_json"),
    ],
)
def test_what_becomes_a_part_of_every_event_is_as_sound_as_an_event(shared: bytes, code: str) -> None:
    assert refused(b'{"batch":[{}],"context":' + shared + b"}") == (400, code)


def test_what_becomes_a_part_of_every_event_is_bounded_for_all_of_them_together() -> None:
    context = b'{"x":"' + b"y" * 200_000 + b'"}'
    many = b"[" + b",".join([b"{}"] * 2500) + b"]"
    assert refused(b'{"batch":' + many + b',"context":' + context + b"}") == (413, "context_too_large")
    assert refused(b'{"batch":' + many + b',"integrations":' + context + b"}") == (413, "integrations_too_large")
    assert envelope.read_batch(b'{"batch":[{}],"context":' + context + b"}").context


def test_the_last_of_repeated_keys_counts() -> None:
    found = envelope.read_batch(b'{"batch":[],"batch":[1],"context":{"import":true},"context":{"import":false}}')
    assert (len(found.events), found.imported) == (1, False)


def test_a_single_event_is_its_own_envelope() -> None:
    found = envelope.read_single(b'{"event":"x","sentAt":"t","writeKey":"wk"}')
    assert (len(found.events), found.sent_at, found.write_key) == (1, "t", "wk")
    with pytest.raises(Refusal):
        envelope.read_single(b"[]")
