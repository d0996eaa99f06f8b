"""What an event says of whose it is."""

from typing import Any

import pytest

from perennial.common.contracts.gateway import AcceptedEvent
from perennial.identity.decisions.service import Keys
from perennial.identity.traces import Reader


def said(keys: Keys, event: AcceptedEvent) -> list[tuple[str, str]]:
    return [(trace.kind, trace.value) for trace in keys.reader.traces(event)]


def test_identifiers_come_strongest_first(keys: Keys, accept: Any) -> None:
    event = accept(
        anonymousId="a-1",
        userId="u-1",
        traits={"email": " Ann@Example.COM ", "phone": "(202) 555-0143", "memberId": "M7"},
        context={
            "device": {"id": "d-1", "token": "t-1"},
            "externalIds": [
                {"id": "o-1", "type": "wechat_openid", "collection": "users", "encoding": "none"},
                {"id": "acme", "type": "group_id", "collection": "accounts"},
                {"id": "77", "type": "loyalty_no"},
                {"id": "idfa", "type": "ios.idfa"},
                "nonsense",
            ],
        },
    )
    assert said(keys, event) == [
        ("user_id", "u-1"),
        ("email", "ann@example.com"),
        ("member_id", "M7"),
        ("phone", "+12025550143"),
        ("wechat_openid", "o-1"),
        ("external_id", "loyalty_no:77"),
        ("device_id", "d-1"),
        ("device_id", "idfa"),
        ("push_token", "t-1"),
        ("anonymous_id", "a-1"),
    ]


def test_traits_of_the_context_lie_under_the_events_own(keys: Keys, accept: Any) -> None:
    event = accept(
        kind="identify",
        userId="u",
        traits={"email": "new@x.cn"},
        context={"traits": {"email": "old@x.cn", "phone": "+8613800138000"}},
    )
    assert said(keys, event) == [("user_id", "u"), ("email", "new@x.cn"), ("phone", "+8613800138000")]


def test_the_traits_of_a_group_are_not_the_persons(keys: Keys, accept: Any) -> None:
    event = accept(
        kind="group", userId="u", groupId="g", traits={"email": "office@x.cn"}, context={"traits": {"email": "me@x.cn"}}
    )
    assert said(keys, event) == [("user_id", "u"), ("email", "me@x.cn")]


def test_an_alias_joins_the_old_id_and_a_self_alias_says_nothing(keys: Keys, accept: Any) -> None:
    assert said(keys, accept(kind="alias", userId="u", previousId="a")) == [("user_id", "u"), ("anonymous_id", "a")]
    assert said(keys, accept(kind="alias", userId="u", previousId="u")) == [("user_id", "u")]
    assert said(keys, accept(kind="track", userId="u", previousId="a")) == [("user_id", "u")]


@pytest.mark.parametrize(
    "value",
    ["null", "NULL", "undefined", "anonymous", "guest", "test", "None", "0", "0000-0000", "-1", "--", "  ", "x" * 400],
)
def test_blocked_values_identify_nobody(keys: Keys, accept: Any, value: str) -> None:
    event = accept(userId=value, anonymousId="a", context={"externalIds": [{"type": "erp", "id": value}]})
    assert said(keys, event) == [("anonymous_id", "a")]


@pytest.mark.parametrize(
    "fields",
    [
        {"context": {"traits": ["a"], "device": "phone", "externalIds": {"a": 1}}},
        {"context": {"traits": "x", "device": 7, "externalIds": [[1], None, {"type": 1}]}},
        {"traits": {"email": {"a": 1}, "phone": ["1"], "member_id": True}},
        {"traits": {"email": "nobody", "phone": "call me"}},
        {"traits": None, "context": None},
        {"context": {"traits": 10**400, "device": -(10**400)}},
    ],
)
def test_junk_is_passed_over(keys: Keys, accept: Any, fields: dict[str, Any]) -> None:
    assert said(keys, accept(userId="u", **fields)) == [("user_id", "u")]


def test_numbers_are_ids_too_and_repeats_are_one(keys: Keys, accept: Any) -> None:
    event = accept(
        userId="7",
        traits={"phone": 13800138000},
        context={"externalIds": [{"type": "user_id", "id": 7}, {"type": "user_id", "id": "8"}]},
    )
    assert [pair for pair in said(keys, event) if pair[0] == "user_id"] == [("user_id", "7"), ("user_id", "8")]


def test_a_phone_without_country_is_read_in_the_deployments_region(accept: Any) -> None:
    [_, phone] = Reader(b"k" * 32, "CN").traces(accept(userId="u", traits={"phone": 13800138000}))
    assert phone.value == "+8613800138000"
