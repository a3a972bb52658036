"""The environment as an algorithm of Stable-Baselines3 sees it: recorded, clipped, normalised, with hindsight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Dict
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from genesis_gym.core import Core
from genesis_gym.errors import ArgumentError
from genesis_gym.learning.agents.episodes import EpisodeStatistics
from genesis_gym.learning.config.train_config import TrainConfig

#: Greatest magnitude of a normalised reward unless `clip_reward` says otherwise.
CLIP_REWARD = 10.0


class RecordedVecEnv(VecEnvWrapper):
    """Takes note of every episode, below all that normalises or clips."""

    def __init__(self, env: VecEnv, episodes: EpisodeStatistics) -> None:
        super().__init__(env)
        self._episodes = episodes

    def reset(self) -> Any:
        """Begin new episodes."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """Take the step."""
        observation, reward, done, infos = self.venv.step_wait()
        self._episodes.step(reward, done, infos.__getitem__)
        return observation, reward, done, infos


class ClippedReward(VecEnvWrapper):
    """Keeps rewards within ±`bound`, those that hindsight computes anew included."""

    def __init__(self, env: VecEnv, bound: float) -> None:
        super().__init__(env)
        self._bound = bound

    def reset(self) -> Any:
        """Begin new episodes."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """Take the step and clip its rewards."""
        observation, reward, done, infos = self.venv.step_wait()
        return observation, np.clip(reward, -self._bound, self._bound), done, infos

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the environment, and clip what `compute_reward` returns."""
        results = self.venv.env_method(method_name, *method_args, indices=indices, **method_kwargs)
        if method_name == "compute_reward":
            return [np.clip(rewards, -self._bound, self._bound) for rewards in results]
        return results


def wrapped(env: VecEnv, arguments: dict[str, Any], groups: Sequence[str]) -> VecEnv:
    """Normalise and clip, taking the arguments for it out of those of the algorithm."""
    norm_obs, norm_reward = arguments.pop("normalize_observation"), arguments.pop("normalize_reward")
    clip_obs, clip_reward = arguments.pop("clip_observation"), arguments.pop("clip_reward")
    if clip_reward is not None and not norm_reward:
        env = ClippedReward(env, clip_reward)
    if norm_obs or norm_reward:
        env = VecNormalize(
            env,
            norm_obs=norm_obs,
            norm_reward=norm_reward,
            clip_obs=clip_obs,
            clip_reward=clip_reward or CLIP_REWARD,
            gamma=arguments["gamma"],
            norm_obs_keys=list(groups) if norm_obs and isinstance(env.observation_space, Dict) else None,
        )
    return env


def hindsight(config: TrainConfig, env: Core, arguments: dict[str, Any]) -> dict[str, Any]:
    """Turn the hyperparameter of hindsight (Andrychowicz et al., 2017) into SB3's arguments."""
    goals = arguments.pop("n_sampled_goal", None)
    if goals is None or not config.goal:
        return {}
    limit, starts, size = env.max_episode_steps, arguments["learning_starts"], arguments["buffer_size"]
    if limit is not None:
        needed = limit * env.num_envs
        if starts < needed:
            raise ArgumentError(
                f"learning_starts={starts} is not allowed with goals: hindsight needs whole episodes, and "
                f"{env.num_envs} environments with at most {limit} steps have them after {needed}"
            )
        if size < needed:
            raise ArgumentError(
                f"buffer_size={size} is not allowed with goals: hindsight needs whole episodes, and an episode of "
                f"{limit} steps in each of {env.num_envs} environments takes {needed}"
            )
    replay = {"n_sampled_goal": goals, "goal_selection_strategy": "future"}
    return {"replay_buffer_class": HerReplayBuffer, "replay_buffer_kwargs": replay}
