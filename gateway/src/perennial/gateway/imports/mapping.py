"""Where the columns of a file go."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.common.rules import trait_key
from perennial.common.web.fields import Whole

Kind = Literal[
    "user_id", "email", "member_id", "wechat_unionid", "phone", "wechat_openid", "external_id", "device_id",
    "push_token", "anonymous_id",
]  # fmt: skip
Type = Literal["string", "number", "boolean", "date", "datetime", "list"]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Place = Name | Annotated[int, Field(ge=1, le=1_000)]
AS_TRAITS = frozenset({"email", "phone", "member_id", "wechat_openid", "wechat_unionid"})
MOST_COLUMNS = 1_000
_OF_CONSENT = ("channel", "at", "evidence", "separate", "text_locale", "text_version")


class Column(BaseModel):
    """Where a column goes: to an identifier (`kind`), to a trait (`key`, `type`), or it is when the row was true.

    `tag`: whether the tag `key` is given or taken back; `tags`: a list of tags that are given. `consent`: whether it is
    given or withdrawn for a `purpose` on a `channel`; `at` and `evidence` are the columns that say when and how.
    """

    model_config = ConfigDict(extra="forbid")

    column: Place = Field(description="Its name, or its number from 1.")
    to: Literal["identifier", "trait", "timestamp", "tag", "tags", "consent"]
    kind: Kind | None = None
    namespace: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f:]+$")] | None = Field(
        default=None, description="Of an external_id."
    )
    key: Name | None = Field(default=None, description="Of a trait or a tag.")
    type: Type = "string"
    empty: Literal["skip", "clear"] = Field(default="skip", description="What an empty cell does to a trait.")
    purpose: Word | None = None
    channel: Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9_]{0,29})$")] = "*"
    at: Place | None = Field(default=None, description="The column of when it was said; else the row's time.")
    evidence: Place | None = Field(default=None, description="The column of a form, a recording, a ticket.")
    separate: Annotated[bool, Field(strict=True)] = Field(default=False, description="It was asked for by itself.")
    text_locale: Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Za-z0-9]{2,8})?$")] | None = None
    text_version: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.to == "identifier") != (self.kind is not None):
            raise ValueError("kind belongs to an identifier, which needs one")
        if (self.to in {"trait", "tag"}) != (self.key is not None):
            raise ValueError("key belongs to a trait or a tag, which needs one")
        if (self.kind == "external_id") != (self.namespace is not None):
            raise ValueError("namespace belongs to an external_id, which needs one")
        if (self.to == "consent") != (self.purpose is not None):
            raise ValueError("purpose belongs to a consent, which needs one")
        given = {name for name in _OF_CONSENT if getattr(self, name) != type(self).model_fields[name].default}
        if given and self.to != "consent":
            raise ValueError(f"{min(given)} belongs to a consent")
        return self

    @property
    def target(self) -> str:
        """What it fills; no two columns fill the same."""
        if self.to == "tag":
            return f"tag:{self.key}"
        if self.key is not None:
            return f"trait:{trait_key(self.key)}"
        if self.to == "consent":
            return f"consent:{self.purpose}:{self.channel}"
        return f"trait:{self.kind}" if self.kind in AS_TRAITS else f"{self.to}:{self.kind or ''}:{self.namespace or ''}"


class Mapping(BaseModel):
    """Where the columns go; a column that is not named is left out. At least one is an identifier."""

    model_config = ConfigDict(extra="forbid")

    columns: list[Column] = Field(min_length=1, max_length=MOST_COLUMNS)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        targets = [column.target for column in self.columns]
        for target in targets:
            if targets.count(target) > 1:
                raise ValueError(f"two columns go to {target.strip(':')}")
        if not any(column.to == "identifier" for column in self.columns):
            raise ValueError("at least one column must be an identifier")
        return self
