"""What identity adds to the common settings: the ring by which identifiers are sealed."""

from perennial.common.vault import SealingSettings, key_of, vault_of

__all__ = ["IdentitySettings", "key_of", "vault_of"]


class IdentitySettings(SealingSettings):
    """Two kinds of keys: `identifier_key` finds identifiers, those of the ring read them."""
