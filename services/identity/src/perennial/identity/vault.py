"""Identifiers at rest are sealed by the common vault."""

from perennial.common.vault import Vault

__all__ = ["Vault"]
