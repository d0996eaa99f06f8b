"""The public edge: who may come in, the tracking API, the way to the services."""

VERSION = "0.1.0"
