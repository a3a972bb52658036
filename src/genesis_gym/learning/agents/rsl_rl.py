"""RSL-RL's PPO with the face of an SB3 algorithm: checkpoints, evaluations, logs and progress need no other.

RSL-RL's own `OnPolicyRunner` collects and learns, one iteration at a time, in torch from end to end. What SB3's
loop and callbacks ask for in between is kept here; statistics of episodes are brought to the host once a rollout.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from gymnasium.spaces import Space
from rsl_rl.algorithms import PPO
from rsl_rl.models import MLPModel
from rsl_rl.modules.distribution import BetaDistribution
from rsl_rl.runners import OnPolicyRunner
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import get_action_dim, get_flattened_obs_dim
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from torch import distributed, nn

from genesis_gym.adapters.rsl_rl import OBSERVATION_GROUP, GenesisRslRlVecEnv
from genesis_gym.adapters.sb3 import GenesisSb3VecEnv, info_dicts
from genesis_gym.adapters.spaces import to_numpy
from genesis_gym.core import BatchedEnv
from genesis_gym.learning.agents.ranks import rank, world_size

#: Actor and critic see the same.
OBSERVATION_GROUPS = {"actor": [OBSERVATION_GROUP], "critic": [OBSERVATION_GROUP]}


class RslRlPolicy(BasePolicy):
    """RSL-RL's actor and critic, each with its normaliser.

    Attributes:
        actor: Observation → distribution of the action.
        critic: Observation → value.
        optimizer: Of both; there while training.
    """

    optimizer: torch.optim.Optimizer

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        lr_schedule: Callable[[float], float],
        **networks: Any,
    ) -> None:
        super().__init__(observation_space, action_space)
        sizes = {"actor": get_action_dim(action_space), "critic": 1}
        observation: Any = {OBSERVATION_GROUP: torch.zeros(1, get_flattened_obs_dim(observation_space))}
        self.actor, self.critic = (
            MLPModel(observation, OBSERVATION_GROUPS, part, size, **_network_config(part, **networks))
            for part, size in sizes.items()
        )

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        action: torch.Tensor = self.actor({OBSERVATION_GROUP: observation}, stochastic_output=not deterministic)
        return action


class RslRlPPO(OnPolicyAlgorithm):
    """PPO of RSL-RL.

    Attributes:
        runner: RSL-RL's own.
    """

    policy: RslRlPolicy  # type: ignore[assignment]
    rollout_buffer: Any = None  # RSL-RL has its own
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": RslRlPolicy}

    def __init__(
        self,
        policy: str,
        env: VecEnv,
        *,
        seed: int,
        device: torch.device,
        policy_kwargs: dict[str, Any],
        stats_window_size: int,
        num_steps_per_env: int,
        final_entropy_coef: float | None,
        **algorithm: Any,
    ) -> None:
        """Make the runner.

        Args:
            policy: `"MlpPolicy"`.
            env: A `VecMonitor` around a `GenesisSb3VecEnv`: it resets the rows and keeps the episodes' statistics.
            seed: Of the policy and of row 0.
            device: Where the networks live.
            policy_kwargs: `hidden_dims`, `activation`, `obs_normalization`, `distribution`, `init_std`.
            stats_window_size: Episodes over which success and return are averaged.
            num_steps_per_env: Steps of each row between two updates.
            final_entropy_coef: `entropy_coef` of the training's second half; None: it stays.
            **algorithm: Further arguments of `rsl_rl.algorithms.PPO`.
        """
        self._algorithm = algorithm
        self._final_entropy_coef = final_entropy_coef
        super().__init__(
            policy,
            env,
            learning_rate=algorithm["learning_rate"],
            n_steps=num_steps_per_env,
            gamma=algorithm["gamma"],
            gae_lambda=algorithm["lam"],
            ent_coef=algorithm["entropy_coef"],
            vf_coef=algorithm["value_loss_coef"],
            max_grad_norm=algorithm["max_grad_norm"],
            use_sde=False,
            sde_sample_freq=-1,
            stats_window_size=stats_window_size,
            policy_kwargs=policy_kwargs,
            seed=seed,
            device=device,
        )

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        assert isinstance(self.env, VecMonitor) and isinstance(self.env.venv, GenesisSb3VecEnv)
        assert isinstance(self.env.venv.core, BatchedEnv), "training has all rows in this process"
        self._core = self.env.venv.core
        config = {
            "num_steps_per_env": self.n_steps,
            "check_for_nan": False,  # the core has looked
            "obs_groups": dict(OBSERVATION_GROUPS),
            "algorithm": {"class_name": _PPO, **self._algorithm},
            **{
                part: {"class_name": "MLPModel", **_network_config(part, **self.policy_kwargs)}
                for part in OBSERVATION_GROUPS
            },
        }
        with contextlib.redirect_stdout(io.StringIO()):  # where RSL-RL describes itself
            self.runner = _Runner(GenesisRslRlVecEnv(self._core), config, device=str(self.device))
        self._rollout = _Rollout(self)
        self.runner.logger = self._rollout  # type: ignore[assignment]
        learner = self.runner.alg
        if world_size() > 1:
            self._begin_rank()
        self.policy = RslRlPolicy(
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        )
        self.policy.actor, self.policy.critic = learner.actor, learner.critic
        self.policy.optimizer = learner.optimizer

    def _begin_rank(self) -> None:
        """Take over rank 0's networks, draw other actions than it, and seed the rows on from the rank before."""
        self.runner.alg.broadcast_parameters()
        assert self.seed is not None and self.env is not None
        if rank() > 0:
            self.set_random_seed((self.seed + rank()) % 2**32)
        self.env.seed(self.seed + rank() * self.env.num_envs)

    @property
    def adaptive_learning_rate(self) -> float:
        """What RSL-RL's adaptive schedule has made of the learning rate."""
        return float(self.runner.alg.learning_rate)

    @adaptive_learning_rate.setter
    def adaptive_learning_rate(self, rate: float) -> None:
        if rate <= 0:
            raise ValueError(f"the learning rate is {rate}")
        if self.runner.alg.schedule == "fixed":
            return  # a stage may have another than the one before
        self.runner.alg.learning_rate = rate
        for group in self.runner.alg.optimizer.param_groups:
            group["lr"] = rate

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Let the runner collect a rollout and learn from it.

        Returns:
            Whether every callback wants to go on.
        """
        if self._final_entropy_coef is not None and self.num_timesteps >= self._total_timesteps / 2:
            self.runner.alg.entropy_coef = self._final_entropy_coef
        callback.on_rollout_start()
        self._rollout.begin(callback)
        self.runner.learn(1)
        self._n_updates += self._algorithm["num_learning_epochs"]
        self._rollout.count_episodes()
        callback.update_locals({"infos": info_dicts(self._rollout.metrics)})
        callback.on_rollout_end()
        return self._rollout.going_on

    def train(self) -> None:
        """Do nothing: the runner has learned from the rollout already."""


class _Runner(OnPolicyRunner):
    """RSL-RL's runner, in the process group that is there: its own would take no other than NCCL's."""

    def _configure_multi_gpu(self) -> None:
        self.gpu_world_size, self.gpu_global_rank, self.gpu_local_rank = world_size(), rank(), 0
        self.is_distributed = False  # each `learn` would broadcast the parameters, and say so
        ranks = {"global_rank": rank(), "local_rank": 0, "world_size": world_size()}
        self.cfg["multi_gpu"] = ranks if world_size() > 1 else None


class _PPO(PPO):
    """RSL-RL's PPO, whose ranks normalise their advantages together, as one process with all rows would."""

    def compute_returns(self, obs: Any) -> None:
        super().compute_returns(obs)
        if not self.is_multi_gpu or self.normalize_advantage_per_mini_batch:
            return
        advantages: Any = self.storage.returns - self.storage.values
        count = advantages.numel() * self.gpu_world_size
        deviation = advantages - _sum_over_ranks(advantages) / count
        variance = _sum_over_ranks(deviation.square()) / (count - 1)
        self.storage.advantages = deviation / (variance.sqrt() + 1e-8)


