"""Where the columns of a file go."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.common.rules import trait_key

Kind = Literal[
    "user_id", "email", "member_id", "wechat_unionid", "phone", "wechat_openid", "external_id", "device_id",
    "push_token", "anonymous_id",
]  # fmt: skip
Type = Literal["string", "number", "boolean", "date", "datetime", "list"]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
AS_TRAITS = frozenset({"email", "phone", "member_id", "wechat_openid", "wechat_unionid"})
MOST_COLUMNS = 1_000


class Column(BaseModel):
    """Where a column goes: to an identifier (`kind`), to a trait (`key`, `type`), or it is when the row was true."""

    model_config = ConfigDict(extra="forbid")

    column: Name | Annotated[int, Field(ge=1, le=MOST_COLUMNS)] = Field(description="Its name, or its number from 1.")
    to: Literal["identifier", "trait", "timestamp"]
    kind: Kind | None = None
    namespace: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f:]+$")] | None = Field(
        default=None, description="Of an external_id."
    )
    key: Name | None = None
    type: Type = "string"
    empty: Literal["skip", "clear"] = Field(default="skip", description="What an empty cell does to a trait.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.to == "identifier") != (self.kind is not None):
            raise ValueError("kind belongs to an identifier, which needs one")
        if (self.to == "trait") != (self.key is not None):
            raise ValueError("key belongs to a trait, which needs one")
        if (self.kind == "external_id") != (self.namespace is not None):
            raise ValueError("namespace belongs to an external_id, which needs one")
        return self

    @property
    def target(self) -> str:
        """What it fills; no two columns fill the same."""
        if self.key is not None:
            return f"trait:{trait_key(self.key)}"
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
