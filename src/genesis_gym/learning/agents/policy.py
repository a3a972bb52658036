"""From a config to an SB3 model, and from a run folder to a policy that only acts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from gymnasium.spaces import flatdim
from stable_baselines3 import PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from genesis_gym.adapters.spaces import ENTRIES, action_space, observation_space, split_observation
from genesis_gym.core import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError, GenesisGymError, MissingDependencyError, RunFolderError
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.runs.files import MAX_POLICY, read_tensors
from genesis_gym.learning.config.presets import Sb3Hyperparameters
from genesis_gym.learning.runs.folder import (
    BEST_POLICY_FILE,
    POLICY_FILE,
    SB3_FILE,
    SB3_NORMALIZE_FILE,
    locate,
    read_config,
    write_whole,
)

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"PPO": PPO, "SAC": SAC, "TD3": TD3}

#: Hyperparameters that are arguments of the policy, in SB3 and in RSL-RL.
POLICY_ARGUMENTS = (
    "net_arch",
    "log_std_init",
    "hidden_dims",
    "activation",
    "distribution",
    "init_std",
    "obs_normalization",
)

#: Observations `(num_envs, observation_dim)` → actions `(num_envs, action_dim)`.
Act = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ObservationNormalizer:
    """Shifts, scales and clips observations by statistics of the training: part of a policy.

    Attributes:
        mean: `(observation_dim,)`.
        std: `(observation_dim,)`.
        clip: Greatest magnitude afterwards, `()`.
    """

    mean: torch.Tensor
    std: torch.Tensor
    clip: torch.Tensor

    @classmethod
    def of(cls, model: BaseAlgorithm) -> ObservationNormalizer:
        """The statistics that a model was trained with.

        Args:
            model: Trained on a `VecNormalize`, or not.

        Returns:
            The normaliser, frozen; one that changes nothing if the model was trained without.
        """
        statistics: Any = model.get_vec_normalize_env()
        if statistics is None or not statistics.norm_obs:
            dim = flatdim(model.observation_space)
            return cls(torch.zeros(dim), torch.ones(dim), torch.tensor(torch.inf))
        seen = statistics.obs_rms
        parts = [seen[name] for name in ENTRIES] if isinstance(seen, dict) else [seen]
        mean, var = (np.concatenate([getattr(part, field) for part in parts]) for field in ("mean", "var"))
        std = np.sqrt(var + statistics.epsilon)
        return cls(
            torch.from_numpy(mean).float(), torch.from_numpy(std).float(), torch.tensor(statistics.clip_obs)
        )

    def __call__(self, observation: torch.Tensor) -> torch.Tensor:
        """Normalise `(num_envs, observation_dim)`."""
        return ((observation - self.mean) / self.std).clamp(-self.clip, self.clip)

    def to(self, device: torch.device) -> ObservationNormalizer:
        """The same on another device."""
        return ObservationNormalizer(self.mean.to(device), self.std.to(device), self.clip.to(device))


def find_algorithm(name: str) -> type[BaseAlgorithm]:
    """Find the class of an algorithm.

    Args:
        name: A key of `PRESETS`.

    Returns:
        SB3's, that of sb3-contrib, or RSL-RL's with the face of SB3's.

    Raises:
        MissingDependencyError: sb3-contrib or RSL-RL is needed and cannot be imported.
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    library, extra = ("sb3-contrib", "contrib") if name == "TQC" else ("RSL-RL", "rsl_rl")
    try:
        if name == "TQC":
            from sb3_contrib import TQC

            return TQC
        # RSL-RL imports GitPython, which would not be imported without a git command, and needs none here.
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        from genesis_gym.learning.agents.rsl_rl import RslRlPPO
    except ImportError as error:
        reason = str(error).strip().splitlines()[0]
        raise MissingDependencyError(
            f"{library} cannot be imported ({reason}): pip install 'genesis-gym[{extra}]'"
        ) from error
    return RslRlPPO


