"""`gymnasium.wrappers` and `gymnasium.utils` on the environment that `gymnasium.make` gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match
from gymnasium.utils.performance import benchmark_render, benchmark_step
from gymnasium.wrappers.utils import RunningMeanStd

from conformance.conftest import frames_of
from conformance.rollouts import ENV_ID, EPISODE, close, random_actions, roll

OBSERVATIONS: dict[str, tuple[Callable, Callable]] = {
    "DtypeObservation": (lambda e: wrappers.DtypeObservation(e, np.float64), np.float64),
    "FlattenObservation": (wrappers.FlattenObservation, np.asarray),
    "RescaleObservation": (
        lambda e: wrappers.RescaleObservation(e, np.float32(0), np.float32(1)),
        lambda o: (o + 20) / 40,
    ),
    "ReshapeObservation": (lambda e: wrappers.ReshapeObservation(e, (4, 5)), lambda o: o.reshape(4, 5)),
    "TransformObservation": (
        lambda e: wrappers.TransformObservation(e, lambda o: o / 2, e.observation_space),
        lambda o: o / 2,
    ),
    "OrderEnforcing": (wrappers.OrderEnforcing, np.asarray),
    "PassiveEnvChecker": (wrappers.PassiveEnvChecker, np.asarray),
}


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_observation(env: gymnasium.Env, name: str) -> None:
    wrap, expected = OBSERVATIONS[name]
    close(roll(wrap(env)).observations, [expected(o) for o in roll(env).observations])


ACTIONS: dict[str, tuple[Callable, Callable]] = {
    "ClipAction": (wrappers.ClipAction, lambda a: 3 * a),
    "RescaleAction": (lambda e: wrappers.RescaleAction(e, np.float32(-4), np.float32(4)), lambda a: 4 * a),
    "TransformAction": (lambda e: wrappers.TransformAction(e, np.negative, e.action_space), np.negative),
    "StickyAction": (lambda e: wrappers.StickyAction(e, 0.0), np.asarray),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_action(env: gymnasium.Env, name: str) -> None:
    wrap, given = ACTIONS[name]
    expected = roll(env, lambda a: 3 * a if name == "ClipAction" else a)
    close(roll(wrap(env), given).observations, expected.observations)


def test_sticky_and_repeated_actions(env: gymnasium.Env) -> None:
    env.reset(seed=0)
    first = random_actions(1, 7)[0]
    held = [env.step(first) for _ in range(4)]
    sticky = wrappers.StickyAction(env, 1 - 1e-12)
    sticky.reset(seed=0)
    sticky.step(first)
    close([sticky.step(-first)[0] for _ in range(3)], [result[0] for result in held[1:]])
    repeated = wrappers.RepeatAction(env, 4)
    repeated.reset(seed=0)
    observation, reward, *_ = repeated.step(first)
    close([observation, reward], [held[3][0], sum(result[1] for result in held)])
    skipping = wrappers.MaxAndSkipObservation(env, skip=4)
    skipping.reset(seed=0)
    close(skipping.step(first)[0], np.maximum(held[2][0], held[3][0]))


def test_discretized_spaces(env: gymnasium.Env) -> None:
    discrete = wrappers.DiscretizeAction(env, bins=3, multidiscrete=True)
    observation, _ = discrete.reset(seed=0)
    observation, *_ = discrete.step(np.ones(7, np.int64))  # the middle bin is no motion
    env.reset(seed=0)
    np.testing.assert_allclose(observation, env.step(np.zeros(7, np.float32))[0], atol=1e-6)
    roll(wrappers.DiscretizeObservation(env, bins=5, multidiscrete=True))


def test_rewards(env: gymnasium.Env) -> None:
    rewards = roll(env).rewards
    close(roll(wrappers.ClipReward(env, -1, 1)).rewards, np.clip(rewards, -1, 1))
    close(roll(wrappers.TransformReward(env, np.tanh)).rewards, np.tanh(rewards))
    normalized = roll(wrappers.NormalizeReward(env)).rewards
    assert np.isfinite(normalized).all() and (np.sign(normalized) == np.sign(rewards)).all()


def test_normalize_observation(env: gymnasium.Env) -> None:
    statistics = RunningMeanStd(shape=env.observation_space.shape, dtype=np.float32)
    expected = []
    for observation in every_observation(env):
        statistics.update(observation[None])
        expected.append((observation - statistics.mean) / np.sqrt(statistics.var + 1e-8))
    close(every_observation(wrappers.NormalizeObservation(env)), expected)


def every_observation(env: gymnasium.Env) -> list[np.ndarray]:
    """Observations of two episodes, the last of each included."""
    observations = []
    for episode in range(2):
        observations.append(env.reset(seed=episode)[0])
        observations += [env.step(action)[0] for action in random_actions(EPISODE, 7)]
    return observations


def test_history(env: gymnasium.Env) -> None:
    expected = every_observation(env)
    delayed = every_observation(wrappers.DelayObservation(env, delay=2))
    close(delayed[2 : EPISODE + 1], expected[: EPISODE - 1])
    close(delayed[EPISODE + 1 : EPISODE + 3], np.zeros((2, 20)))
    stacked = every_observation(wrappers.FrameStackObservation(env, 3))
    close(stacked[2], expected[:3])
    close(stacked[EPISODE + 1], [expected[EPISODE + 1]] * 3)
    timed = every_observation(wrappers.TimeAwareObservation(env))
    assert [observation[-1] for observation in timed[: EPISODE + 1]] == list(range(EPISODE + 1))


def test_clock_and_statistics(env: gymnasium.Env) -> None:
    recorder = wrappers.RecordEpisodeStatistics(wrappers.TimeLimit(env, 5))
    rollout = roll(recorder)
    ends = np.flatnonzero(np.logical_or(rollout.terminated, rollout.truncated))
    starts = [0, *(ends[:-1] + 1)]
    told = [(rollout.infos[end]["episode"]["r"], rollout.infos[end]["episode"]["l"]) for end in ends]
    expected = [(sum(rollout.rewards[s : e + 1]), e + 1 - s) for s, e in zip(starts, ends, strict=True)]
    np.testing.assert_allclose(told, expected, rtol=1e-5, atol=1e-4)
    assert max(length for _, length in told) == 5


def test_autoreset(env: gymnasium.Env) -> None:
    """The step after an end begins the next episode, as in a vector environment."""
    by_hand, autoreset = every_observation(env), wrappers.Autoreset(env)
    autoreset.reset(seed=0)
    *_, truncated, _ = [autoreset.step(action) for action in random_actions(EPISODE, 7)][-1]
    assert truncated
    observation, reward, terminated, truncated, _ = autoreset.step(np.ones(7, np.float32))
    env.reset(seed=0)
    np.testing.assert_array_equal(observation, env.reset()[0])
    assert (reward, terminated, truncated) == (0, False, False)
    assert not np.array_equal(observation, by_hand[0])


def test_pictures(env: gymnasium.Env) -> None:
    pixels = wrappers.AddRenderObservation(env, render_only=True)
    observation, _ = pixels.reset(seed=0)
    assert observation in pixels.observation_space
    np.testing.assert_array_equal(observation, env.render())
    both = wrappers.AddRenderObservation(env, render_only=False)
    wrappers.FilterObservation(both, ["state"]).reset(seed=0)
    assert both.reset(seed=0)[0] in both.observation_space
    gray = wrappers.GrayscaleObservation(pixels)
    assert gray.reset(seed=0)[0] in gray.observation_space
    for noisy in (wrappers.AddWhiteNoise(env, 0.1), wrappers.ObstructView(env, 0.1, 8)):
        noisy.reset(seed=0)
        assert noisy.render().shape == observation.shape
    collected = wrappers.RenderCollection(env)
    collected.reset(seed=0)
    collected.step(np.zeros(7, np.float32))
    assert len(collected.render()) == 2
    pytest.importorskip("cv2")
    small = wrappers.ResizeObservation(pixels, (32, 32))
    assert small.reset(seed=0)[0] in small.observation_space


def test_video_plays(env: gymnasium.Env, tmp_path: Path) -> None:
    recorder = wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda episode: episode == 0)
    recorder.reset(seed=0)
    for _ in range(EPISODE):
        recorder.step(np.zeros(7, np.float32))
    recorder.reset()  # ends the recording; closing it would close the shared environment
    assert frames_of(tmp_path / "rl-video-episode-0.mp4") == EPISODE + 1


def test_conversion_to_torch(env: gymnasium.Env) -> None:
    pytest.importorskip("array_api_compat")
    import torch

    converted = wrappers.NumpyToTorch(env)
    observation, _ = converted.reset(seed=0)
    stepped, reward, *_ = converted.step(torch.zeros(7))
    assert isinstance(reward, float)
    assert torch.equal(observation, torch.from_numpy(env.reset(seed=0)[0]))
    assert torch.equal(stepped, torch.from_numpy(env.step(np.zeros(7, np.float32))[0]))


def test_the_usual_stack(env: gymnasium.Env) -> None:
    """Wrapped as single-file PPO implementations do it, and given to their `SyncVectorEnv`."""

    def make() -> gymnasium.Env:
        one = wrappers.RecordEpisodeStatistics(wrappers.FlattenObservation(gymnasium.make(ENV_ID)))
        one = wrappers.NormalizeObservation(wrappers.ClipAction(one))
        space = Box(-10, 10, one.observation_space.shape, np.float32)
        one = wrappers.TransformObservation(one, lambda o: np.clip(o, -10, 10), space)
        one = wrappers.NormalizeReward(wrappers.TimeLimit(one, EPISODE), gamma=0.99)
        return wrappers.TransformReward(one, lambda r: np.clip(r, -10, 10))

    envs = gymnasium.vector.SyncVectorEnv([make] * 2)
    try:
        ended, _ = False, envs.reset(seed=1)
        for actions in random_actions(2 * EPISODE, 2, 7):
            observation, reward, _, truncated, _ = envs.step(3 * actions)
            assert observation in envs.observation_space and np.abs(reward).max() <= 10
            ended = ended or truncated.any()
        assert ended
    finally:
        envs.close()


def test_checkers_have_nothing_to_say(env: gymnasium.Env) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_close_check=True)
        other = gymnasium.make(ENV_ID, max_episode_steps=EPISODE, render_mode="rgb_array")
        check_environments_match(env, other, num_steps=2 * EPISODE, info_comparison="equivalence")
        other.close()
    assert benchmark_step(env, target_duration=0.2) > 0
    assert benchmark_render(env, target_duration=0.2) > 0


def test_a_spec_makes_the_same_environment_again(env: gymnasium.Env) -> None:
    wrapped = wrappers.FrameStackObservation(wrappers.RescaleAction(env, -2.0, 2.0), 2)
    again = gymnasium.make(wrapped.spec)
    try:
        assert str(again) == str(wrapped)
        close(again.reset(seed=3)[0], wrapped.reset(seed=3)[0])
    finally:
        again.close()
    assert gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()).id == ENV_ID
