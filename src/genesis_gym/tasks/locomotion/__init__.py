"""Tasks of walking."""
