"""Partners: signed webhooks out."""
