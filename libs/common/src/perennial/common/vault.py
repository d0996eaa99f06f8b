"""Values at rest: sealed by AES-GCM with a ring of keys, each value bound to its place."""

import functools
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field, SecretStr

from perennial.common.settings import CommonSettings

NONCE_BYTES = 12
KEY_BYTES = 32
MOST_KEYS = 255


class Vault:
    """Seals by the first key of the ring, opens by any; a sealed value moved to another row does not open."""

    def __init__(self, ring: Mapping[int, bytes]) -> None:
        self._ciphers = {number: AESGCM(key) for number, key in ring.items()}
        self.current = next(iter(ring))

    def seal(self, value: str, bound: bytes) -> bytes:
        """Number of the key (one byte), nonce and ciphertext; `bound` must be the same to open it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return bytes((self.current,)) + nonce + self._ciphers[self.current].encrypt(nonce, value.encode(), bound)

    def open(self, sealed: bytes, bound: bytes) -> str:
        """The value again. Raises LookupError when its key is not on the ring, InvalidTag when the row is another."""
        cipher = self._ciphers.get(sealed[0])
        if cipher is None:
            raise LookupError(f"key {sealed[0]} is not on the ring")
        return cipher.decrypt(sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], bound).decode()

    def again(self, sealed: bytes, bound: bytes) -> bytes:
        """The same value sealed by the current key."""
        return self.seal(self.open(sealed, bound), bound)


class SealingSettings(CommonSettings):
    """The ring of a service that seals what it stores. Keys are hex of 32 bytes.

    A ring is `<number>:<hex>`, separated by commas or lines; the first key seals, all of them open. To rotate, add the
    new key at the end everywhere, then put it first everywhere, run the job `reseal`, and take the old one away.
    """

    encryption_key: SecretStr | None = Field(default=None, description="The ring's only key, of number 1.")
    encryption_keys: SecretStr | None = Field(default=None, description="The ring (AES-256-GCM) of stored values.")
    encryption_keys_file: Path | None = Field(default=None, description="A file that holds the ring instead.")


def vault_of(settings: SealingSettings) -> Vault:
    """What seals and opens by the settings' ring. Raises ValueError naming the variable."""
    return _vault(settings.encryption_keys_file, settings.encryption_keys, settings.encryption_key)


def kept_vault(settings: SealingSettings) -> Vault:
    """The same, made once: whoever asks for every batch must not read a file or prepare ciphers each time."""
    return _kept(settings.encryption_keys_file, settings.encryption_keys, settings.encryption_key)


def _vault(file: Path | None, keys: SecretStr | None, key: SecretStr | None) -> Vault:
    if file is not None:
        return Vault(_ring("encryption_keys_file", file.read_text()))
    if keys is not None:
        return Vault(_ring("encryption_keys", keys.get_secret_value()))
    return Vault({1: key_of("encryption_key", key or SecretStr(""))})


_kept = functools.lru_cache(maxsize=8)(_vault)


def key_of(name: str, secret: SecretStr) -> bytes:
    """The key in a setting. Raises ValueError naming the variable."""
    return _key(name, secret.get_secret_value())


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
