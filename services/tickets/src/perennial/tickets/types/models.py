"""Ticket types: a ticket keeps to the version that it was opened with."""

from perennial.tickets.versions.models import Definition


class TypeRow(Definition):
    """One version of a ticket type."""

    __tablename__ = "ticket_type"
    noun = "type"
