"""API keys, customer tokens, and the internal token that services trust."""
