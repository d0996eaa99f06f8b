"""Who gets a ticket: rules in order, then the least loaded agent."""
