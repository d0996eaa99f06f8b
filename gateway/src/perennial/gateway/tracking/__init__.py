"""The tracking API: events in, by the protocol that SDKs already speak."""
