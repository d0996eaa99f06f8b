"""Identifiers at rest: sealed by AES-GCM, bound to their blind index."""

import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_ID = b"\x01"  # the first byte says by which key of the ring a value was sealed
NONCE_BYTES = 12


class Vault:
    """Seals and opens values; a sealed value moved to another identifier's row does not open."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, value: str, digest: bytes) -> bytes:
        """Key id, nonce and ciphertext."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return KEY_ID + nonce + self._cipher.encrypt(nonce, value.encode(), digest)

    def open(self, sealed: bytes, digest: bytes) -> str:
        """The value again. Raises cryptography's InvalidTag when key or row are not the ones it was sealed for."""
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        return self._cipher.decrypt(nonce, rest, digest).decode()
