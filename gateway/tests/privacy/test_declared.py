"""Rejected events are found by the identifiers in them, in whatever place and spelling."""

import json

import pytest

from perennial.common.identifiers import blind_index, normalise
from perennial.common.ids import uuid7
from perennial.common.privacy import Searched, Subject
from perennial.common.settings import CommonSettings
from perennial.gateway.privacy.declared import PRIVACY

KEY = bytes.fromhex("11" * 32)
SETTINGS = CommonSettings(database_url="postgresql://x", nats_url="nats://x", identifier_key=KEY.hex(), region="CN")  # type: ignore[arg-type]
VIOLATIONS = PRIVACY.tables["violation"]


def subject(*identifiers: tuple[str, str]) -> Subject:
    digests = {blind_index(KEY, kind, str(normalise(kind, value, "CN"))) for kind, value in identifiers}
    return Subject(frozenset({uuid7()}), frozenset(digests))


ADA = subject(
    ("email", "ada@example.com"), ("phone", "+8613800138000"), ("user_id", "u-7"), ("member_id", "4711"),
    ("anonymous_id", "tablet-1"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "hers"),
    [
        ({"userId": "u-7", "event": 1}, True),
        ({"traits": {"deep": [{"mail": " Ada@Example.com "}]}}, True),
        ({"traits": {"tel": "138 0013 8000"}}, True),
        ({"properties": {"member": 4711}}, True),
        ({"userId": "u-8", "traits": {"email": "grace@example.com", "phone": "+8613900139000"}}, False),
        ({"anonymousId": "tablet-1"}, True),
        ({"userId": "u-7", "anonymousId": "tablet-1"}, True),
        ({"userId": "u-8", "anonymousId": "tablet-1"}, False),
        ({"userId": ["x" * 1000], "n": 1.5, "ok": True, "none": None}, False),
    ],
    ids=["user", "email", "phone", "number", "stranger", "device", "own-device", "shared-device", "odd"],
)
def test_whose_event_it_is(raw: object, hers: bool) -> None:
    assert isinstance(VIOLATIONS, Searched)
    judge = VIOLATIONS.judge(SETTINGS, ADA)
    assert judge({"raw": json.dumps(raw), "envelope": None}) is hers
    assert judge({"raw": "{}", "envelope": json.dumps({"context": raw})}) is hers


def test_a_broken_text_is_read_word_by_word_and_without_a_key_nothing_is_found() -> None:
    assert isinstance(VIOLATIONS, Searched)
    row = {"raw": '{"userId": "u-7", "email": "ada@example.com', "envelope": None}
    assert VIOLATIONS.judge(SETTINGS, ADA)(row)
    blind = SETTINGS.model_copy(update={"identifier_key": type(SETTINGS.identifier_key)("")})
    assert not VIOLATIONS.judge(blind, ADA)(row)
