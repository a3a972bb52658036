"""`gymnasium.wrappers.vector`: each wrapper over several ends of episodes, its promise computed by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector
from gymnasium.wrappers.utils import RunningMeanStd

from conformance.conftest import frames_of, make_vec
from conformance.rollouts import ENV_ID, EPISODE, close, episodes, roll_vector, unchanged


class Promise(NamedTuple):
    """A wrapper, and what it makes of observation and reward; `action` is the input that it turns into ours."""

    wrap: Callable
    observation: Callable = unchanged
    reward: Callable = unchanged
    action: Callable = unchanged


PROMISES = {
    "DtypeObservation": Promise(lambda e: vector.DtypeObservation(e, np.float64), np.float64),
    "FlattenObservation": Promise(vector.FlattenObservation),
    "RescaleObservation": Promise(
        lambda e: vector.RescaleObservation(e, np.float32(0), np.float32(1)), lambda o: (o + 20) / 40
    ),
    "ReshapeObservation": Promise(lambda e: vector.ReshapeObservation(e, (4, 5)), lambda o: o.reshape(-1, 4, 5)),
    "TransformObservation": Promise(lambda e: vector.TransformObservation(e, lambda o: o / 2), lambda o: o / 2),
    "VectorizeTransformObservation": Promise(
        lambda e: vector.VectorizeTransformObservation(
            e, wrappers.TransformObservation, func=lambda o: o / 2, observation_space=e.single_observation_space
        ),
        lambda o: o / 2,
    ),
    "ClipReward": Promise(lambda e: vector.ClipReward(e, -1, 1), reward=lambda r: np.clip(r, -1, 1)),
    "TransformReward": Promise(lambda e: vector.TransformReward(e, np.tanh), reward=np.tanh),
    "VectorizeTransformReward": Promise(
        lambda e: vector.VectorizeTransformReward(e, wrappers.TransformReward, func=np.tanh), reward=np.tanh
    ),
    "RescaleAction": Promise(
        lambda e: vector.RescaleAction(e, np.float32(-4), np.float32(4)), action=lambda a: 4 * a
    ),
    "TransformAction": Promise(lambda e: vector.TransformAction(e, np.negative), action=np.negative),
    "VectorizeTransformAction": Promise(
        lambda e: vector.VectorizeTransformAction(
            e, wrappers.TransformAction, func=np.negative, action_space=e.single_action_space
        ),
        action=np.negative,
    ),
    "RecordEpisodeStatistics": Promise(vector.RecordEpisodeStatistics),
}


@pytest.mark.parametrize("name", PROMISES)
def test_wrapper_keeps_its_promise(envs: gymnasium.vector.VectorEnv, name: str) -> None:
    promise = PROMISES[name]
    if name.endswith("Observation") and envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP:
        pytest.skip("Gymnasium refuses observation wrappers in SAME_STEP mode, whatever the environment")
    bare, wrapped = roll_vector(envs), roll_vector(promise.wrap(envs), promise.action)
    assert np.sum(bare.terminated) and np.sum(bare.truncated)
    close(wrapped.observations, [promise.observation(o) for o in bare.observations])
    close(wrapped.rewards, [promise.reward(r) for r in bare.rewards])
    np.testing.assert_array_equal(wrapped.terminated, bare.terminated)
    np.testing.assert_array_equal(wrapped.truncated, bare.truncated)


def test_statistics_are_the_sums(envs: gymnasium.vector.VectorEnv) -> None:
    expected = episodes(roll_vector(envs), envs.metadata["autoreset_mode"])
    recorder = vector.RecordEpisodeStatistics(envs)
    told = [
        (step, env, info["episode"]["r"][env], info["episode"]["l"][env])
        for step, info in enumerate(roll_vector(recorder).infos)
        for env in np.flatnonzero(info.get("_episode", []))
    ]
    assert len({length for *_, length in told}) > 1
    np.testing.assert_allclose(told, expected, rtol=1e-6)
    assert sorted(recorder.length_queue) == sorted(length for *_, length in expected)


def test_clip_action_equals_our_own_clipping(envs: gymnasium.vector.VectorEnv) -> None:
    bare, wrapped = (roll_vector(e, lambda a: 3 * a) for e in (envs, vector.ClipAction(envs)))
    np.testing.assert_array_equal(wrapped.observations, bare.observations)


def test_normalize_observation(next_step: gymnasium.vector.VectorEnv) -> None:
    statistics = RunningMeanStd(shape=next_step.single_observation_space.shape, dtype=np.float32)
    expected = []
    for observation in roll_vector(next_step).observations:
        statistics.update(observation)
        expected.append((observation - statistics.mean) / np.sqrt(statistics.var + 1e-8))
    close(roll_vector(vector.NormalizeObservation(next_step)).observations, expected)


def test_normalize_reward(envs: gymnasium.vector.VectorEnv) -> None:
    bare, normalizer = roll_vector(envs), vector.NormalizeReward(envs)
    rewards = np.array(roll_vector(normalizer).rewards)
    assert np.isfinite(rewards).all()
    assert (np.sign(rewards) == np.sign(bare.rewards)).all(), "scaled, never shifted"
    np.testing.assert_allclose(
        rewards[-1] * np.sqrt(normalizer.return_rms.var + 1e-8), bare.rewards[-1], rtol=1e-6
    )


def test_infos_as_lists(envs: gymnasium.vector.VectorEnv) -> None:
    bare = roll_vector(envs)
    expected = episodes(bare, envs.metadata["autoreset_mode"])
    listed = roll_vector(vector.DictInfoToList(vector.RecordEpisodeStatistics(envs))).infos
    told = [(step, env) for step, infos in enumerate(listed) for env in range(4) if "episode" in infos[env]]
    assert told == [(step, env) for step, env, *_ in expected]
    for infos, ours in zip(listed, bare.infos, strict=True):
        assert [info["is_success"] for info in infos] == ours["is_success"].tolist()


@pytest.mark.parametrize("name", ["NumpyToTorch", "ArrayConversion"])
def test_conversion_to_torch(next_step: gymnasium.vector.VectorEnv, name: str) -> None:
    pytest.importorskip("array_api_compat")
    import torch

    arguments = (np, torch) if name == "ArrayConversion" else ()
    converted = getattr(vector, name)(next_step, *arguments)
    bare, _ = next_step.reset(seed=0)
    observation, _ = converted.reset(seed=0)
    assert torch.equal(observation, torch.from_numpy(bare))
    for _ in range(EPISODE + 2):
        *result, info = converted.step(torch.zeros(4, 7))
    assert [value.dtype for value in result] == [torch.float32, torch.float64, torch.bool, torch.bool]
    assert isinstance(info["distance_to_target"], torch.Tensor)


def test_video_plays(tmp_path: Path) -> None:
    envs = vector.RecordVideo(
        make_vec(2, render_mode="rgb_array"), str(tmp_path), episode_trigger=lambda episode: episode < 2
    )
    first, steps = 0, 0
    envs.reset(seed=0)
    while not first or steps < first + 2:
        steps += 1
        _, _, terminated, truncated, _ = envs.step(envs.action_space.sample())
        if not first and (terminated[0] or truncated[0]):
            first = steps
    envs.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rl-video-episode-0.mp4", "rl-video-episode-1.mp4"]
    assert frames_of(tmp_path / "rl-video-episode-0.mp4") == first + 1, "that of reset, and one for each step"


def test_the_usual_stack(next_step: gymnasium.vector.VectorEnv) -> None:
    """Wrapped as PPO implementations do it."""
    envs = vector.RecordEpisodeStatistics(vector.ClipAction(next_step))
    envs = vector.NormalizeReward(vector.NormalizeObservation(envs), gamma=0.95)
    envs = vector.TransformReward(envs, lambda r: np.clip(r, -10, 10))
    rollout = roll_vector(envs, lambda a: 3 * a)
    assert np.abs(rollout.rewards).max() <= 10
    assert any("episode" in info for info in rollout.infos)


@pytest.mark.parametrize("context", [pytest.param("spawn", marks=pytest.mark.slow), "fork"])
def test_one_process_for_each_environment(context: str, tmp_path: Path) -> None:
    """Gymnasium's `AsyncVectorEnv` makes one environment in its own process first: a fork is then refused."""
    script = tmp_path / "script.py"  # a file, since spawned processes import it
    script.write_text(
        "import gymnasium, genesis_gym\n"
        "if __name__ == '__main__':\n"
        f"    arguments = {{'vectorization_mode': 'async', 'vector_kwargs': {{'context': '{context}'}}}}\n"
        f"    envs = gymnasium.make_vec('{ENV_ID}', num_envs=2, **arguments)\n"
        "    envs.reset(seed=0)\n"
        "    print(envs.step(envs.action_space.sample())[0].shape)\n"
        "    envs.close()\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=120)
    if context == "spawn":
        assert result.stdout == "(2, 20)\n", result.stderr
    else:
        assert result.returncode and "was forked" in result.stderr, "refused with the reason, where it would hang"
