"""RSL-RL as a `Learner`: its PPO, collecting and learning in torch from end to end.

The loop is that of RSL-RL's `OnPolicyRunner`. Statistics of episodes are brought to the host once a rollout.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from rsl_rl.algorithms import PPO
from rsl_rl.models import MLPModel
from rsl_rl.modules.distribution import BetaDistribution
from stable_baselines3.common.utils import set_random_seed
from tensordict import TensorDict
from torch import distributed, nn

from genesis_gym.adapters.rsl_rl import GenesisRslRlVecEnv
from genesis_gym.core import Core
from genesis_gym.errors import ArgumentError
from genesis_gym.learning.agents.episodes import AVERAGED
from genesis_gym.learning.agents.learner import Hook, Learner
from genesis_gym.learning.agents.policy import Observation, Policy
from genesis_gym.learning.agents.ranks import rank, world_size
from genesis_gym.learning.agents.state import State, check_like, check_optimizer, load_optimizer, optimizer_state
from genesis_gym.learning.config.hyperparameters import RslRlPPOHyperparameters
from genesis_gym.learning.config.seeds import MAX_SEED, training_seed
from genesis_gym.learning.config.train_config import TrainConfig

#: Hyperparameters of the networks, of the actor alone, and of the loop; the others are arguments of the PPO.
NETWORK_ARGUMENTS = ("hidden_dims", "activation", "obs_normalization")
ACTOR_ARGUMENTS = ("distribution", "init_std")
LOOP_ARGUMENTS = ("num_steps_per_env", "final_entropy_coef")


class RslRlPolicy(Policy):
    """RSL-RL's actor, with its critic, and the normalisers of both."""

    def __init__(self, actor: MLPModel, critic: MLPModel) -> None:
        super().__init__()
        self.actor = actor
        self.critic = critic

    @torch.no_grad()
    def forward(self, observation: Observation) -> torch.Tensor:
        """Act by the mean of the distribution."""
        self.eval()
        action: torch.Tensor = self.actor(observation)
        return action

    def check_tensors(self) -> None:
        """Refuse nothing: any finite numbers act."""


def make_policy(config: TrainConfig, env: Core) -> RslRlPolicy:
    """Make an untrained policy."""
    groups, models = observation_groups(env), model_configs(config)
    observation: Any = {name: torch.zeros_like(value[:1]).cpu() for name, value in env.observation.items()}
    sizes = {"actor": env.action_dim, "critic": 1}
    actor, critic = (MLPModel(observation, groups, part, size, **models[part]) for part, size in sizes.items())
    return RslRlPolicy(actor, critic)


def observation_groups(env: Core) -> dict[str, list[str]]:
    """The groups of the observation that actor and critic see: `critic` is the critic's own where there is one.

    Raises:
        ArgumentError: The observation has no group `policy`, or one of the two is no vector.
    """
    shapes = {name: tuple(value.shape[1:]) for name, value in env.observation.items()}
    if "policy" not in shapes:
        raise ArgumentError(f"RSL-RL needs an observation group 'policy'; there are {', '.join(shapes)}")
    groups = {"actor": ["policy"], "critic": ["critic" if "critic" in shapes else "policy"]}
    for (name,) in groups.values():
        if len(shapes[name]) != 1:
            raise ArgumentError(
                f"RSL-RL's networks here take vectors; the group {name!r} has shape {shapes[name]}"
            )
    return groups


def model_configs(config: TrainConfig) -> dict[str, dict[str, Any]]:
    """Arguments of RSL-RL's actor and critic."""
    hyperparameters = config.hyperparameters
    assert isinstance(hyperparameters, RslRlPPOHyperparameters)
    network = {name: getattr(hyperparameters, name) for name in NETWORK_ARGUMENTS}
    network["hidden_dims"] = list(network["hidden_dims"])
    if hyperparameters.distribution == "beta":
        actor: dict[str, Any] = {"class_name": SquareplusBeta}
    else:
        actor = {"class_name": "GaussianDistribution", "init_std": hyperparameters.init_std}
    return {"actor": {**network, "distribution_cfg": actor}, "critic": dict(network)}


