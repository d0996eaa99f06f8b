"""What campaigns adds to the common settings."""

from pydantic import Field, SecretStr

from perennial.common.settings import CommonSettings


class CampaignsSettings(CommonSettings):
    """Variables are `PERENNIAL_<NAME>`; sender, caps and quiet hours are data (`/v1/channels`)."""

    smtp_url: SecretStr | None = Field(
        default=None,
        description="smtp://user:password@host:port (STARTTLS where offered) or smtps://…; none: e-mail fails.",
    )
