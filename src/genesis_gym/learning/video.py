"""Videos of a policy."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio

from genesis_gym.core import BatchedEnv
from genesis_gym.learning.policy import Act
from genesis_gym.learning.runs import write_whole

#: Frames for which the last state of an episode stands still, so that an eye can see it.
HOLD_FRAMES = 10


def record_video(env: BatchedEnv, act: Act, path: Path, episodes: int, seed: int) -> None:
    """Film episodes of the camera's first row, each with its true last frame.

    Args:
        env: An environment made with camera rows; its episodes in progress are lost.
        act: The policy.
        path: The MP4 to write, whole or not at all.
        episodes: How many episodes, one after the other.
        seed: Episode k starts from seed + k.
    """
    frames = []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        frames.append(env.render()[0])
        ended = False
        while not ended:
            result = env.step(act(observation))
            observation = result.observation
            frames.append(env.render()[0])
            ended = bool(result.terminated[0] | result.truncated[0])
        frames.extend([frames[-1]] * HOLD_FRAMES)
    rate = round(1 / env.control_dt)
    write_whole(path, lambda file: iio.imwrite(file, frames, fps=rate, codec="h264", plugin="pyav"))
