"""Bodies of the routes on the policy."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from perennial.common.identifiers import KINDS
from perennial.identity.policy.rules import SCOPED, SHARED_AFTER, USER_ID, compiled

MOST_SCOPED = 200
LONGEST_SCOPE = 64


def _known(name: str) -> str:
    kind, colon, scope = name.partition(":")
    if kind not in KINDS or (colon and kind not in SCOPED):
        msg = f"must be one of {', '.join(KINDS)}, or external_id:<namespace> or wechat_openid:<app>"
        raise ValueError(msg)
    if colon and (not scope or scope != scope.strip() or len(scope) > LONGEST_SCOPE or ":" in scope or "\x00" in scope):
        msg = f"a namespace or an app has 1 to {LONGEST_SCOPE} characters, without a colon or spaces around"
        raise ValueError(msg)
    return name


Kind = Annotated[
    str,
    AfterValidator(_known),
    Field(
        description=f"One of {', '.join(KINDS)}; or `external_id:<namespace>` or `wechat_openid:<app>`, which are then "
        "ranked, counted and shared by this rule alone.",
        examples=["email", "external_id:crm", "wechat_openid:wx2421b1c4370ec43b"],
    ),
]


def _pattern(pattern: str) -> str:
    compiled([pattern])
    return pattern


Blocked = Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=r"^[^\x00]*$")]
Pattern = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$"), AfterValidator(_pattern)
]


class KindRule(BaseModel):
    """What identifiers of one kind, one namespace of external ids or one WeChat app may do."""

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
        default_factory=list,
        max_length=50,
        description="RE2 syntax, any case, against the whole normalised value; under a rule of a namespace or an app, "
        "against what comes after it.",
    )


class PolicyBody(BaseModel):
    """The rules of every kind, and of any namespaces and apps, the strongest evidence first.

    Zeros and dashes alone, `-1`, `null`, `none`, `undefined`, `anonymous`, `guest`, `test`, `unknown`, `nan`, `true`
    and `false` identify nobody under any policy.
    """

    model_config = ConfigDict(extra="forbid")

    kinds: list[KindRule] = Field(max_length=len(KINDS) + MOST_SCOPED)
    approve_from: int | None = Field(
        default=None, ge=1, le=10_000,
        description="A merge in which at least so many identifiers would change hands waits for a person; null: none.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wrong = self._wrong()
        if wrong is not None:
            where, said = wrong
            error = PydanticCustomError("value_error", "{said}", {"said": said})
            raise ValidationError.from_exception_data(
                type(self).__name__, [InitErrorDetails(type=error, loc=("kinds", *where), input=None)]
            )
        return self

    def _wrong(self) -> tuple[tuple[str | int, ...], str] | None:
        """Where the rules do not fit each other, and how."""
        names = [rule.kind for rule in self.kinds]
        for index, name in enumerate(names):
            if name in names[:index]:
                return (index, "kind"), f"{name} must be named once"
        missing = [kind for kind in KINDS if kind not in names]
        if missing:
            return (), f"must name each of {', '.join(KINDS)} once; {', '.join(missing)} is missing"
        first = self.kinds[0]
        if (
            first.kind != USER_ID
            or first.limit != 1
            or first.window != "ever"
            or not first.unique
            or first.shared_after
        ):
            return (0,), "user_id comes first, with limit 1, window ever, unique, shared_after null"
        return None


class PolicyShown(PolicyBody):
    """A version of the policy."""

    model_config = ConfigDict(extra="ignore")

    version: int
    created_at: datetime | None = Field(description="Null for the policy that is built in.")
    created_by: str | None
