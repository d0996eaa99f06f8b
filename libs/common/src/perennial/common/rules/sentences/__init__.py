"""Rules as sentences, in English and Chinese, and back."""
