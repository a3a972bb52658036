"""Training a learner, with hooks for evaluation, checkpoints, logs and progress."""
