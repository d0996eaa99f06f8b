"""Identifiers at rest: sealed by AES-GCM with a ring of keys, each value bound to its row."""

import secrets
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


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
