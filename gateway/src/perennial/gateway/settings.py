"""What the gateway reads from the environment besides the common settings."""

from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from perennial.common.settings import CommonSettings
from perennial.gateway.permissions import ROLES


class GatewaySettings(CommonSettings):
    """Variables are `PERENNIAL_<NAME>`."""

    internal_private_key: SecretStr = Field(description="Ed25519 private key (PEM) that signs internal tokens.")
    services: dict[str, str] = Field(default_factory=dict, description="JSON: base URL of each service by name.")
    public_url: str | None = Field(default=None, description="The gateway's own URL as clients see it; else `Host`.")
    dev_write_key: SecretStr | None = Field(default=None, description="Write key of a development source.")
    dev_api_key: SecretStr | None = Field(default=None, description="A development API key with every scope.")
    dev_owner_email: str | None = Field(default=None, description="Address of a development owner.")
    dev_owner_password: SecretStr | None = Field(default=None, description="And the password.")
    staff_idle_seconds: float = Field(default=3600, gt=0, description="A staff session ends after so long without use.")
    staff_session_seconds: int = Field(default=43_200, ge=60, description="And in any case after so long.")
    logins_per_address: int = Field(default=30, gt=0, description="Attempts to sign in, a minute and address.")
    oidc_issuer: str | None = Field(default=None, description="OpenID provider of the staff: its `iss`.")
    oidc_client_id: str | None = Field(default=None, description="The console's client id: an audience, and `azp`.")
    oidc_audiences: list[str] = Field(default=[], description="JSON: further audiences that are good.")
    oidc_role_claim: str = Field(default="roles", description="The claim that names roles: `roles`, `a.b`.")
    oidc_roles: dict[str, str] = Field(default_factory=dict, description="JSON: role here, by the claim's value.")
    oidc_algorithms: list[Literal["RS256", "ES256", "EdDSA"]] = Field(
        default=["RS256", "ES256", "EdDSA"], min_length=1, description="JSON: how its tokens may be signed."
    )
    oidc_leeway_seconds: float = Field(default=30, ge=0, le=300, description="How far its clock may be off.")
    oidc_keys_seconds: float = Field(default=300, gt=0, description="A key it withdraws is believed for no longer.")
    body_seconds: float = Field(default=30, gt=0, description="A request's body must arrive within this time.")
    publish_seconds: float = Field(default=5, gt=0, description="JetStream must acknowledge within this time.")
    violations_per_hour: int = Field(
        default=1_000, ge=0, description="Rejected events of a source that are kept of each hour; the rest is counted."
    )
    violations_bytes_per_hour: int = Field(
        default=16 * 1024 * 1024, ge=0, description="The same in bytes: a public write key must not fill the disk."
    )
    violations_spool_bytes: int = Field(
        default=16 * 1024 * 1024, gt=0, description="Rejected events that wait in memory while Postgres is away."
    )
    in_flight_bytes: int = Field(default=32 * 1024 * 1024, gt=0, description="Unacknowledged ingest; above it 503.")
    proxy_seconds: float = Field(default=30, gt=0, description="A service must start its answer within this time.")
    proxy_body_bytes: int = Field(default=1024 * 1024, gt=0, description="Largest body passed on to a service.")
    rate_per_principal: int = Field(default=60_000, gt=0, description="Requests a minute of one key, token or person.")
    rate_per_address: int = Field(default=6_000, gt=0, description="Requests a minute of an address without a key.")
    lookups_per_principal: int = Field(
        default=60, gt=0, description="Look-ups a minute by an identifier of a kind that is masked for who asks."
    )
    trusted_proxies: list[IPv4Network | IPv6Network] = Field(
        default=[], description="JSON: networks of proxies in front, whose `X-Forwarded-For` is believed."
    )

    @model_validator(mode="after")
    def _check_staff(self) -> Self:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("oidc_client_id is needed with oidc_issuer")
        unknown = sorted(set(self.oidc_roles.values()) - set(ROLES))
        if unknown:
            raise ValueError(f"oidc_roles: there is no role {', '.join(unknown)}; there are {', '.join(ROLES)}")
        if (self.dev_owner_email is None) != (self.dev_owner_password is None):
            raise ValueError("dev_owner_email and dev_owner_password belong together")
        return self
