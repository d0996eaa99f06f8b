"""Where each customer stands, moved by event between two runs."""
