"""A shop's own classes decide who sees and who searches a trait; other services judge by its name."""

import dataclasses
from collections.abc import Iterable

import pytest
from sqlalchemy import text

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.masks import Sensitivity
from perennial.profile.traits.definitions.schema import Schema, read, seeing

OWN: dict[str, dict[str, object]] = {
    "plan": {"sensitivity": "sensitive"},
    "phone": {"sensitivity": "public", "sensitivity_lowered": True},
    "email": {"sensitivity": "personal"},
    "nick": {},
}
SCHEMA = Schema("x", {key: read({"key": key, **body}) for key, body in OWN.items()})
CLASSES: dict[str, Sensitivity] = {"plan": "sensitive", "phone": "public", "email": "sensitive", "nick": "personal"}


def principal(fields: Iterable[str]) -> Principal:
    return Principal("staff", "ann", frozenset({"*"}), fields=frozenset(fields))


def test_the_stricter_of_name_and_definition_counts_unless_it_is_lowered() -> None:
    assert SCHEMA.classes == CLASSES
    assert (SCHEMA.class_of("city"), SCHEMA.class_of("id_card")) == ("public", "sensitive")


@pytest.mark.parametrize("fields", [(), ("personal",), ("sensitive",), ("plan",), ("*",)])
async def test_seeing_and_searching_agree(session: WriteSession, fields: tuple[str, ...]) -> None:
    who = seeing(principal(fields), SCHEMA)
    query = text(
        f"SELECT k FROM unnest(CAST(:keys AS text[])) AS k WHERE {masks.searchable('k', 'CAST(:said AS text)')}"
    )
    keys = [*OWN, "city", "id_card", "motto"]
    found = await session.execute(query, {"keys": keys, "said": "quick", **masks.search_parameters(who)})
    assert set(found.scalars()) == {key for key in keys if masks.sees(who, key)}


def test_without_a_schema_names_decide() -> None:
    who = principal(("personal",))
    assert [masks.sees(who, key) for key in OWN] == [True, False, False, True]
    assert [masks.sees(seeing(who, SCHEMA), key) for key in OWN] == [False, True, False, True]
    assert seeing(who, Schema("", {})) is who
    assert hash(dataclasses.replace(who, classes={"plan": "public"})) == hash(who), "it may be a key of a cache"
