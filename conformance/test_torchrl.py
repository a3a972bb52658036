"""torchrl: its checker of environments, rollouts and its data collector."""

from __future__ import annotations

import pytest
from gymnasium.vector import AutoresetMode

pytest.importorskip("torchrl")
import torch
from torchrl.collectors import Collector
from torchrl.envs import GymEnv, GymWrapper, RewardSum, StepCounter, TransformedEnv, check_env_specs
from torchrl.modules import RandomPolicy

from conformance.conftest import make_vec
from conformance.rollouts import ENV_ID, EPISODE


def test_single_environment() -> None:
    env = TransformedEnv(GymEnv(ENV_ID, max_episode_steps=EPISODE, device="cpu"), StepCounter())
    try:
        env.set_seed(0)
        check_env_specs(env)
        rollout = env.rollout(3 * EPISODE, break_when_any_done=False)
        assert rollout["step_count"].max() == EPISODE - 1
        assert rollout["next", "done"].any()
    finally:
        env.close()


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED], ids=lambda mode: mode.name)
def test_vector_environment(mode: AutoresetMode) -> None:
    """Resets come in another way in each mode; the last observation of an episode is the true one in both."""
    env = GymWrapper(make_vec(4, autoreset_mode=mode), device="cpu")
    try:
        env.set_seed(0)
        check_env_specs(env)
        rollout = env.rollout(3 * EPISODE, break_when_any_done=False)
        done = rollout["next", "done"].squeeze(-1)
        assert done.any(dim=1).all() and rollout["next", "observation"].isfinite().all()
        last, first = rollout["next", "observation"][:, :-1], rollout["observation"][:, 1:]
        assert torch.equal(last[~done[:, :-1]], first[~done[:, :-1]])
        assert not torch.isclose(last[done[:, :-1]], first[done[:, :-1]]).all(-1).any()
    finally:
        env.close()


def test_collector() -> None:
    env = TransformedEnv(
        GymWrapper(make_vec(4, autoreset_mode=AutoresetMode.SAME_STEP), device="cpu"), RewardSum()
    )
    collector = Collector(env, RandomPolicy(env.action_spec), frames_per_batch=64, total_frames=128)
    try:
        batches = list(collector)
        assert [batch.numel() for batch in batches] == [64, 64]
        assert all(batch["next", "done"].any() for batch in batches)
    finally:
        collector.shutdown()
