"""HTTP bodies of the rule language."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.common.rules.sentences.reading import LONGEST

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST, pattern=r"^[^\x00]+$")]


class RuleIn(BaseModel):
    """A rule to print."""

    model_config = ConfigDict(extra="forbid")

    rule: dict[str, Any]


class SentenceIn(BaseModel):
    """A sentence to read, as rules are printed: it is not free language."""

    model_config = ConfigDict(extra="forbid")

    sentence: Sentence = Field(examples=["Holds when trait plan is “pro”."])
    language: Literal["en", "zh"] = "en"


class RuleSaid(BaseModel):
    """A rule, and what it says; segments are called by their names."""

    rule: dict[str, Any]
    en: str
    zh: str
