"""Train a peer's reach task with SB3 until it is solved, in the peers' environment; `time_to_solve.py` runs this.

It prints one line of JSON. Evaluations act deterministically in 100 fresh episodes, each until its first success,
and end early once 95 successes are out of reach.

SAC + HER have the settings of RL Baselines3 Zoo for FetchReach (`hyperparams/her.yml`), but no normalisation.
PPO's for PandaReachDense are our own choice.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from stable_baselines3 import PPO, SAC, HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecNormalize

from common import SOLVED_RATE, claim_stdout, versions
from steppers import make_gymnasium

EPISODES = 100
FAILURES = round(EPISODES * (1 - SOLVED_RATE))  # that a solved task may have
EVALUATION_SEED = 1_000_000


def ppo(env_id: str, seed: int) -> tuple[BaseAlgorithm, int]:
    """PPO in 8 processes."""
    env = VecNormalize(SubprocVecEnv([lambda: make_gymnasium(env_id)] * 8, "fork"), norm_reward=False)
    model = PPO("MultiInputPolicy", env, n_steps=128, batch_size=256, learning_rate=1e-3, gamma=0.95, seed=seed)
    return model, 1024


def sac_her(env_id: str, seed: int) -> tuple[BaseAlgorithm, int]:
    """SAC with hindsight experience replay."""
    env: VecEnv = DummyVecEnv([lambda: make_gymnasium(env_id)])
    model = SAC(
        "MultiInputPolicy",
        env,
        learning_rate=1e-3,
        batch_size=256,
        gamma=0.95,
        learning_starts=1000,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        seed=seed,
    )
    return model, 1000


#: Algorithm → what makes its model, with the steps between two evaluations.
ALGORITHMS: dict[str, Callable[[str, int], tuple[BaseAlgorithm, int]]] = {"PPO": ppo, "SAC": sac_her}


class UntilSolved(BaseCallback):
    """Evaluates every so many steps and stops when the task is solved.

    Attributes:
        solved: Whether it is.
    """

    def __init__(self, env: Any, every: int) -> None:
        super().__init__()
        self.solved = False
        self._env = env
        self._every = every
        self._done = 0

    def _on_step(self) -> bool:
        return not self.solved

    def _on_rollout_start(self) -> None:
        if self.num_timesteps // self._every > self._done:
            self._done = self.num_timesteps // self._every
            self.solved = self._evaluate()

    def _evaluate(self) -> bool:
        failures = 0
        for episode in range(EPISODES):
            failures += not self._succeeds(EVALUATION_SEED + episode)
            if failures > FAILURES:
                return False
        return True

    def _succeeds(self, seed: int) -> bool:
        observation, _ = self._env.reset(seed=seed)
        normalizer = self.model.get_vec_normalize_env()
        while True:
            seen = observation if normalizer is None else normalizer.normalize_obs(observation)
            action, _ = self.model.predict(seen, deterministic=True)
            observation, _, terminated, truncated, info = self._env.step(action)
            if info["is_success"]:
                return True
            if terminated or truncated:
                return False


def main() -> None:
    """Train and tell when it was solved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env_id")
    parser.add_argument("algorithm", choices=ALGORITHMS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timesteps", type=int, default=100_000, help="give up after so many")
    options = parser.parse_args()
    channel = claim_stdout()
    model, every = ALGORITHMS[options.algorithm](options.env_id, options.seed)
    callback = UntilSolved(make_gymnasium(options.env_id), every)
    model.learn(options.timesteps, callback=callback)
    outcome = {"solved": callback.solved, "ended": time.time(), "steps": model.num_timesteps}
    packages = versions("panda-gym", "pybullet", "gymnasium-robotics", "mujoco", "stable_baselines3", "torch")
    print(json.dumps({**outcome, "packages": packages}), file=channel)


if __name__ == "__main__":
    main()