class _BeforeSoftplus(nn.Module):
    """What softplus makes squareplus of: (x + sqrt(x² + 4)) / 2 (Barron, 2021)."""

    def forward(self, number: torch.Tensor) -> torch.Tensor:
        square_plus = torch.asinh(number / 2.0).exp()  # the same, and the sum does not cancel out below zero
        return square_plus + torch.log(-torch.expm1(-square_plus))


class _Beta(BetaDistribution):
    """RSL-RL's Beta distribution, but for the function that makes its two parameters positive.

    RSL-RL's softplus is as good as flat below -10, where a parameter gets whose action has been low for long: what
    a higher one is worth is not seen there any more. The slope of squareplus falls off as 1 / x² only.
    """

    _before_softplus = _BeforeSoftplus()

    def update(self, mlp_output: torch.Tensor) -> None:
        super().update(self._before_softplus(mlp_output))

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        return super().deterministic_output(self._before_softplus(mlp_output))

    def as_deterministic_output_module(self) -> nn.Module:
        return nn.Sequential(self._before_softplus, super().as_deterministic_output_module())


def _sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of all elements on all ranks, `()`."""
    total = tensor.sum()
    distributed.all_reduce(total)
    return total


class _Rollout:
    """What a rollout leaves behind: it stands where RSL-RL's runner has its logger, and speaks to SB3's callbacks.

    Attributes:
        metrics: Those of the last step.
        going_on: Whether every callback wants to go on.
    """

    writer = None  # so that the runner neither prints nor saves

    def __init__(self, model: RslRlPPO) -> None:
        self._model = model
        self.metrics: dict[str, torch.Tensor] = {}

    def begin(self, callback: BaseCallback) -> None:
        self._callback = callback
        self._steps: list[torch.Tensor] = []
        self.going_on = True

    def init_logging_writer(self) -> None:
        """Do as RSL-RL's logger without a folder: nothing."""

    def process_env_step(
        self, rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any], intrinsic_rewards: None
    ) -> None:
        """Take note of a step, on its device."""
        self.metrics = extras["metrics"]
        self._steps.append(torch.stack([rewards, dones, self.metrics["is_success"]]))
        self._model.num_timesteps += len(rewards) * world_size()
        self.going_on = self._callback.on_step() and self.going_on

    def log(
        self, *, loss_dict: dict[str, float], learning_rate: float, action_std: torch.Tensor, **others: Any
    ) -> None:
        """Log the figures of an update."""
        figures = {**loss_dict, "learning_rate": learning_rate, "std": action_std.mean().item()}
        for name, figure in figures.items():
            self._model.logger.record(f"train/{name}", figure)

    def count_episodes(self) -> None:
        """Go through the steps once more, for the statistics of the episodes that ended in them."""
        model, monitor = self._model, self._model.env
        assert isinstance(monitor, VecMonitor)
        assert model.ep_info_buffer is not None and model.ep_success_buffer is not None
        for reward, done, success in to_numpy(torch.stack(self._steps)):
            monitor.episode_returns += reward
            monitor.episode_lengths += 1
            for row in done.nonzero()[0]:
                episode = {
                    "r": monitor.episode_returns[row],
                    "l": monitor.episode_lengths[row],
                    "t": round(time.time() - monitor.t_start, 6),
                    "is_success": bool(success[row]),
                }
                model.ep_info_buffer.append(episode)
                model.ep_success_buffer.append(episode["is_success"])
                if monitor.results_writer is not None:
                    monitor.results_writer.write_row(episode)
            monitor.episode_returns[done > 0] = 0
            monitor.episode_lengths[done > 0] = 0
        model._last_obs = to_numpy(model._core.observation)
        model._last_episode_starts = done > 0


def _network_config(part: str, *, distribution: str, init_std: float, **network: Any) -> dict[str, Any]:
    """Arguments of RSL-RL's actor or critic."""
    if part == "critic":
        return network
    if distribution == "beta":
        return {**network, "distribution_cfg": {"class_name": _Beta}}
    return {**network, "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": init_std}}
