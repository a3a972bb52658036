"""Episodes of a policy: evaluated, watched, demonstrated; faults on file."""
