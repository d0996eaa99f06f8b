"""`?preview=true` on merges and splits: what every service would show, composed into one answer."""
