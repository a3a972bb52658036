"""Evaluation: many fresh episodes in one pass over the rows of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, check_positive_int
from genesis_gym.learning.policy import Act, open_run

#: Episode k of an evaluation has seed EVALUATION_SEED + k, far from the seeds that training uses.
EVALUATION_SEED = 1_000_000


@dataclass(frozen=True)
class EvaluationResult:
    """Figures over the episodes of an evaluation.

    Attributes:
        success_rate: Share of episodes that ended in success, 0 to 1.
        episodes: How many.
        mean_reward: Mean of the undiscounted returns.
        std_reward: Their standard deviation.
        mean_final_distance: Mean distance to the target at the end, metres; None for a task without target.
        mean_episode_length: Mean number of control steps.
        seed: Seed of the first episode.
    """

    success_rate: float
    episodes: int
    mean_reward: float
    std_reward: float
    mean_final_distance: float | None
    mean_episode_length: float
    seed: int


def evaluate_policy(env: BatchedEnv, act: Act, episodes: int, seed: int = EVALUATION_SEED) -> EvaluationResult:
    """Run episodes side by side, one in each row, in as many rounds as are needed.

    Episode k starts from seed + k whatever the number of rows, and each row's first episode counts, so that
    quick episodes are not counted more often than long ones.

    Args:
        env: The environment; its episodes in progress are lost.
        act: The policy.
        episodes: How many, at least 1.
        seed: Seed of the first.

    Returns:
        The figures.

    Raises:
        ArgumentError: `episodes` is below 1, or the environment's episodes have no end.
    """
    check_positive_int("episodes", episodes)
    if env.max_episode_steps is None:
        raise ArgumentError("max_episode_steps=None is not allowed in an evaluation: its episodes may never end")
    with env.lent():
        rounds = [_play_round(env, act, seed + first) for first in range(0, episodes, env.num_envs)]
    joined = {name: torch.cat([figures[name] for figures in rounds])[:episodes] for name in rounds[0]}
    distance = joined.get("distance_to_target")
    return EvaluationResult(
        success_rate=joined["success"].mean().item(),
        episodes=episodes,
        mean_reward=joined["return"].mean().item(),
        std_reward=joined["return"].std(correction=0).item(),
        mean_final_distance=None if distance is None else distance.mean().item(),
        mean_episode_length=joined["length"].mean().item(),
        seed=seed,
    )


def evaluate_run(
    folder: Path, episodes: int, seed: int = EVALUATION_SEED, backend: str = "auto"
) -> EvaluationResult:
    """Evaluate the policy of a run folder in a scene of its own.

    Args:
        folder: The run folder.
        episodes: How many episodes, at least 1.
        seed: Seed of the first.
        backend: One of `genesis_gym.runtime.BACKENDS`.

    Returns:
        The figures.

    Raises:
        RunFolderError: It is no run folder, or its files cannot be read.
        ArgumentError: `episodes`, `seed` or `backend` is not allowed.
    """
    check_positive_int("episodes", episodes)
    _, env, act = open_run(folder, min(episodes, 256), backend=backend)
    try:
        return evaluate_policy(env, act, episodes, seed)
    finally:
        env.close()


def _play_round(env: BatchedEnv, act: Act, seed: int) -> dict[str, torch.Tensor]:
    """Play one episode in every row; figures of each, float64 `(num_envs,)`."""
    observation, metrics = env.reset(seed=seed)
    running = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
    figures = {
        name: torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
        for name in ("success", "return", "length", *({"distance_to_target"} & metrics.keys()))
    }
    while bool(running.any()):
        result = env.step(act(observation))
        observation = result.observation
        figures["return"] += torch.where(running, result.reward, 0.0)
        figures["length"] += running
        figures["success"] += running & result.terminated & result.metrics["is_success"]
        if "distance_to_target" in figures:
            distance = result.metrics["distance_to_target"].double()
            figures["distance_to_target"] = torch.where(running, distance, figures["distance_to_target"])
        running = running & ~(result.terminated | result.truncated)
    return {name: value.cpu() for name, value in figures.items()}
