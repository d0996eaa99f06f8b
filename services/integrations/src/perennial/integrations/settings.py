"""What integrations adds to the common settings."""

from pydantic import Field, SecretStr

from perennial.common.settings import CommonSettings


class IntegrationsSettings(CommonSettings):
    """How webhooks are delivered, and the key that their secrets are kept under."""

    encryption_key: SecretStr = Field(description="Hex, 32 bytes: encrypts the endpoints' signing secrets.")
    webhook_timeout: float = Field(default=15.0, gt=0, description="Seconds for one attempt.")
    webhook_retries: list[float] = Field(
        default=[5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400],
        description="Seconds between one failed attempt and the next.",
    )