def make_model(config: TrainConfig, env: VecEnv, device: torch.device) -> BaseAlgorithm:
    """Make the model that a config describes.

    Args:
        config: The config.
        env: What it will train on.
        device: Where its networks live.

    Returns:
        The untrained model.

    Raises:
        ArgumentError: Hindsight would begin before an episode has ended.
    """
    arguments: dict[str, Any] = config.hyperparameters.model_dump()
    arguments |= _hindsight(config, env, arguments)
    policy_arguments = _policy_arguments(arguments)
    if isinstance(config.hyperparameters, Sb3Hyperparameters):
        env = _normalized(env, arguments)
    noise = arguments.pop("action_noise_std", 0.0)
    if noise:
        dim = env.action_space.shape[0]  # type: ignore[index]
        arguments["action_noise"] = NormalActionNoise(np.zeros(dim), np.full(dim, noise))
    algorithm: Any = find_algorithm(config.algorithm)
    model: BaseAlgorithm = algorithm(
        _policy_name(config),
        env,
        seed=config.seed,
        device=device,
        policy_kwargs=policy_arguments,
        stats_window_size=max(100, env.num_envs),  # one episode of each row
        **arguments,
    )
    return model


def _policy_name(config: TrainConfig) -> str:
    """What SB3 calls a policy of one box, and one of a dictionary of boxes."""
    return "MultiInputPolicy" if config.goal else "MlpPolicy"


