"""What identity adds to the common settings."""

from pydantic import Field, SecretStr

from perennial.common.settings import CommonSettings

KEY_BYTES = 32


class IdentitySettings(CommonSettings):
    """Both keys are hex of 32 bytes: one finds identifiers, the other reads them."""

    encryption_key: SecretStr = Field(description="Hex key (AES-256-GCM) of stored identifiers.")


def key_of(name: str, secret: SecretStr) -> bytes:
    """The key in a setting. Raises ValueError naming the variable."""
    try:
        key = bytes.fromhex(secret.get_secret_value())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        msg = f"PERENNIAL_{name.upper()} must be {KEY_BYTES} bytes in hexadecimal"
        raise ValueError(msg)
    return key
