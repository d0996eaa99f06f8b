"""Deciding whose events these are."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import WriteSession
from perennial.common.ids import digest_uuid
from perennial.identity.decisions import service
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.parked import rows

ASSIGNED, MERGED = "identity.identifiers.assigned.v1", "identity.customer.merged.v1"


async def scalars(session: WriteSession, statement: str) -> list[Any]:
    return list((await session.execute(text(statement))).scalars())


async def test_an_event_is_attributed_to_its_strongest_identifier(decided: Any, accept: Any, emitted: Any) -> None:
    [event] = await decided(accept(anonymousId="a", userId="u", traits={"email": "u@x.cn"}, message_id="one"))
    assert event.id == digest_uuid("shop", "one")
    assert (event.customer, event.version, event.source) == (event.via, 1, "shop")
    [fact] = await emitted(ASSIGNED)
    assert {item["kind"] for item in fact["assignments"]} == {"user_id", "email", "anonymous_id"}
    assert {item["customer"] for item in fact["assignments"]} == {str(event.via)}
    assert all(len(bytes.fromhex(item["digest"])) == 16 for item in fact["assignments"])


async def test_a_known_identifier_changes_nothing(decided: Any, accept: Any, emitted: Any) -> None:
    [first] = await decided(accept(userId="u", anonymousId="a"))
    [second] = await decided(accept(userId="u", anonymousId="a"))
    assert (second.via, second.customer, second.version) == (first.via, first.customer, 1)
    assert len(await emitted(ASSIGNED)) == 1


async def test_repeats_are_dropped_in_a_pull_and_after_it(decided: Any, accept: Any) -> None:
    event = accept(userId="u", message_id="same")
    assert len(await decided(event, event, seq=5)) == 1
    assert await decided(event, seq=6) == []
    assert len(await decided(event, seq=7, source="another shop")) == 1


async def test_what_the_same_message_brought_is_published_again(decided: Any, accept: Any) -> None:
    event = accept(userId="u", message_id="same")
    [first] = await decided(event, seq=5)
    [again] = await decided(event, seq=5)
    assert again == first


async def test_a_repeat_is_published_with_the_customer_of_today_under_its_old_identifier(
    decided: Any, accept: Any, session: WriteSession
) -> None:
    event = accept(anonymousId="a", message_id="same")
    [first] = await decided(event, seq=5)
    [known] = await decided(accept(userId="u"), seq=6)
    await decided(accept(userId="u", anonymousId="a"), seq=7)
    [again] = await decided(event, seq=5)
    assert (again.via, again.customer, again.version) == (first.via, known.customer, 2)


async def test_a_visitor_who_signs_up_keeps_the_name(decided: Any, accept: Any, session: WriteSession) -> None:
    [visit] = await decided(accept(anonymousId="a"))
    [signed_up] = await decided(accept(anonymousId="a", userId="u"))
    assert signed_up.via != visit.via
    assert signed_up.customer == visit.customer
    assert await scalars(session, "SELECT count(*) FROM merge") == [0]
    [row] = (await session.execute(text("SELECT * FROM map_change"))).mappings()
    assert (row["cause"], row["via"], row["through"], row["event_id"]) == (
        "attached", signed_up.via, visit.via, signed_up.id,
    )  # fmt: skip


async def test_two_customers_become_one_and_the_named_one_survives(
    decided: Any, accept: Any, emitted: Any, session: WriteSession, whole: Any
) -> None:
    [visit] = await decided(accept(anonymousId="a"))
    [other] = await decided(accept(userId="u"))
    [joined] = await decided(accept(userId="u", anonymousId="a"))
    assert joined.customer == other.customer
    [merge] = (await session.execute(text("SELECT * FROM merge"))).mappings()
    assert (merge["survivor"], merge["merged"]) == (other.customer, visit.customer)
    assert (merge["survivor_vias"], merge["merged_vias"]) == ([other.via], [visit.via])
    assert merge["evidence"]["event_id"] == str(joined.id)
    [fact] = await emitted(MERGED)
    assert (fact["survivor"], fact["merged"], fact["kind"]) == (str(other.customer), str(visit.customer), "auto")
    moved = (await emitted(ASSIGNED))[-1]["assignments"]
    assert [(item["via"], item["customer"], item["version"]) for item in moved] == [
        (str(visit.via), str(other.customer), 2)
    ]
    await whole(session)


async def test_the_older_of_two_unnamed_customers_survives(decided: Any, accept: Any) -> None:
    [first] = await decided(accept(traits={"email": "a@x.cn"}, anonymousId="null"))
    await decided(accept(anonymousId="b"))
    [joined] = await decided(accept(traits={"email": "a@x.cn"}, anonymousId="b"))
    assert joined.customer == first.customer


async def test_an_import_merges_without_saying_so(decided: Any, accept: Any, emitted: Any) -> None:
    await decided(accept(anonymousId="a"), accept(userId="u"), accept(userId="u", anonymousId="a", live=False))
    assert await emitted(MERGED) == []


async def test_all_of_it_in_one_pull_gives_the_same(
    decided: Any, accept: Any, session: WriteSession, whole: Any
) -> None:
    visit, known, joined, later = await decided(
        accept(anonymousId="a"), accept(userId="u"), accept(userId="u", anonymousId="a"), accept(anonymousId="a")
    )
    assert {event.customer for event in (visit, known, joined, later)} == {known.via}
    assert await scalars(session, "SELECT count(*) FROM merge") == [1]
    await whole(session)


async def test_two_user_ids_are_never_one_customer(decided: Any, accept: Any, session: WriteSession) -> None:
    [ann] = await decided(accept(userId="ann", anonymousId="kiosk"))
    [bob] = await decided(accept(userId="bob", anonymousId="kiosk", message_id="first"))
    await decided(*[accept(userId="bob", anonymousId="kiosk") for _ in range(3)])
    await decided(accept(userId="bob", anonymousId="kiosk"))
    assert ann.customer != bob.customer
    [row] = (await session.execute(text("SELECT * FROM conflict"))).mappings()
    assert (row["reason"], row["kind"], row["against"], row["count"]) == ("two_user_ids", "user_id", bob.via, 5)
    assert row["evidence"]["message_id"] == "first"
    [later] = await decided(accept(anonymousId="kiosk"))
    assert (row["via"], later.via, later.customer) == (later.via, later.via, ann.customer)


async def test_the_weakest_is_left_out_and_the_rest_is_joined(
    decided: Any, accept: Any, whose: Any, session: WriteSession
) -> None:
    await decided(accept(userId="bob", anonymousId="kiosk"))
    await decided(accept(userId="ann", traits={"email": "ann@x.cn"}, anonymousId="kiosk"))
    found = await whose(session, "user_id:ann", "email:ann@x.cn", "anonymous_id:kiosk", "user_id:bob")
    assert found["email:ann@x.cn"] == found["user_id:ann"]
    assert found["anonymous_id:kiosk"] == found["user_id:bob"] != found["user_id:ann"]


async def test_a_customer_holds_no_more_of_a_kind_than_the_limit(
    decided: Any, accept: Any, session: WriteSession, whose: Any
) -> None:
    mails = [f"m{n}@x.cn" for n in range(7)]
    events = await decided(*[accept(userId="u", traits={"email": mail}) for mail in mails])
    found = await whose(session, "user_id:u", *[f"email:{mail}" for mail in mails])
    assert [found[f"email:{mail}"] == found["user_id:u"] for mail in mails] == [True] * 5 + [False] * 2
    assert len({event.via for event in events}) == 1
    assert await scalars(session, "SELECT reason || kind FROM conflict") == ["limitemail"] * 2


async def test_an_event_of_nobody_is_parked_once_and_its_neighbours_go_on(
    decided: Any, accept: Any, session: WriteSession, keys: Keys
) -> None:
    nobody = accept(userId="null", anonymousId="undefined")
    assert len(await decided(nobody, accept(userId="u"), seq=3)) == 1
    assert len(await decided(nobody, seq=3)) == 0
    [row] = await rows.listing(session, keys.vault)
    assert row.error.startswith("no_identifier")
    assert row.event_id == digest_uuid("shop", nobody.message_id)


async def test_an_event_older_than_the_horizon_is_parked_unless_imported(
    decided: Any, accept: Any, session: WriteSession, keys: Keys
) -> None:
    old = datetime.now(UTC) - timedelta(days=40)
    kept = await decided(accept(userId="u", at=old), accept(userId="u", at=old, imported=True))
    assert len(kept) == 1
    [row] = await rows.listing(session, keys.vault)
    assert row.error.startswith("too_old: timestamp")


async def test_identifiers_are_stored_sealed(decided: Any, accept: Any, session: WriteSession, keys: Keys) -> None:
    await decided(accept(userId="u", traits={"email": "secret@example.com"}))
    rows = (await session.execute(text("SELECT digest, sealed FROM identifier WHERE kind = 'email'"))).all()
    assert [keys.vault.open(sealed, digest) for digest, sealed in rows] == ["secret@example.com"]
    assert b"secret" not in rows[0].sealed


async def test_the_turn_of_the_week_is_passed_one_at_a_time(
    session: WriteSession, accept: Any, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[tuple[object, ...]] = []

    async def lock(_: WriteSession, *parts: object) -> None:
        locked.append(parts)

    monkeypatch.setattr(service, "lock", lock)
    turn = datetime.fromtimestamp((service.week_of(datetime.now(UTC)) + 1) * 604800, UTC)
    for seconds in (-601, -599, 599, 601):
        arrivals = Arrival.of(EventsAccepted("shop", [accept(userId="u")]), 1)
        await decide(session, arrivals, keys, turn + timedelta(seconds=seconds))
    assert len(locked) == 2


Emitted = Callable[[str], Awaitable[list[dict[str, Any]]]]


async def test_many_new_identifiers_are_told_in_facts_the_broker_takes(
    decided: Any, accept: Any, emitted: Emitted
) -> None:
    await decided(*[accept(userId=f"u{n}", anonymousId=f"a{n}") for n in range(1000)])
    facts = await emitted(ASSIGNED)
    assert [len(fact["assignments"]) for fact in facts] == [1500, 500]


async def test_when_the_client_sent_an_event_travels_on(decided: Any, accept: Any) -> None:
    sent = datetime(2026, 3, 1, 12, tzinfo=UTC)
    [first, second] = await decided(msgspec.structs.replace(accept(userId="u1"), sent_at=sent), accept(userId="u2"))
    assert (first.sent_at, second.sent_at) == (sent, None)
