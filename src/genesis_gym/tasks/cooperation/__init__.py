"""Tasks of several robots."""
