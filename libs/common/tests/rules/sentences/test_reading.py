"""A sentence reads back as the rule that it describes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.common.tests.rules.drawn.documents import questions
from libs.common.tests.rules.drawn.histories import searched
from perennial.common import rules


def plain(document: Any) -> Any:
    """Without what prints alike: groups of one, at least one occurrence, the brackets of an element's list."""
    if isinstance(document, list):
        return [plain(part) for part in document]
    if not isinstance(document, dict):
        return document
    for name in ("all", "any"):
        if len(document.get(name, ())) == 1:
            return plain(document[name][0])
    kept = {key: part for key, part in document.items() if (key, part) != ("count", {"gte": 1})}
    return {key: part.removesuffix("[]") if key in {"any_of", "none_of"} else plain(part) for key, part in kept.items()}


@searched
@given(chosen=questions, language=st.sampled_from(["en", "zh"]))
def test_a_sentence_leads_back_to_its_rule(chosen: list[dict[str, Any]], language: Any) -> None:
    for document in chosen:
        rule = rules.parse(document)
        read = rules.parse_sentence(rules.describe(rule, language), language)
        assert plain(rules.dump(read)) == plain(rules.dump(rule))
