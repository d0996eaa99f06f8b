"""Standard Webhooks: secrets, sealed at rest, and the signature of one attempt."""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "whsec_"
SECRET_BYTES = 32
_NONCE = 12
log = structlog.get_logger()


def new_secret() -> bytes:
    """The HMAC key of an endpoint."""
    return os.urandom(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """The form in which the partner is given it, once."""
    return PREFIX + base64.b64encode(secret).decode()


def seal(key: bytes, secret: bytes) -> bytes:
    """The secret as it is stored."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, secret, None)


def unseal(key: bytes, sealed: bytes) -> bytes:
    """The secret again."""
    return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)


def opened(key: bytes, sealed: Sequence[bytes]) -> list[bytes]:
    """The secrets that open; one that was sealed under another key signs no more."""
    found = []
    for item in sealed:
        try:
            found.append(unseal(key, item))
        except (InvalidTag, ValueError):
            log.warning("secret.sealed")
    return found


def signature(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: one `v1` token per live secret, the newest first."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    tokens = (base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets)
    return " ".join(f"v1,{token}" for token in tokens)
