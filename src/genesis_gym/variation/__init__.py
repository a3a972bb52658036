"""What differs from row to row and from episode to episode: domain randomisation and curriculum.

`randomization` and `curriculum` declare; `physics` and `levels` apply what they declare.
"""
