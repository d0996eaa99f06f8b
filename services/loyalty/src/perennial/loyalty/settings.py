"""What loyalty adds to the settings of every service."""

from pydantic import Field, SecretStr

from perennial.common.settings import CommonSettings


class LoyaltySettings(CommonSettings):
    """The key under which devices, addresses and the like of referrals are compared, and never read."""

    encryption_key: SecretStr = Field(
        default=SecretStr(""), description="Hex, 32 bytes: keys the digests by which referrals are compared."
    )
