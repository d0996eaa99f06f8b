"""The texts that principals show: how one is made, and how one is recognised before anything is asked of it."""

import hashlib
import re
import secrets

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 12
KEY, SESSION = "psk", "pss"
_SHAPE = re.compile(r"(psk|pss)_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", re.ASCII)
JWT_DOTS = 2


def new_id() -> str:
    """A short name that shows in lists and logs."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def new_text(prefix: str, name: str) -> str:
    """`<prefix>_<name>_<256 random bits>`."""
    return f"{prefix}_{name}_{secrets.token_urlsafe(32)}"


def is_well_formed(text: str) -> bool:
    """Whether it could be a key or a session that another process knows."""
    return _SHAPE.fullmatch(text) is not None


def is_jwt(text: str) -> bool:
    """Whether it looks like a JSON Web Token."""
    return text.count(".") == JWT_DOTS


def digest(text: str) -> bytes:
    """What is kept of a key or a session."""
    return hashlib.sha256(text.encode()).digest()
