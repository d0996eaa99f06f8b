"""Configuration from the environment, built in factories and never at import."""

from datetime import tzinfo
from ipaddress import IPv4Network, IPv6Network
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class CommonSettings(BaseSettings):
    """What every process reads; a service subclasses it to add its own. Variables are `PERENNIAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", extra="ignore", frozen=True)

    database_url: SecretStr = Field(description="Postgres URL of this service's login role.")
    listen_database_url: SecretStr | None = Field(
        default=None, description="The same without a pooler between, for LISTEN and session locks."
    )
    nats_url: SecretStr
    internal_key: str = Field(default="", description="Ed25519 public key (PEM) that verifies internal tokens.")
    timezone: str = Field(default="UTC", description="IANA zone of the deployment: calendar days and months.")
    currency: str = Field(default="USD", min_length=3, max_length=3, description="ISO 4217, when an event names none.")
    region: str = Field(default="US", description="ISO 3166 region of phone numbers without a country code.")
    identifier_key: SecretStr = Field(default=SecretStr(""), description="Hex key of the blind index of identifiers.")
    egress_allow_cidrs: list[IPv4Network | IPv6Network] = Field(
        default=[], description="JSON: private networks that webhooks and key documents may reach, over HTTP too."
    )
    stream_days: int = Field(default=7, ge=1, description="Days that a message stays which every service has read.")
    log_days: int = Field(default=30, ge=0, description="Days that the deployment keeps logs; erasures say so.")
    backup_days: int = Field(default=30, ge=0, description="Days that it keeps backups; erasures say so.")
    otlp_endpoint: str | None = Field(default=None, description="OTLP/HTTP collector; none: no export.")
    log_level: str = "INFO"
    pool_size: int = Field(default=8, ge=2)
    concurrency: int = Field(default=2, ge=1, description="Batches that one process handles at once.")

    @property
    def zone(self) -> tzinfo:
        """The deployment's time zone."""
        return ZoneInfo(self.timezone)

    def dsn(self, *, direct: bool = False) -> str:
        """The `postgresql://` URL; `direct` bypasses a pooler."""
        url = self.listen_database_url if direct and self.listen_database_url else self.database_url
        return url.get_secret_value()