def _hindsight(config: TrainConfig, env: VecEnv, arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the argument for hindsight (Andrychowicz et al., 2017) out of the others, and give it SB3's form.

    There is none for an algorithm without replay, and none to give on for a task without goals.
    """
    goals = arguments.pop("n_sampled_goal", None)
    if goals is None or not config.goal:
        return {}
    limit, starts = env.get_attr("max_episode_steps")[0], arguments["learning_starts"]
    if limit is not None and starts < (needed := limit * env.num_envs):
        raise ArgumentError(
            f"learning_starts={starts} is not allowed with goals: hindsight needs whole episodes, which "
            f"{env.num_envs} rows of at most {limit} steps are sure to have after {needed}"
        )
    replay = {"n_sampled_goal": goals, "goal_selection_strategy": "future"}
    return {"replay_buffer_class": HerReplayBuffer, "replay_buffer_kwargs": replay}


class ClippedReward(VecEnvWrapper):
    """Keeps rewards within ±`bound`; episode statistics taken below it stay those of the task."""

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


def _normalized(env: VecEnv, arguments: dict[str, Any]) -> VecEnv:
    """Normalise and clip what the learner sees, taking the arguments for it out of those of the algorithm."""
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
            clip_reward=clip_reward or 10.0,
            gamma=arguments["gamma"],
        )
    return env


def save_policy(model: BaseAlgorithm, path: Path) -> None:
    """Write what acting needs: the policy's tensors and its normaliser.

    Args:
        model: The trained model.
        path: The file to write, whole or not at all.
    """
    normalizer = ObservationNormalizer.of(model)
    tensors = {f"policy.{name}": value for name, value in model.policy.state_dict().items()}
    tensors |= {f"normalizer.{field.name}": getattr(normalizer, field.name) for field in fields(normalizer)}
    tensors = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    write_whole(path, lambda file: safetensors.torch.save_file(tensors, file))


def save_sb3_archives(model: BaseAlgorithm, folder: Path) -> None:
    """Write SB3's own archives, for use without this package; nothing here reads them.

    Args:
        model: The trained model.
        folder: The run folder.
    """
    write_whole(folder / SB3_FILE, model.save)
    statistics = model.get_vec_normalize_env()
    if statistics is not None:
        write_whole(folder / SB3_NORMALIZE_FILE, lambda path: statistics.save(str(path)))


def load_policy(folder: Path, config: TrainConfig, env: BatchedEnv, *, best: bool = False) -> Act:
    """Read the policy of a run.

    Args:
        folder: The run folder.
        config: Its config.
        env: The environment it will act in.
        best: Take the best policy of the evaluations during training instead of the last.

    Returns:
        The deterministic policy.

    Raises:
        RunFolderError: The file is missing, damaged, or does not fit the config and the environment.
    """
    path, tensors = _read_policy(folder, best)
    algorithm: Any = find_algorithm(config.algorithm)
    policy: BasePolicy = algorithm.policy_aliases[_policy_name(config)](
        observation_space(env),
        action_space(env),
        lambda _: 0.0,
        **_policy_arguments(config.hyperparameters.model_dump()),
    )
    dim = torch.zeros(env.observation_dim)
    expected = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    expected |= {"normalizer.mean": dim, "normalizer.std": dim, "normalizer.clip": torch.tensor(0.0)}
    _check_tensors(path, tensors, expected)
    names = [field.name for field in fields(ObservationNormalizer)]
    normalizer = ObservationNormalizer(**{name: tensors.pop(f"normalizer.{name}") for name in names})
    if not bool((normalizer.std > 0).all() and normalizer.clip > 0):
        raise RunFolderError(f"{path} cannot be loaded: normalizer.std and normalizer.clip must be above 0")
    policy.load_state_dict({name.removeprefix("policy."): value for name, value in tensors.items()})
    return deterministic(policy.to(env.device), normalizer)


def _read_policy(folder: Path, best: bool) -> tuple[Path, dict[str, torch.Tensor]]:
    """The file of a run's policy, and what it holds."""
    path = folder / (BEST_POLICY_FILE if best else POLICY_FILE)
    if not path.exists():
        reason = "no evaluation took place during its training" if best else "its training did not finish"
        raise RunFolderError(f"{folder} has no {path.name}: {reason}")
    _, tensors = read_tensors(path, MAX_POLICY)
    return path, tensors


def _check_tensors(path: Path, given: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Refuse tensors of other names, shapes or dtypes than expected, and numbers that are not finite."""
    for name in expected.keys() ^ given.keys():
        raise RunFolderError(f"{path} cannot be loaded: {name} is {'missing' if name in expected else 'unknown'}")
    for name, tensor in given.items():
        ours = expected[name]
        if tensor.shape != ours.shape or tensor.dtype != ours.dtype:
            raise RunFolderError(
                f"{path} cannot be loaded: {name} is {tensor.dtype} {tuple(tensor.shape)}, "
                f"not {ours.dtype} {tuple(ours.shape)}"
            )
        finite = torch.isfinite(tensor) if name != "normalizer.clip" else ~torch.isnan(tensor)
        if not bool(finite.all()):
            raise RunFolderError(f"{path} cannot be loaded: {name} holds numbers that are not finite")


def open_run(
    run: Path, num_envs: int, *, best: bool = False, trust: bool = False, **kwargs: Any
) -> tuple[TrainConfig, BatchedEnv, Act]:
    """Build the environment of a run and read its policy; the caller closes the environment.

    Args:
        run: The run folder, or with `trust` an archive of SB3 in it.
        num_envs: Rows of the environment.
        best: As in `load_policy`.
        trust: Unpickle an archive, which runs any code that it holds.
        **kwargs: `backend`, `show_viewer` and `camera_rows` of `BatchedEnv`.

    Returns:
        The config, the environment and the deterministic policy.

    Raises:
        RunFolderError: It is no run folder, or its files cannot be read.
    """
    folder, archive = locate(run, trust=trust)
    config = read_config(folder)
    if archive is None:
        _read_policy(folder, best)  # what is damaged is told before a scene is built
    env = make_core(config.env, num_envs, **config.evaluation_env(), **kwargs)
    try:
        if archive is not None:
            from genesis_gym.learning.agents.archive import load_archive

            return config, env, load_archive(archive, config, env)
        return config, env, load_policy(folder, config, env, best=best)
    except GenesisGymError:
        env.close()
        raise


def deterministic(policy: BasePolicy, normalizer: ObservationNormalizer) -> Act:
    """Act by the policy's mean, without gradients.

    Args:
        policy: An SB3 policy.
        normalizer: What its observations pass through.

    Returns:
        The deterministic policy.
    """
    policy.set_training_mode(False)
    normalizer = normalizer.to(policy.device)

    def act(observation: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            parts = split_observation(policy.observation_space, normalizer(observation))
            return policy._predict(parts, deterministic=True)

    return act


def _policy_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments of the policy network out of those of the algorithm."""
    names = [name for name in POLICY_ARGUMENTS if name in arguments]
    return {name: list(value) if isinstance(value := arguments.pop(name), tuple) else value for name in names}
