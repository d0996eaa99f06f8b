"""Forgetting a customer: tombstones that outlive the identifiers, and what is refused because of them."""
