"""What profile adds to the common settings: the ring by which sensitive traits are sealed."""

from perennial.common.vault import SealingSettings


class ProfileSettings(SealingSettings):
    """`identifier_key` finds customers by an identifier, the ring reads sensitive traits."""
