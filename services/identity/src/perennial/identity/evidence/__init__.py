"""Why identifiers belong together: the graph behind a customer, and the way from one to another."""
