"""The environment ids that `gymnasium.make` and `gymnasium.make_vec` know after `import genesis_gym`."""

from __future__ import annotations

import gymnasium

#: Environment id → name of its task in `genesis_gym.tasks.TASKS`.
ENVIRONMENTS = {"Genesis/FrankaReach-v0": "reach"}

#: Control steps in an episode. It stands here so that Gymnasium's `TimeLimit` and the batched clock share it.
MAX_EPISODE_STEPS = 100


def register_environments() -> None:
    """Register every environment, single and batched, by names that are imported when one is made."""
    for env_id, task in ENVIRONMENTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point="genesis_gym.adapters.single:make_single",
                vector_entry_point="genesis_gym.adapters.vector:GenesisVectorEnv",
                max_episode_steps=MAX_EPISODE_STEPS,
                kwargs={"task": task},
            )
