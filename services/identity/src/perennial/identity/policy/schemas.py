"""Bodies of the routes on the policy."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from perennial.common.identifiers import KINDS
from perennial.identity.policy.rules import SHARED_AFTER, USER_ID, compiled

Kind = Literal[
    "user_id", "email", "member_id", "wechat_unionid", "phone", "wechat_openid", "external_id", "device_id",
    "push_token", "anonymous_id",
]  # fmt: skip


def _pattern(pattern: str) -> str:
    compiled([pattern])
    return pattern


Blocked = Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=r"^[^\x00]*$")]
Pattern = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$"), AfterValidator(_pattern)
]


class KindRule(BaseModel):
    """What identifiers of one kind may do."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    limit: int = Field(ge=1, le=10_000, description="How many a customer may hold.")
    window: Literal["ever", "year", "month", "week"] = Field(
        default="ever", description="Only those that came within it are counted."
    )
    unique: bool = Field(default=True, strict=True, description="False: it belongs to several people, it joins nobody.")
    shared_after: int | None = Field(
        default=SHARED_AFTER, ge=2, le=1000,
        description="So many different user ids at one identifier, and it counts as shared; null: never.",
    )  # fmt: skip
    blocked_values: list[Blocked] = Field(default_factory=list, max_length=1000, description="They identify nobody.")
    blocked_patterns: list[Pattern] = Field(
        default_factory=list, max_length=50, description="RE2 syntax, against the whole normalised value, any case."
    )


class PolicyBody(BaseModel):
    """The rules of every kind, the strongest evidence first.

    Zeros and dashes alone, `-1`, `null`, `none`, `undefined`, `anonymous`, `guest`, `test`, `unknown`, `nan`, `true`
    and `false` identify nobody under any policy.
    """

    model_config = ConfigDict(extra="forbid")

    kinds: list[KindRule] = Field(min_length=len(KINDS), max_length=len(KINDS))
    approve_from: int | None = Field(
        default=None, ge=1, le=10_000,
        description="A merge in which at least so many identifiers would change hands waits for a person; null: none.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [rule.kind for rule in self.kinds]
        if len(set(names)) != len(names):
            raise ValueError(f"kinds must name each of {', '.join(KINDS)} once")
        first = self.kinds[0]
        if (
            first.kind != USER_ID
            or first.limit != 1
            or first.window != "ever"
            or not first.unique
            or first.shared_after
        ):
            raise ValueError("kinds: user_id comes first, with limit 1, window ever, unique, shared_after null")
        return self


class PolicyShown(PolicyBody):
    """A version of the policy."""

    model_config = ConfigDict(extra="ignore")

    version: int
    created_at: datetime | None = Field(description="Null for the policy that is built in.")
    created_by: str | None
