"""Stable-Baselines3 as a `Learner`: PPO, SAC, TD3, and TQC of sb3-contrib."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Space
from stable_baselines3 import PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from torch import nn

from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.adapters.spaces import action_space, observation_space
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError
from genesis_gym.learning.agents.episodes import EpisodeStatistics
from genesis_gym.learning.agents.learner import DivergedError, Hook, Learner
from genesis_gym.learning.agents.policy import Observation, Policy, is_finite
from genesis_gym.learning.agents.replay import check_replay, load_replay, replay_state
from genesis_gym.learning.agents.state import State, check_like, check_optimizer, load_optimizer, optimizer_state
from genesis_gym.learning.config.hyperparameters import Sb3Hyperparameters
from genesis_gym.learning.config.seeds import training_seed
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.runs.folder import SB3_FILE, SB3_NORMALIZE_FILE, write_whole

#: Hyperparameters that are arguments of the policy.
POLICY_ARGUMENTS = ("net_arch", "log_std_init")

#: Greatest magnitude of a normalised reward unless `clip_reward` says otherwise.
CLIP_REWARD = 10.0


def find_algorithm(name: str) -> type[BaseAlgorithm]:
    """The class of an algorithm."""
    if name == "TQC":
        from sb3_contrib import TQC

        return TQC
    return {"PPO": PPO, "SAC": SAC, "TD3": TD3}[name]


# Policies


class Normalizer(nn.Module):
    """Shifts, scales and clips observations by statistics of the training, as `VecNormalize` does.

    Attributes:
        groups: Groups of the observation that are normalised; of each there are `mean_<group>` and `std_<group>`.
        clip: Greatest magnitude afterwards, `()`.
    """

    clip: torch.Tensor

    def __init__(self, sizes: dict[str, tuple[int, ...]], clip: float) -> None:
        super().__init__()
        self.groups = list(sizes)
        for group, shape in sizes.items():
            self.register_buffer(f"mean_{group}", torch.zeros(shape))
            self.register_buffer(f"std_{group}", torch.ones(shape))
        self.register_buffer("clip", torch.tensor(clip))

    def forward(self, observation: Observation) -> Observation:
        """Normalise an observation."""
        normalized = dict(observation)
        for group in self.groups:
            mean, std = getattr(self, f"mean_{group}"), getattr(self, f"std_{group}")
            normalized[group] = ((observation[group] - mean) / std).clamp(-self.clip, self.clip)
        return normalized

    def load_statistics(self, statistics: VecNormalize) -> None:
        """Take over the statistics as they are now."""
        parts: Any = statistics.obs_rms
        for group in self.groups:
            part: RunningMeanStd = parts[group] if isinstance(parts, dict) else parts
            std = np.sqrt(part.var + statistics.epsilon)
            getattr(self, f"mean_{group}").copy_(torch.from_numpy(np.asarray(part.mean)))
            getattr(self, f"std_{group}").copy_(torch.from_numpy(std))


class Sb3Policy(Policy):
    """A policy of SB3 and its normaliser."""

    def __init__(self, policy: BasePolicy, normalizer: Normalizer) -> None:
        super().__init__()
        self.policy = policy
        self.normalizer = normalizer

    @torch.no_grad()
    def forward(self, observation: Observation) -> torch.Tensor:
        """Act by the mean of the distribution."""
        self.policy.set_training_mode(False)
        groups = self.normalizer(observation)
        space = self.policy.observation_space
        return self.policy._predict(
            groups if isinstance(space, Dict) else next(iter(groups.values())), deterministic=True
        )

    def check_tensors(self) -> None:
        """Refuse statistics that divide by zero or flip a sign."""
        for name, value in self.normalizer.named_buffers():
            if not name.startswith("mean_") and not bool((value > 0).all()):
                raise ValueError(f"normalizer.{name} must be above 0")


def make_policy(config: TrainConfig, env: BatchedEnv) -> Sb3Policy:
    """Make an untrained policy."""
    space = observation_space(getattr(env, "old", env))
    algorithm: Any = find_algorithm(config.algorithm)
    arguments = config.hyperparameters.model_dump()
    policy = algorithm.policy_aliases[_policy_name(space)](
        space, action_space(env), lambda _: 0.0, **_policy_arguments(arguments)
    )
    return Sb3Policy(policy, _normalizer(config, env))


def _policy_name(space: Space[Any]) -> str:
    """SB3's name of the policy for one box of numbers, one image, or several groups."""
    if isinstance(space, Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if len(space.shape or ()) == 3 else "MlpPolicy"


def _policy_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments of the policy network out of those of the algorithm."""
    names = [name for name in POLICY_ARGUMENTS if name in arguments]
    return {name: list(value) if isinstance(value := arguments.pop(name), tuple) else value for name in names}


def _vector_groups(env: BatchedEnv) -> dict[str, tuple[int, ...]]:
    """Groups of the observation that are vectors, and so can be normalised → their shape."""
    return {group: value.shape[1:] for group, value in env.observation.items() if value.ndim == 2}


def _normalizer(config: TrainConfig, env: BatchedEnv) -> Normalizer:
    hyperparameters = config.hyperparameters
    assert isinstance(hyperparameters, Sb3Hyperparameters)
    groups = _vector_groups(env) if hyperparameters.normalize_observation else {}
    return Normalizer(groups, hyperparameters.clip_observation)


# The environment as the algorithm sees it


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


def _wrapped(env: VecEnv, arguments: dict[str, Any], groups: Sequence[str]) -> VecEnv:
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


def _hindsight(config: TrainConfig, env: BatchedEnv, arguments: dict[str, Any]) -> dict[str, Any]:
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


# The learner


class Sb3Learner(Learner):
    """An algorithm of SB3.

    Attributes:
        model: SB3's object.
    """

    def __init__(self, config: TrainConfig, env: BatchedEnv) -> None:
        """Make the model that a config describes, untrained.

        Args:
            config: The config.
            env: The environment that it will train in.

        Raises:
            ArgumentError: Hindsight would begin before an episode has ended, or has no room for one.
        """
        super().__init__(config, env)
        arguments: dict[str, Any] = config.hyperparameters.model_dump()
        arguments |= _hindsight(config, env, arguments)
        policy_arguments = _policy_arguments(arguments)
        recorded = RecordedVecEnv(GenesisSb3VecEnv(getattr(env, "old", env)), self.episodes)
        vec_env = _wrapped(recorded, arguments, list(_vector_groups(env)))
        noise = arguments.pop("action_noise_std", 0.0)
        if noise:
            arguments["action_noise"] = NormalActionNoise(np.zeros(env.action_dim), np.full(env.action_dim, noise))
        algorithm: Any = find_algorithm(config.algorithm)
        self.model: Any = algorithm(
            _policy_name(vec_env.observation_space),
            vec_env,
            seed=config.seed,
            device=env.device,
            policy_kwargs=policy_arguments,
            **arguments,
        )
        self.model.set_logger(Logger(None, []))
        vec_env.seed(training_seed(config.seed))
        self.logs_each_rollout = isinstance(self.model, OnPolicyAlgorithm)
        self._normalizer = _normalizer(config, env).to(env.device)

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
            # A distribution refuses parameters that are not finite.
            if not isinstance(error, DivergedError) and not is_finite(self.model.policy):
                self.check_finite()
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
