"""The rule language over HTTP: its schema, rules in words, words as rules."""

import httpx
import jsonschema
import pytest

RULE = {"all": [{"trait": "plan", "is": "pro"}, {"event": "Order Completed", "within": "P30D", "count": {"gte": 2}}]}


async def test_the_schema_takes_what_the_platform_takes(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/v1/rules/schema")).json()
    jsonschema.Draft202012Validator(schema).validate(RULE)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({"trait": "plan", "is_nearly": "pro"})


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_rule_is_a_sentence_and_the_sentence_is_the_rule(client: httpx.AsyncClient, language: str) -> None:
    made = (await client.post("/v1/segments", json={"name": "Die Treuen (忠诚)", "rule": {"everyone": True}})).json()
    rule = {"any": [RULE, {"not": {"segment": made["id"]}}]}
    said = await client.post("/v1/rules/describe", json={"rule": rule})
    assert said.status_code == 200, said.text
    assert "Die Treuen (忠诚)" in said.json()[language]
    read = await client.post("/v1/rules/parse", json={"sentence": said.json()[language], "language": language})
    assert (read.status_code, read.json()) == (200, said.json())


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("parse", {"sentence": "everybody I like"}, "/sentence"),
        ("parse", {"sentence": ""}, "/sentence"),
        ("parse", {"sentence": "x", "language": "de"}, "/language"),
        ("describe", {"rule": {"all": [{"trait": "plan"}]}}, "/rule/all/0"),
    ],
)
async def test_what_cannot_be_read_is_refused(
    client: httpx.AsyncClient, path: str, body: dict[str, object], pointer: str
) -> None:
    answer = await client.post(f"/v1/rules/{path}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