class RslRlLearner(Learner):
    """PPO of RSL-RL.

    Attributes:
        algorithm: RSL-RL's object.
    """

    def __init__(self, config: TrainConfig, env: Core) -> None:
        """Make the algorithm that a config describes, untrained. Every rank makes its own and takes its share.

        Args:
            config: The config.
            env: The environment that it will train in, with this rank's share.

        Raises:
            ArgumentError: The episodes of the environment have no end, or its observation has no suitable groups.
        """
        super().__init__(config, env)
        set_random_seed(config.seed)
        self._timesteps = 0
        self._updates = 0
        self._figures: dict[str, float] = {}
        hyperparameters = config.hyperparameters.model_dump()
        self._arguments = {name: hyperparameters[name] for name in LOOP_ARGUMENTS}
        for name in (*LOOP_ARGUMENTS, *NETWORK_ARGUMENTS, *ACTOR_ARGUMENTS):
            hyperparameters.pop(name)
        self._vec_env = GenesisRslRlVecEnv(env)
        ranks = {"global_rank": rank(), "local_rank": 0, "world_size": world_size()}
        models = model_configs(config)
        arguments = {
            "num_steps_per_env": self._arguments["num_steps_per_env"],
            "obs_groups": observation_groups(env),
            "algorithm": {"class_name": BootstrappedPPO, **hyperparameters},
            "actor": {"class_name": "MLPModel", **models["actor"]},
            "critic": {"class_name": "MLPModel", **models["critic"]},
            "multi_gpu": ranks if world_size() > 1 else None,
        }
        with contextlib.redirect_stdout(io.StringIO()):  # RSL-RL prints its networks
            self.algorithm: Any = BootstrappedPPO.construct_algorithm(
                self._vec_env.get_observations(), self._vec_env, arguments, str(env.device)
            )
        if world_size() > 1:
            self.algorithm.broadcast_parameters()
            if rank() > 0:  # other actions than rank 0
                set_random_seed((config.seed + rank()) % MAX_SEED)
        self._seed: int | None = training_seed(config.seed, rank() * env.num_envs)

    @property
    def timesteps(self) -> int:
        """Environment steps so far, over all ranks."""
        return self._timesteps

    @property
    def policy(self) -> RslRlPolicy:
        """The policy as it is now."""
        return RslRlPolicy(self.algorithm.actor, self.algorithm.critic)

    def learn(self, timesteps: int, hooks: Sequence[Hook]) -> None:
        """Collect and learn until so many steps have been taken in all."""
        if self._seed is not None:  # a new training; a resumed one is in the midst of its episodes
            self._vec_env.reset(self._seed)
            self._seed = None
        for hook in hooks:
            hook.before_training(self)
        observation = self._vec_env.get_observations()
        while self._timesteps < timesteps:
            for hook in hooks:
                hook.before_rollout(self)
            final = self._arguments["final_entropy_coef"]
            if final is not None and self._timesteps >= timesteps / 2:
                self.algorithm.entropy_coef = final
            observation = self._collect(observation)
            with torch.inference_mode():
                self.algorithm.compute_returns(observation)
            losses = self.algorithm.update()
            self._updates += self.algorithm.num_learning_epochs
            std = self.algorithm.get_policy().output_std.mean().item()
            figures = {**losses, "learning_rate": self.algorithm.learning_rate, "std": std}
            self._figures = {f"train/{name}": float(figure) for name, figure in figures.items()}
            for hook in hooks:
                hook.after_rollout(self)
        for hook in hooks:
            hook.after_training(self)

    def _collect(self, observation: TensorDict) -> TensorDict:
        """Take the steps of a rollout."""
        self.algorithm.train_mode()
        steps: list[torch.Tensor] = []
        names: list[str] = []
        with torch.inference_mode():
            for _ in range(self._arguments["num_steps_per_env"]):
                actions = self.algorithm.act(observation)
                observation, reward, done, extras = self._vec_env.step(actions)
                self.algorithm.process_env_step(observation, reward, done, extras)
                metrics = extras["metrics"]
                names = [n for n in metrics if n in ("is_success", "fault") or n.partition("/")[0] in AVERAGED]
                steps.append(torch.stack([reward, done.to(reward), *(metrics[n].to(reward) for n in names)]))
                self._timesteps += self.env.num_envs * world_size()
        for reward, done, *values in torch.stack(steps).cpu().numpy():
            self.episodes.step(reward, done > 0, partial(_row, names, values))
        return observation

    def figures(self) -> dict[str, float]:
        """Losses, learning rate and standard deviation of the last update."""
        figures, self._figures = self._figures, {}
        return figures

    def model_state(self) -> State:
        """Networks, their normalisers, the optimiser, and the adapted learning rate."""
        return {
            "actor": dict(self.algorithm.actor.state_dict()),
            "critic": dict(self.algorithm.critic.state_dict()),
            "optimizer": optimizer_state(self.algorithm.optimizer),
            "learning_rate": float(self.algorithm.learning_rate),
        }

    def check_model_state(self, state: Any) -> None:
        """Refuse a state of other networks."""
        check_like({**self.model_state(), "optimizer": None}, state, "model", finite=True, unchecked=True)
        check_optimizer(self.algorithm.optimizer, state["optimizer"], "model/optimizer")
        if state["learning_rate"] <= 0:
            raise ValueError(f"the learning rate is {state['learning_rate']}")

    def load_model_state(self, state: State) -> None:
        """Take over networks and optimiser, and the learning rate if it adapts."""
        self.algorithm.actor.load_state_dict(state["actor"])
        self.algorithm.critic.load_state_dict(state["critic"])
        load_optimizer(self.algorithm.optimizer, state["optimizer"])
        if self.algorithm.schedule != "fixed":
            self.algorithm.learning_rate = state["learning_rate"]
        for group in self.algorithm.optimizer.param_groups:
            group["lr"] = self.algorithm.learning_rate

    def loop_state(self) -> State:
        """Counters and the statistics of episodes; the environment has the last observation."""
        return {"timesteps": self._timesteps, "updates": self._updates, "episodes": self.episodes.state_dict()}

    def check_loop_state(self, state: Any) -> None:
        """Refuse a state of another training."""
        check_like({"timesteps": 0, "updates": 0, "episodes": None}, state, "loop", unchecked=True)
        if min(state["timesteps"], state["updates"]) < 0:
            raise ValueError("loop has negative counts")
        self.episodes.check_state_dict(state["episodes"])

    def load_loop_state(self, state: State) -> None:
        """Continue where another process was."""
        self._timesteps, self._updates = state["timesteps"], state["updates"]
        self.episodes.load_state_dict(state["episodes"])
        self._seed = None


