"""What identity adds to the common settings."""

import re
from pathlib import Path

from pydantic import Field, SecretStr

from perennial.common.settings import CommonSettings
from perennial.identity.vault import Vault

KEY_BYTES = 32
MOST_KEYS = 255


class IdentitySettings(CommonSettings):
    """Keys are hex of 32 bytes: one finds identifiers, those of the ring read them.

    A ring is `<number>:<hex>`, separated by commas or lines; the first key seals, all of them open. To rotate, add the
    new key at the end everywhere, then put it first everywhere, run the job `reseal`, and take the old one away.
    """

    encryption_key: SecretStr | None = Field(default=None, description="The ring's only key, of number 1.")
    encryption_keys: SecretStr | None = Field(default=None, description="The ring (AES-256-GCM) of stored identifiers.")
    encryption_keys_file: Path | None = Field(default=None, description="A file that holds the ring instead.")


def key_of(name: str, secret: SecretStr) -> bytes:
    """The key in a setting. Raises ValueError naming the variable."""
    return _key(name, secret.get_secret_value())


def vault_of(settings: IdentitySettings) -> Vault:
    """What seals and opens by the settings' ring. Raises ValueError naming the variable."""
    if settings.encryption_keys_file is not None:
        return Vault(_ring("encryption_keys_file", settings.encryption_keys_file.read_text()))
    if settings.encryption_keys is not None:
        return Vault(_ring("encryption_keys", settings.encryption_keys.get_secret_value()))
    return Vault({1: key_of("encryption_key", settings.encryption_key or SecretStr(""))})


def _ring(name: str, written: str) -> dict[int, bytes]:
    ring: dict[int, bytes] = {}
    for entry in (part.strip() for part in re.split(r"[,\n]", written)):
        if not entry or entry.startswith("#"):
            continue
        number, _, key = entry.partition(":")
        if not number.isdigit() or not 0 < int(number) <= MOST_KEYS or int(number) in ring:
            msg = f"PERENNIAL_{name.upper()}: each key needs a number of its own, 1 to {MOST_KEYS}: `<number>:<hex>`"
            raise ValueError(msg)
        ring[int(number)] = _key(name, key.strip())
    if not ring:
        msg = f"PERENNIAL_{name.upper()} holds no key"
        raise ValueError(msg)
    return ring


def _key(name: str, written: str) -> bytes:
    try:
        key = bytes.fromhex(written)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        msg = f"PERENNIAL_{name.upper()} must be {KEY_BYTES} bytes in hexadecimal"
        raise ValueError(msg)
    return key
