"""What the roles are, and what each sees in clear."""