make_learner = RslRlLearner


class BootstrappedPPO(PPO):
    """RSL-RL's PPO with two differences.

    A time-out is bootstrapped with the value of the true last state, V(s'), where RSL-RL's takes V(s) of the state
    before. Ranks normalise their advantages together, as one process with all environments would.
    """

    def process_env_step(
        self, obs: Any, rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any]
    ) -> None:
        """Record one step."""
        time_outs = extras["time_outs"]
        if bool(time_outs.any()):
            final = extras["final_observation"]
            values = self.critic(final[time_outs]).squeeze(-1)
            rewards = rewards.clone()
            rewards[time_outs] += self.gamma * values
        rest = {name: value for name, value in extras.items() if name != "time_outs"}
        super().process_env_step(obs, rewards, dones, rest)

    def compute_returns(self, obs: Any) -> None:
        """Compute returns and advantages."""
        super().compute_returns(obs)
        if not self.is_multi_gpu or self.normalize_advantage_per_mini_batch:
            return
        advantages: Any = self.storage.returns - self.storage.values
        count = advantages.numel() * self.gpu_world_size
        deviation = advantages - _sum_over_ranks(advantages) / count
        variance = _sum_over_ranks(deviation.square()) / (count - 1)
        self.storage.advantages = deviation / (variance.sqrt() + 1e-8)


def _row(names: Sequence[str], columns: Sequence[NDArray[Any]], env: int) -> dict[str, float]:
    """The metrics of one environment."""
    return {name: float(column[env]) for name, column in zip(names, columns, strict=True)}


def _sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of all elements on all ranks, `()`."""
    total = tensor.sum()
    distributed.all_reduce(total)
    return total


class _InverseSoftplus(nn.Module):
    """The inverse of softplus, applied to squareplus: softplus of it is (x + sqrt(x² + 4)) / 2 (Barron, 2021)."""

    def forward(self, number: torch.Tensor) -> torch.Tensor:
        square_plus = torch.asinh(number / 2.0).exp()  # the same, and the sum does not cancel out below zero
        return square_plus + torch.log(-torch.expm1(-square_plus))


class SquareplusBeta(BetaDistribution):
    """RSL-RL's Beta distribution with squareplus in place of softplus for its two positive parameters.

    Softplus is all but flat below -10, where the parameter of an action that has been low for long ends up: no
    gradient leads back from there. The slope of squareplus falls off as 1 / x² only.
    """

    _before_softplus = _InverseSoftplus()

    def update(self, mlp_output: torch.Tensor) -> None:
        """Set the parameters."""
        super().update(self._before_softplus(mlp_output))

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """The mean."""
        return super().deterministic_output(self._before_softplus(mlp_output))

    def as_deterministic_output_module(self) -> nn.Module:
        """The mean, for export."""
        return nn.Sequential(self._before_softplus, super().as_deterministic_output_module())
