"""What the gateway reads from the environment besides the common settings."""

from pydantic import Field, SecretStr

from perennial.common.settings import CommonSettings


class GatewaySettings(CommonSettings):
    """Variables are `PERENNIAL_<NAME>`."""

    internal_private_key: SecretStr = Field(description="Ed25519 private key (PEM) that signs internal tokens.")
    services: dict[str, str] = Field(default_factory=dict, description="JSON: base URL of each service by name.")
    public_url: str | None = Field(default=None, description="The gateway's own URL as clients see it; else `Host`.")
    dev_write_key: SecretStr | None = Field(default=None, description="Write key of a development source.")
    dev_api_key: SecretStr | None = Field(default=None, description="A development API key with every scope.")
    body_seconds: float = Field(default=30, gt=0, description="A request's body must arrive within this time.")
    publish_seconds: float = Field(default=5, gt=0, description="JetStream must acknowledge within this time.")
    in_flight_bytes: int = Field(default=32 * 1024 * 1024, gt=0, description="Unacknowledged ingest; above it 503.")
    proxy_seconds: float = Field(default=30, gt=0, description="A service must start its answer within this time.")
    proxy_body_bytes: int = Field(default=1024 * 1024, gt=0, description="Largest body passed on to a service.")
