"""Roles, and the rules of all routes by area; `permissions` puts them together."""
