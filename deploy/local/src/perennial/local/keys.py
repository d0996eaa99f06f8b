"""Passwords and keys of one platform: generated once, kept in `secrets.json`, readable by its owner only."""

import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass
class Keys:
    """The content of `secrets.json`."""

    internal_private_key: str
    internal_public_key: str
    identifier_key: str = field(default_factory=lambda: secrets.token_hex(32))
    encryption_key: str = field(default_factory=lambda: secrets.token_hex(32))
    write_key: str = field(default_factory=lambda: f"wk_{secrets.token_hex(16)}")
    api_key: str = field(default_factory=lambda: f"ak_{secrets.token_hex(24)}")
    passwords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, accounts: Iterable[str]) -> "Keys":
        """Read the keys; generate what is missing, a password for each account included."""
        keys = cls(**json.loads(path.read_text())) if path.exists() else cls(*_pair())
        missing = [name for name in accounts if name not in keys.passwords]
        keys.passwords.update((name, secrets.token_hex(16)) for name in missing)
        if missing or not path.exists():
            keys.write(path)
        return keys

    def encryption_key_of(self, service: str) -> str:
        """A service's own key: what one of them encrypts, no other one can read."""
        return hmac.digest(bytes.fromhex(self.encryption_key), service.encode(), "sha256").hex()

    def write(self, path: Path) -> None:
        scratch = path.with_suffix(".new")
        scratch.unlink(missing_ok=True)
        scratch.touch(mode=0o600)
        scratch.write_text(json.dumps(asdict(self), indent=1))
        scratch.replace(path)


def _pair() -> tuple[str, str]:
    """A new Ed25519 key pair as PEM: private, public."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()
