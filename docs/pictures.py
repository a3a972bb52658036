"""Make the README's picture from a run: six rows of one scene, each at the moment it reaches its target.

python docs/pictures.py runs/demo-...
"""

from __future__ import annotations

import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from genesis_gym.core.make import make_core
from genesis_gym.learning.evaluate import EVALUATION_SEED
from genesis_gym.learning.policy import load_policy
from genesis_gym.learning.runs import read_config

folder = Path(sys.argv[1])
config = read_config(folder)
env = make_core(config.env, 6, camera_rows=range(6))
act = load_policy(folder, config, env)
observation, _ = env.reset(seed=EVALUATION_SEED + 20)
last = list(env.render())
running = np.ones(6, dtype=bool)
while running.any():
    result = env.step(act(observation))
    observation = result.observation
    frames = env.render()
    for row in np.flatnonzero(running):
        last[row] = frames[row][:, 60:420]
    running &= ~(result.terminated | result.truncated).numpy()
env.close()
grid = np.concatenate([np.concatenate(last[:3], axis=1), np.concatenate(last[3:], axis=1)])
iio.imwrite(Path(__file__).parent / "images" / "reach.png", grid)
