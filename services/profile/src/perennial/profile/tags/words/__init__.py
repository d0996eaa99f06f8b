"""What customers' words are about, and how they sound."""
