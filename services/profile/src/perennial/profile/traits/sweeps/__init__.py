"""After a definition or the ring of keys has changed: what is stored follows, while the service runs."""
