"""Stable-Baselines3 as a `Learner`: PPO, SAC, TD3, and TQC of sb3-contrib."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Space
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd

from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.core import Core
from genesis_gym.errors import ArgumentError
from genesis_gym.learning.agents.learner import Hook, Learner
from genesis_gym.learning.agents.replay import check_replay, load_replay, replay_state
from genesis_gym.learning.agents.sb3_envs import RecordedVecEnv, hindsight, wrapped
from genesis_gym.learning.agents.sb3_policy import (
    Sb3Policy,
    find_algorithm,
    make_normalizer,
    make_policy,
    policy_arguments,
    policy_name,
    vector_groups,
)
from genesis_gym.learning.agents.state import State, check_like, check_optimizer, load_optimizer, optimizer_state
from genesis_gym.learning.config.hyperparameters import OffPolicyHyperparameters
from genesis_gym.learning.config.seeds import training_seed
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.runs.folder import SB3_FILE, SB3_NORMALIZE_FILE, write_whole

__all__ = ["Sb3Learner", "make_learner", "make_policy"]


class Sb3Learner(Learner):
    """An algorithm of SB3.

    Attributes:
        model: SB3's object.
    """

    def __init__(self, config: TrainConfig, env: Core) -> None:
        """Make the model that a config describes, untrained.

        Args:
            config: The config.
            env: The environment that it will train in.

        Raises:
            ArgumentError: Hindsight would begin before an episode has ended, or has no room for one.
        """
        super().__init__(config, env)
        arguments: dict[str, Any] = config.hyperparameters.model_dump()
        arguments |= hindsight(config, env, arguments)
        networks = policy_arguments(arguments)
        recorded = RecordedVecEnv(GenesisSb3VecEnv(env), self.episodes)
        vec_env = wrapped(recorded, arguments, list(vector_groups(env)))
        bounded = bool(torch.isfinite(env.action_low).all() and torch.isfinite(env.action_high).all())
        if isinstance(config.hyperparameters, OffPolicyHyperparameters) and not bounded:
            raise ArgumentError(f"{config.algorithm} needs actions with bounds; those of {config.env} have none")
        noise = arguments.pop("action_noise_std", 0.0)
        if noise:
            arguments["action_noise"] = NormalActionNoise(np.zeros(env.action_dim), np.full(env.action_dim, noise))
        algorithm: Any = find_algorithm(config.algorithm)
        self.model: Any = algorithm(
            policy_name(vec_env.observation_space),
            vec_env,
            seed=config.seed,
            device=env.device,
            policy_kwargs=networks,
            **arguments,
        )
        self.model.set_logger(Logger(None, []))
        vec_env.seed(training_seed(config.seed))
        self.logs_each_rollout = isinstance(self.model, OnPolicyAlgorithm)
        self._normalizer = make_normalizer(config, env).to(env.device)

    @property
    def timesteps(self) -> int:
        """Environment steps so far."""
        return int(self.model.num_timesteps)

    @property
    def has_replay_buffer(self) -> bool:
        """Whether there is a replay buffer."""
        return getattr(self.model, "replay_buffer", None) is not None

    @property
    def policy(self) -> Sb3Policy:
        """The policy as it is now."""
        statistics = self.model.get_vec_normalize_env()
        if statistics is not None and statistics.norm_obs:
            self._normalizer.load_statistics(statistics)
        return Sb3Policy(self.model.policy, self._normalizer)

    def learn(self, timesteps: int, hooks: Sequence[Hook]) -> None:
        """Collect and learn until so many steps have been taken in all."""
        try:
            self.model.learn(
                timesteps - self.timesteps,
                callback=_Bridge(self, hooks),
                log_interval=None,
                reset_num_timesteps=False,
            )
        except (ArithmeticError, RuntimeError, ValueError) as error:
            self.check_finite()
            if "Expected parameter" in str(error):  # a distribution refuses what finite but huge weights give
                raise self.diverged() from error
            raise

    def figures(self) -> dict[str, float]:
        """Losses and the like since the last call."""
        recorded = self.model.logger.name_to_value
        figures = {name: float(value) for name, value in recorded.items()}
        recorded.clear()
        self.model.logger.name_to_count.clear()
        return figures

    def model_state(self) -> State:
        """Networks, optimisers and normaliser."""
        parts: State = {}
        for name, state in self.model.get_parameters().items():
            if name.endswith("optimizer"):
                parts[name] = optimizer_state(attrgetter(name)(self.model))
            else:
                parts[name] = dict(state)
        if isinstance(log_ent_coef := getattr(self.model, "log_ent_coef", None), torch.Tensor):
            parts["log_ent_coef"] = log_ent_coef
        parts["statistics"] = {
            name: {
                "mean": np.asarray(rms.mean, dtype=np.float64),
                "var": np.asarray(rms.var, dtype=np.float64),
                "count": float(rms.count),
            }
            for name, rms in self._statistics().items()
        }
        return parts

    def check_model_state(self, state: Any) -> None:
        """Refuse a state of other networks."""
        own = self.model_state()
        moments = {name for name in own if name.endswith("optimizer")}
        check_like(own | dict.fromkeys(moments), state, "model", finite=True, unchecked=True)
        for name in moments:
            check_optimizer(attrgetter(name)(self.model), state[name], f"model/{name}")

    def load_model_state(self, state: State) -> None:
        """Take over networks, optimisers and normaliser."""
        networks = {}
        for name, own in self.model.get_parameters().items():
            if name.endswith("optimizer"):
                load_optimizer(attrgetter(name)(self.model), state[name])
                networks[name] = attrgetter(name)(self.model).state_dict()
            else:
                networks[name] = {key: state[name][key] for key in own}
        self.model.set_parameters(networks, exact_match=True, device=self.model.device)
        if "log_ent_coef" in state:
            self.model.log_ent_coef.data.copy_(state["log_ent_coef"])
        for name, rms in self._statistics().items():
            entry = state["statistics"][name]
            rms.mean, rms.var, rms.count = entry["mean"].numpy(), entry["var"].numpy(), entry["count"]

    def loop_state(self) -> State:
        """Counters, last observation, action noise's generator, replay buffer."""
        model, normalizer = self.model, self.model.get_vec_normalize_env()
        state: State = {
            "timesteps": int(model.num_timesteps),
            "updates": int(model._n_updates),
            "episode_number": int(model._episode_num),
            "episodes": self.episodes.state_dict(),
            "observation": model._last_obs,
            "episode_starts": np.array(model._last_episode_starts, dtype=bool),
            "action_generator": model.action_space.np_random.bit_generator.state,
        }
        if normalizer is not None:
            state["discounted_returns"] = normalizer.returns
            state["original_observation"] = model._last_original_obs
        if self.has_replay_buffer:
            state["replay_buffer"] = replay_state(model.replay_buffer)
        return state

    def check_loop_state(self, state: Any) -> None:
        """Refuse a state of another training."""
        model, normalizer = self.model, self.model.get_vec_normalize_env()
        space, envs = model.env.observation_space, model.env.num_envs

        def observation(kind: Space[Any]) -> Any:
            if isinstance(kind, Dict):
                return {name: observation(part) for name, part in kind.items()}
            assert isinstance(kind, Box)
            return np.zeros((envs, *kind.shape), dtype=kind.dtype)

        own: State = {
            "timesteps": 0,
            "updates": 0,
            "episode_number": 0,
            "episodes": None,
            "observation": observation(space),
            "episode_starts": np.zeros(envs, dtype=bool),
            "action_generator": None,
        }
        if normalizer is not None:
            own["discounted_returns"] = np.zeros_like(normalizer.returns)
            own["original_observation"] = observation(space)
        if self.has_replay_buffer:
            own["replay_buffer"] = None
        check_like(own, state, "loop", finite=True, unchecked=True)
        if min(state["timesteps"], state["updates"], state["episode_number"]) < 0:
            raise ValueError("loop has negative counts")
        self.episodes.check_state_dict(state["episodes"])
        try:
            type(model.action_space.np_random.bit_generator)().state = state["action_generator"]
        except (KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"loop/action_generator is no state of it: {error}") from error
        if self.has_replay_buffer:
            check_replay(model.replay_buffer, state["replay_buffer"])

    def load_loop_state(self, state: State) -> None:
        """Continue where another process was."""
        model, normalizer = self.model, self.model.get_vec_normalize_env()

        def array(value: Any) -> Any:
            return (
                {name: array(part) for name, part in value.items()} if isinstance(value, dict) else value.numpy()
            )

        model.num_timesteps, model._n_updates = state["timesteps"], state["updates"]
        model._episode_num = state["episode_number"]
        self.episodes.load_state_dict(state["episodes"])
        model._last_obs, model._last_episode_starts = array(state["observation"]), array(state["episode_starts"])
        model.action_space.np_random.bit_generator.state = state["action_generator"]
        if normalizer is not None:
            normalizer.returns = array(state["discounted_returns"])
            model._last_original_obs = array(state["original_observation"])
        if self.has_replay_buffer:
            load_replay(model.replay_buffer, state["replay_buffer"])
        model.env.unwrapped._reset_seeds()  # they were for a beginning

    def save_extras(self, folder: Path) -> None:
        """Write SB3's own archives, for use without this package; nothing here reads them without `--trust`."""
        write_whole(folder / SB3_FILE, self.model.save)
        statistics = self.model.get_vec_normalize_env()
        if statistics is not None:
            write_whole(folder / SB3_NORMALIZE_FILE, lambda path: statistics.save(str(path)))

    def _statistics(self) -> dict[str, RunningMeanStd]:
        """Running statistics of what is normalised."""
        normalizer: Any = self.model.get_vec_normalize_env()
        if normalizer is None:
            return {}
        statistics = {"reward": normalizer.ret_rms}
        if normalizer.norm_obs:
            parts = normalizer.obs_rms
            named = parts if isinstance(parts, dict) else {"": parts}
            statistics |= {f"observation/{group}": rms for group, rms in named.items()}
        return statistics


make_learner = Sb3Learner


class _Bridge(BaseCallback):
    """Calls hooks where SB3 calls its callbacks."""

    def __init__(self, learner: Sb3Learner, hooks: Sequence[Hook]) -> None:
        super().__init__()
        self._learner = learner
        self._hooks = hooks

    def _on_training_start(self) -> None:
        for hook in self._hooks:
            hook.before_training(self._learner)

    def _on_rollout_start(self) -> None:
        for hook in self._hooks:
            hook.before_rollout(self._learner)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        for hook in self._hooks:
            hook.after_rollout(self._learner)

    def _on_training_end(self) -> None:
        for hook in self._hooks:
            hook.after_training(self._learner)
