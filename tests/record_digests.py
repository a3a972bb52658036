"""Record what 200 random steps of 64 environments give, for every registered environment and control mode.

`python tests/record_digests.py OUT` was run on the commit before the package was rebuilt (7d4082a);
`test_digests.py` compares. Run it again only where physics change on purpose.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import gymnasium
import numpy as np

NUM_ENVS, STEPS = 64, 200

CONTROL_MODES = (
    "joint_delta",
    "joint_position",
    "joint_velocity",
    "joint_torque",
    "ee_delta_position",
    "ee_delta_pose",
)


def digest(env_id: str, control_mode: str) -> str:
    """SHA-256 of observations, rewards and ends under random actions, episodes reset within the step."""
    import genesis_gym  # noqa: F401

    envs = gymnasium.make_vec(env_id, num_envs=NUM_ENVS, control_mode=control_mode, autoreset_mode="SameStep")
    shape = (STEPS, *envs.action_space.shape)
    actions = np.random.default_rng(0).uniform(-1.2, 1.2, shape).astype(np.float32)
    observation, _ = envs.reset(seed=0)
    sha = hashlib.sha256(observation.tobytes())
    for action in actions:
        observation, reward, terminated, truncated, _ = envs.step(action)
        for array in (observation, reward, terminated, truncated):
            sha.update(np.ascontiguousarray(array).tobytes())
    envs.close()
    return sha.hexdigest()


def main(out: Path) -> None:
    """Record all of them, keeping what an interrupted call has already recorded."""
    import genesis_gym  # noqa: F401

    digests = json.loads(out.read_text()) if out.exists() else {}
    for env_id in sorted(name for name in gymnasium.registry if name.startswith("Genesis/")):
        for control_mode in CONTROL_MODES:
            key = f"{env_id} {control_mode}"
            if key not in digests:
                digests[key] = digest(env_id, control_mode)
                out.write_text(json.dumps(digests, indent=1) + "\n")
                print(key, digests[key][:12], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
