"""Staff whom another provider signs in, by OpenID Connect."""
