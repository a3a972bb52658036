"""Tasks of handling things: pushing, grasping, stacking, opening."""
