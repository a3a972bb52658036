"""Clients that nobody here wrote, unmodified, on our environments."""
