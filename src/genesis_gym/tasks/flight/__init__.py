"""Tasks of flying."""
