"""HTTP bodies of customer tokens and of those who may sign them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from perennial.common.web.fields import Flag, Whole, left_out
from perennial.gateway.shapes import Name

MIN_TTL, DEFAULT_TTL, MAX_TTL = 60, 3600, 86_400
Text = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x20\x7f]+$")]
Algorithm = Literal["RS256", "ES256", "EdDSA"]
Algorithms = Annotated[list[Algorithm], Field(min_length=1, max_length=3)]
Kind = Literal["user_id", "email", "member_id", "wechat_unionid", "phone", "wechat_openid", "external_id"]
MaxAge = Annotated[
    Whole,
    Field(ge=60, le=7 * 86_400, description="Seconds from `iat` after which a token is refused, whatever its exp."),
]
Jwks = Annotated[dict[str, Any], Field(description="Public keys, in the place of jwks_url.")]


class NewCustomerToken(BaseModel):
    """A token for one customer's own routes."""

    model_config = ConfigDict(extra="forbid")

    customer_id: UUID
    ttl_seconds: Whole = Field(
        default=DEFAULT_TTL, ge=MIN_TTL, le=MAX_TTL, description="Less when what mints it ends earlier."
    )


class CustomerToken(BaseModel):
    """A JWT that the customer's app sends as `Authorization: Bearer`."""

    token: str
    expires_at: datetime


class NewTokenIssuer(BaseModel):
    """The shop's own issuer: a token of it signs in the customer whom one of its claims names."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    issuer: Text = Field(description="`iss`, to the letter.")
    audience: Text = Field(description="What `aud` must hold.")
    jwks_url: Text | None = None
    jwks: Jwks | None = None
    claim: Text = "sub"
    identifier_kind: Kind = Field(default="user_id", description="Which kind of identifier the claim is.")
    algorithms: Algorithms = ["RS256", "ES256", "EdDSA"]
    max_age_seconds: MaxAge = 86_400

    @model_validator(mode="after")
    def _one_of_both(self) -> "NewTokenIssuer":
        if (self.jwks_url is None) == (self.jwks is None):
            raise ValueError("jwks_url or jwks is needed, and not both")
        return self


class TokenIssuerChange(BaseModel):
    """What is to be different (a JSON merge patch). Setting jwks_url forgets jwks, and the reverse."""

    model_config = ConfigDict(extra="forbid")

    name: Name = left_out()
    audience: Text = left_out()
    jwks_url: Text = left_out()
    jwks: Jwks = left_out()
    claim: Text = left_out()
    identifier_kind: Kind = left_out()
    algorithms: Algorithms = left_out()
    max_age_seconds: MaxAge = left_out()
    enabled: Flag = left_out()

    @model_validator(mode="after")
    def _not_both(self) -> "TokenIssuerChange":
        if {"jwks_url", "jwks"} <= self.model_fields_set:
            raise ValueError("jwks_url or jwks, not both")
        return self


class TokenIssuerOut(BaseModel):
    """An issuer of customer tokens."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    version: int = Field(description="The ETag.")
    name: str
    issuer: str
    audience: str
    jwks_url: str | None
    jwks: dict[str, Any] | None
    claim: str
    identifier_kind: str
    algorithms: list[str]
    max_age_seconds: int
    enabled: bool
    created_at: datetime
