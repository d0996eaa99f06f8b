"""Embedded Postgres and NATS, and a supervisor for every process."""
