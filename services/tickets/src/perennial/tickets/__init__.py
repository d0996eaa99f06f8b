"""Service requests, dispatch and SLA."""
