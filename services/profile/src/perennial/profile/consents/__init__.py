"""What customers have agreed to: per purpose and channel, with the text they saw and how they said so."""
