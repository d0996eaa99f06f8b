"""The edit form: what its JSON Schema allows is accepted, and it says what may be changed."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from perennial.profile.traits.definitions.form import language_of, value_schema
from perennial.profile.traits.definitions.kinds import Unfit, fitted
from perennial.profile.traits.definitions.schema import read
from perennial.profile.traits.definitions.schemas import TraitDefined

BODIES: tuple[dict[str, Any], ...] = (
    {"type": "string", "min_length": 1, "max_length": 4, "pattern": "[a-c]+"},
    {"type": "number", "minimum": "-2.5", "maximum": "10"},
    {"type": "number", "whole": True},
    {"type": "boolean"},
    {"type": "enum", "values": [{"value": "red"}, {"value": "Blue"}]},
    {"type": "list", "items": "string", "max_items": 2},
    {"type": "list", "items": "number"},
    {"type": "object"},
    {"type": "money"},
    {"type": "geo"},
)
DEFINED = [TraitDefined.model_validate({"key": "x", "label": {"en": "X"}, **body}) for body in BODIES]
Leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-12, 12), st.floats(-12, 12, width=16), st.text("abcd", max_size=5),
    st.sampled_from(["red", "blue", "1.50", "USD", "12345678901234567890"]),
)  # fmt: skip
Value = st.one_of(
    Leaf,
    st.lists(Leaf, max_size=3),
    st.dictionaries(st.sampled_from(["amount", "currency", "lat", "lng", "a"]), Leaf, max_size=3),
)


@given(defined=st.sampled_from(DEFINED), value=Value)
def test_what_the_schema_allows_is_accepted(defined: TraitDefined, value: Any) -> None:
    schema = value_schema(defined)
    Draft202012Validator.check_schema(schema)
    if value is None or not Draft202012Validator(schema).is_valid(value):
        return
    kept = fitted(read(defined.model_dump()), json.dumps(value))
    assert fitted(read(defined.model_dump()), kept) == kept, "what is kept is canonical"


@pytest.mark.parametrize(
    ("kind", "said", "kept"),
    [
        ("number", '"1.50"', "1.5"),
        ("number", "12345678901234567890.10", "12345678901234567890.1"),
        ("number", "true", None),
        ("number", '"NaN"', None),
        ("boolean", '"Yes"', "true"),
        ("date", '"2026/02/28"', '"2026-02-28"'),
        ("date", '"2026-02-30"', None),
        ("datetime", '"2026-01-01T08:00:00.50+08:00"', '"2026-01-01T00:00:00.5Z"'),
        ("list", '"one"', '["one"]'),
        ("list", '{"a":1}', None),
        ("money", '"12.30 cny"', '{"amount":"12.3","currency":"CNY"}'),
        ("money", "12", None),
        ("geo", '"31.2, 121.5"', '{"lat":31.2,"lng":121.5}'),
        ("geo", '{"latitude":91,"longitude":0}', None),
        ("string", "12.0", '"12"'),
        ("string", "[]", None),
    ],
)
def test_values_are_read_leniently_and_kept_in_one_form(kind: str, said: str, kept: str | None) -> None:
    definition = read({"key": "x", "type": kind})
    if kept is None:
        with pytest.raises(Unfit):
            fitted(definition, said)
    else:
        assert fitted(definition, said) == kept


async def test_the_form_has_groups_labels_and_what_may_be_changed(
    client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    plan = {"key": "plan", "label": {"en": "Plan", "zh": "套餐"}, "type": "enum", "group": "account", "order": 1}
    await client.post("/v1/traits", json={**plan, "values": [{"value": "pro", "label": {"en": "Pro", "zh": "专业版"}}]})
    chinese = await client.get("/v1/traits/form", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"})
    assert chinese.headers["content-language"] == "zh"
    form = chinese.json()
    Draft202012Validator.check_schema(form["schema"])
    account = next(group for group in form["layout"] if group["group"] == "account")
    assert (account["label"], account["fields"][0]) == (
        "账户",
        {
            "key": "plan", "label": "套餐", "widget": "select", "required": False, "read_only": False,
            "options": [{"value": "pro", "label": "专业版"}],
        },
    )  # fmt: skip
    assert form["schema"]["properties"]["plan"]["enum"] == ["pro", None]
    who = {"Authorization": f"Bearer {token('customers:read', 'customers:write', fields=['personal'])}"}
    masked = (await client.get("/v1/traits/form", params={"lang": "en"}, headers=who)).json()
    properties = masked["schema"]["properties"]
    assert (properties["email"].get("readOnly"), properties["name"].get("readOnly")) == (True, None)


@pytest.mark.parametrize(
    ("accept", "language"),
    [(None, "en"), ("fr", "en"), ("zh", "zh"), ("en;q=0.2, zh;q=0.8", "zh"), ("de, en-GB, zh", "en"), ("zh;q=x", "en")],
)
def test_the_language_is_the_one_that_is_liked_best(accept: str | None, language: str) -> None:
    assert language_of(None, accept) == language
    assert language_of("zh", accept) == "zh"
