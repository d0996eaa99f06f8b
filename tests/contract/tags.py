"""The catalogue of tags, docs/tags.md: `python -m tests.contract.tags` writes it from the data that is shipped."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perennial.common import rules
from perennial.profile.tags.definitions import presets
from perennial.profile.tags.definitions.schemas import TagIn
from perennial.profile.tags.words.hearing import shipped

FILE = Path(__file__).parents[2] / "docs" / "tags.md"
COMMAND = "python -m tests.contract.tags"
DIMENSIONS = {
    "value": "Value: what a customer is worth",
    "behaviour": "Behaviour: what a customer does",
    "attribute": "Attribute: who a customer is",
    "need": "Need: what a customer's words ask for",
}
MOST_TERMS = 8
HEAD = """\
# Tags and life cycle

Written by `{command}` from what is shipped; a test compares it.

{number} tags are there from the first day. They work on the standard events (the names of the Segment specification),
on the reserved traits and on the standard computed traits. A shop changes, archives and adds its own under `/v1/tags`;
what it has changed is left alone when a new version of the platform ships another wording.

- **rule**: a rule of the platform's rule language; the clock changes it too, by one timer for each customer. Besides
  traits and computed traits it may read `first_seen`, `last_seen` and `tags` (those given by hand, by words, by share,
  and those of rules that do not read `tags` themselves).
- **computed**: a share of all customers by a number they show. Where it begins is counted every six hours and when the
  definition changes; equal numbers stand or fall together, so a share is never larger than it says.
- **words**: reviews (`Product Reviewed`: `review_body`), searches (`Products Searched`: `query`) and chats (`Live Chat
  Message Sent`: `message_body`) are looked through for the words of topics. A text counts by its words of the topic, at
  most three, and half as much after each half-life; the tag holds from the threshold on. The texts of tickets are in
  no event, so they are not heard.
- **manual** and **imported**: given by staff or by an import, under an identifier, for a time where the tag `lasts`.

A tag weighs 1, or what its definition says for the customer's stage of the life cycle.

Mood is judged by a lexicon of some 250 English and Chinese words with negations and boosters, and by the stars of a
review. It is right about plain judgements and blind to irony and to what is only implied; where it knows no word it
says nothing. An installed package with an entry point in the group `perennial.sentiment` takes its place.
"""


def write() -> str:
    """The whole document."""
    tags = presets.tags()
    parts = [HEAD.format(command=COMMAND, number=len(tags))]
    for dimension, title in DIMENSIONS.items():
        mine = [tag for tag in tags if tag.dimension == dimension]
        rows = [
            (f"`{tag.key}`", tag.label.en, tag.label.zh or "", tag.kind, tag.about.en, tag.about.zh or "", _basis(tag))
            for tag in mine
        ]
        heads = ("key", "name", "名称", "kind", "what it says", "含义", "how it comes about")
        parts += [f"## {title}\n", f"{len(mine)} tags.\n", _table(heads, rows)]
    return "\n".join([*parts, _topics(), *_ladders()])


def _basis(tag: TagIn) -> str:
    weights = ", ".join(f"{stage} × {weight:g}" for stage, weight in tag.weights.items())
    return _cell(f"{_derived(tag)}{f' (weight: {weights})' if weights else ''}")


def _derived(tag: TagIn) -> str:
    if tag.rule is not None:
        return rules.describe(rules.parse(tag.rule))
    if tag.computed is not None:
        end, share = ("top", tag.computed.top) if tag.computed.top is not None else ("bottom", tag.computed.bottom)
        return f"{end} {share:g} % by {tag.computed.trait}"
    if tag.words is not None:
        topics = ", ".join(tag.words.topics) or "anything"
        mood = f", {tag.words.mood} in mood" if tag.words.mood else ""
        kinds = " and ".join(tag.words.kinds)
        return f"words on {topics}{mood}, in {kinds}; from {tag.words.threshold:g}, half-life {tag.words.half_life}"
    return f"by hand{f', lasts {tag.lasts}' if tag.lasts else ''}" if tag.kind == "manual" else "by import"


def _topics() -> str:
    rows = []
    for topic in presets.load("topics.json"):
        terms: Mapping[str, Sequence[str]] = topic["terms"]
        rows.append((f"`{topic['key']}`", topic["label"]["en"], topic["label"]["zh"], *map(_terms, terms.values())))
    heads = ("key", "name", "名称", "English words", "中文词")
    about = (
        "What words are looked through for; a shop changes them under `/v1/topics`, and what was said is heard again.\n"
    )
    return "\n".join(["## Topics\n", about, _table(heads, rows)])


def _terms(terms: Sequence[str]) -> str:
    return ", ".join(terms[:MOST_TERMS]) + (f" and {len(terms) - MOST_TERMS} more" if len(terms) > MOST_TERMS else "")


def _ladders() -> Iterable[str]:
    yield "## Ladders of the life cycle\n"
    yield "One is in use (`/v1/lifecycle`). A customer stands on the last stage whose rule holds.\n"
    for ladder in shipped("perennial.profile.stages", "ladders.json"):
        rows = [
            (f"`{stage['key']}`", stage["label"]["en"], stage["label"]["zh"], _said(stage))
            for stage in ladder["stages"]
        ]
        yield f"### {ladder['label']['en']} (`{ladder['key']}`)\n"
        yield _table(("key", "name", "名称", "rule"), rows)


def _said(stage: Mapping[str, Any]) -> str:
    return _cell(rules.describe(rules.parse(stage["rule"])))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    FILE.write_text(write())
