"""Failure labs: the real services on clusters of servers, which lose a node in the middle."""
