"""Learners and policies: Stable-Baselines3, RSL-RL, checkpoints."""
