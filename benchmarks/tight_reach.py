"""Registers reach with a tolerance of 2 cm, `Genesis/FrankaReachTight-v0`, for `time_to_solve.py`."""

import gymnasium

from genesis_gym import Reach
from genesis_gym.registration import MAX_EPISODE_STEPS

gymnasium.register(
    id="Genesis/FrankaReachTight-v0",
    entry_point="genesis_gym.adapters.single:make_single",
    vector_entry_point="genesis_gym.adapters.vector:GenesisVectorEnv",
    max_episode_steps=MAX_EPISODE_STEPS,
    kwargs={"task": Reach(tolerance=0.02)},
)
