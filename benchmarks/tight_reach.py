"""Registers reach with a tolerance of 2 cm, `Genesis/FrankaReachTight-v0`, for `time_to_solve.py`."""

import genesis_gym

genesis_gym.register("Genesis/FrankaReachTight-v0", "reach", max_episode_steps=100, tolerance=0.02)
