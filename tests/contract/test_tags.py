"""The document of the catalogue is the data's, and the readings of its rules are the standard ones."""

from perennial.common import commerce, rules
from perennial.common.rules.evaluation.footprint import footprint
from perennial.profile.computed.standard import STANDARD
from perennial.profile.tags.definitions import presets
from perennial.profile.tags.words.hearing import shipped
from tests.contract.tags import COMMAND, FILE, write

NAMES = {*commerce.NAMES, *commerce.LIFECYCLE, "Page Viewed", "Screen Viewed"}
TRAITS = {
    "address", "age", "birthday", "company", "country", "created_at", "email", "first_name", "gender", "language",
    "last_name", "locale", "name", "phone", "plan",
    "first_seen", "last_seen", *STANDARD,
}  # fmt: skip


def test_the_document_is_up_to_date() -> None:
    assert FILE.read_text() == write(), f"the catalogue changed: run `{COMMAND}` and commit docs/tags.md"


def test_the_catalogue_reads_only_what_every_shop_has() -> None:
    for tag in presets.tags():
        if tag.rule is not None:
            reads = footprint(rules.parse(tag.rule))
            assert reads.events <= NAMES, tag.key
            assert reads.traits <= TRAITS, tag.key
            assert reads.events == frozenset() or reads.look_back is not None, f"{tag.key} reads all of the timeline"
        if tag.computed is not None:
            assert tag.computed.trait in STANDARD, tag.key


def test_topics_and_stages_that_tags_name_exist() -> None:
    topics = {topic["key"] for topic in presets.load("topics.json")}
    stages = {
        stage["key"] for ladder in shipped("perennial.profile.stages", "ladders.json") for stage in ladder["stages"]
    }
    for tag in presets.tags():
        assert tag.weights.keys() <= stages, tag.key
        if tag.words is not None:
            assert set(tag.words.topics) <= topics, tag.key


def test_ladders_read_only_the_row() -> None:
    for ladder in shipped("perennial.profile.stages", "ladders.json"):
        for stage in ladder["stages"]:
            reads = footprint(rules.parse(stage["rule"]))
            assert (reads.events, reads.segments) == (frozenset(), frozenset())
            assert reads.traits <= TRAITS
