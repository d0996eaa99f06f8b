"""The ring of keys: values are opened by any, sealed by the first, and moved over while the service runs."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag
from pydantic import SecretStr
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.messaging.parked import Origin, Parked
from perennial.common.runtime import Runtime
from perennial.common.settings import CommonSettings
from perennial.identity.decisions.service import Keys
from perennial.identity.parked import rows as parked_rows
from perennial.identity.parked.rows import park
from perennial.identity.sealing import queries
from perennial.identity.sealing.jobs import reseal
from perennial.identity.settings import IdentitySettings, vault_of
from perennial.identity.vault import Vault

OLD, NEW = "22" * 32, "33" * 32


def ring(settings: CommonSettings, **changes: Any) -> IdentitySettings:
    made = {**settings.model_dump(), "encryption_key": None, **changes}
    return IdentitySettings.model_validate(made)


def test_a_value_opens_by_its_own_key_and_in_its_own_row_only() -> None:
    before, after = Vault({1: bytes.fromhex(OLD)}), Vault({2: bytes.fromhex(NEW), 1: bytes.fromhex(OLD)})
    sealed = before.seal("ann@example.com", b"row")
    assert after.open(sealed, b"row") == "ann@example.com"
    assert after.again(sealed, b"row")[0] == 2
    assert before.seal("x", b"row") != before.seal("x", b"row")
    with pytest.raises(InvalidTag):
        after.open(sealed, b"another row")
    with pytest.raises(LookupError, match="key 2 is not on the ring"):
        before.open(after.seal("x", b"row"), b"row")


def test_a_ring_is_read_from_the_environment_or_a_file(settings: CommonSettings, tmp_path: Path) -> None:
    assert vault_of(ring(settings, encryption_keys=SecretStr(f"2:{NEW},1:{OLD}"))).current == 2
    (tmp_path / "ring").write_text(f"# the new one\n3:{NEW}\n1:{OLD}\n")
    assert vault_of(ring(settings, encryption_keys_file=tmp_path / "ring")).current == 3
    assert vault_of(ring(settings, encryption_key=SecretStr(OLD))).current == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "holds no key"),
        (f"0:{OLD}", "number of its own"),
        (f"256:{OLD}", "number of its own"),
        (f"1:{OLD},1:{NEW}", "number of its own"),
        (f"x:{OLD}", "number of its own"),
        ("1:22", "32 bytes"),
        ("1:" + "zz" * 32, "32 bytes"),
    ],
)
def test_a_bad_ring_is_refused_with_the_variable_and_without_the_key(
    settings: CommonSettings, written: str, said: str
) -> None:
    with pytest.raises(ValueError, match=f"PERENNIAL_ENCRYPTION_KEYS.*{said}") as caught:
        vault_of(ring(settings, encryption_keys=SecretStr(written)))
    assert OLD not in str(caught.value)


async def test_everything_is_sealed_again_and_can_be_read_all_the_time(
    runtime: Runtime,
    session: WriteSession,
    settings: CommonSettings,
    decided: Callable[..., Awaitable[Any]],
    accept: Any,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queries, "BATCH", 2)
    traits = {"email": "ann@example.com", "firstName": "Ann", "lastName": "Lee", "birthday": "1990-01-02"}
    await decided(*(accept(kind="identify", userId=f"u{number}", traits=traits) for number in range(4)))
    await decided(*(accept(userId="null", properties={"note": number}) for number in range(3)))
    before = await queries.counts(session)
    assert set(before) == {1}
    runtime.settings = ring(settings, encryption_keys=SecretStr(f"2:{NEW},1:{OLD}"))
    await reseal(runtime)
    assert await queries.counts(session) == {2: before[1]}
    newer = Vault({2: bytes.fromhex(NEW)})
    rows = await session.execute(text("SELECT sealed, digest FROM identifier WHERE kind = 'email'"))
    assert {newer.open(row[0], row[1]) for row in rows} == {"ann@example.com"}
    assert {row.error[:13] for row in await parked_rows.listing(session, newer)} == {"no_identifier"}
    await reseal(runtime)
    assert await queries.counts(session) == {2: before[1]}
    runtime.settings = settings


async def test_what_was_written_meanwhile_stays(
    session: WriteSession, decided: Callable[..., Awaitable[Any]], accept: Any, keys: Keys
) -> None:
    await decided(accept(userId="u1"))
    (found,) = await queries.old(session, queries.TABLES[0], 9, queries.NONE)
    await session.execute(text("UPDATE identifier SET sealed = :new"), {"new": b"\x05later"})
    await queries.replace(session, queries.TABLES[0], [found], [b"\x02mine"])
    assert (await session.execute(text("SELECT sealed FROM identifier"))).scalar_one() == b"\x05later"


async def test_no_address_and_no_number_can_be_read_in_the_schema(
    session: WriteSession, decided: Callable[..., Awaitable[Any]], accept: Any, keys: Keys
) -> None:
    traits = {"email": "secret.person@example.com", "phone": "+12025550123", "lastName": "Secretperson"}
    await decided(accept(kind="identify", userId="u1", anonymousId="a1", traits=traits))
    await decided(accept(anonymousId="a2"), accept(userId="u1", anonymousId="a2"))
    await decided(accept(userId="u2", traits=traits))
    nobody = accept(userId="null", properties={"note": "Secretperson, +12025550123, secret.person@example.com"})
    await decided(nobody)
    origin = Origin("INGEST", "gateway.events.accepted.v1", {}, json.dumps(traits).encode())
    await park(session, [Parked(origin, uuid4(), f"ValueError({traits})", f"Traceback … {traits}")], keys.vault)
    for table in ("merge", "conflict", "parked"):
        assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
    tables = await session.execute(
        text("""SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
                AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'""")
    )
    for table in tables.scalars().all():
        dump = await session.execute(text(f"SELECT coalesce(string_agg(t::text, chr(10)), '') FROM \"{table}\" t"))
        readable = str(dump.scalar_one()).lower()
        for secret in ("secret.person", "2025550123", "secretperson"):
            assert secret not in readable, table
            assert secret.encode().hex() not in readable, table
