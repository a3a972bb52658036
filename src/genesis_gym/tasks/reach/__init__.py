"""Tasks of reaching: joints, places and poses."""
