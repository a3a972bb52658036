"""`GenesisGymWrapper` as the training guide uses and subclasses it."""

from __future__ import annotations

import contextlib
import logging

import gymnasium
import numpy as np
import pytest
import torch

from conftest import ENV_ID
from genesis_gym.errors import ActionError, ArgumentError, MissingDependencyError
from genesis_gym.runtime import backend
from genesis_gym_wrapper import GenesisGymWrapper


class GuideReachingEnv(GenesisGymWrapper):
    """The guide's way to a task: numpy, in `reset` and `step`."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.target_tolerance = 0.05

    def reset(self, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        low, high = [0.3, -0.3, 0.2], [0.7, 0.3, 0.5]
        self.target = self.np_random.uniform(low, high).astype(np.float32)
        return np.concatenate([observation, self.target]), info

    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        hand = self._compute_forward_kinematics(observation[: self.n_ctrl_dofs])
        distance = float(np.linalg.norm(hand - self.target))
        info["is_success"] = distance < self.target_tolerance
        return (
            np.concatenate([observation, self.target]),
            -5 * distance + 10 * info["is_success"],
            bool(terminated or info["is_success"]),
            truncated,
            info,
        )


@pytest.fixture(scope="module")
def guide_env():
    env = GuideReachingEnv(robot_type="franka", use_gpu=True, show_viewer=False)
    yield env
    env.close()


def test_the_guides_subclass_works(guide_env) -> None:
    observation, _ = guide_env.reset(seed=0)
    again, _ = guide_env.reset(seed=0)
    np.testing.assert_array_equal(observation, again)
    assert observation.shape == (2 * guide_env.n_ctrl_dofs + 3,)
    np.testing.assert_allclose(observation[: guide_env.n_ctrl_dofs], guide_env.initial_joint_pos, atol=1e-6)
    for _ in range(3):
        _, reward, terminated, truncated, info = guide_env.step(guide_env.action_space.sample())
    assert reward < 0 and not (terminated or truncated) and info["is_success"] is False


def test_attributes_of_the_guide(guide_env) -> None:
    assert (guide_env.n_dofs, guide_env.n_ctrl_dofs, guide_env.max_steps) == (9, 7, 100)
    assert guide_env.joint_limits_low.shape == guide_env.joint_limits_high.shape == (7,)
    assert (guide_env.joint_limits_low < guide_env.initial_joint_pos).all()
    assert (guide_env.initial_joint_pos < guide_env.joint_limits_high).all()
    assert guide_env.robot.n_dofs == 9 and guide_env.scene.is_built


def test_forward_kinematics_is_the_simulators(single) -> None:
    """Where the tool really goes is where forward kinematics said, and asking moves nothing."""
    arm = single.unwrapped
    single.reset(seed=0)
    for _ in range(10):
        observation, *_ = single.step(single.action_space.sample())
    joints, target, to_target = observation[:7], observation[-6:-3], observation[-3:]
    truth = target - to_target
    before = arm.robot.get_dofs_position().clone()
    np.testing.assert_allclose(arm.forward_kinematics(joints), truth, atol=1e-5)
    assert torch.equal(arm.robot.get_dofs_position(), before)
    many = np.tile(joints, (5, 1))
    np.testing.assert_allclose(arm.forward_kinematics(many), np.tile(truth, (5, 1)), atol=1e-5)
    full = arm.robot.get_dofs_position()[0].numpy()
    np.testing.assert_allclose(arm.forward_kinematics(full), truth, atol=1e-5)
    with pytest.raises(ArgumentError, match="n_ctrl_dofs=7 or n_dofs=9"):
        arm.forward_kinematics(np.zeros(5))


def test_tool_centre_is_between_the_fingertips(single) -> None:
    """At home the hand points down: the tool centre is 0.1034 m below it, midway between the fingers."""
    single.reset(seed=0)
    tool = single.unwrapped.core.task.arm.tool.position[0]
    hand = single.unwrapped.robot.get_link("hand").get_pos()[0]
    fingers = [single.unwrapped.robot.get_link(f"{side}_finger").get_pos()[0] for side in ("left", "right")]
    torch.testing.assert_close(torch.linalg.vector_norm(tool - hand), torch.tensor(0.1034), atol=1e-4, rtol=0)
    middle = (fingers[0] + fingers[1]) / 2
    assert torch.linalg.vector_norm(torch.linalg.cross(tool - hand, middle - hand)) < 1e-4, "on the hand's axis"
    assert tool[2] < middle[2] < hand[2]


def test_targets_fill_their_box(single) -> None:
    observation, info = single.reset(seed=3)
    assert info["distance_to_target"] == pytest.approx(np.linalg.norm(observation[17:]), rel=1e-5)
    low, high = np.array([0.3, -0.3, 0.2]), np.array([0.7, 0.3, 0.5])
    targets = np.stack([single.reset()[0][14:17] for _ in range(50)])
    assert (targets >= low).all() and (targets <= high).all()
    assert (np.ptp(targets, axis=0) > 0.8 * (high - low)).all()


def test_success_is_the_true_distance(single, monkeypatch) -> None:
    single.reset(seed=0)
    monkeypatch.setattr(
        single.unwrapped.core.task,
        "target",
        single.unwrapped.core.task.arm.tool.position + torch.tensor([0.03, 0, 0]),
    )
    _, reward, terminated, truncated, info = single.step(np.zeros(7, np.float32))
    assert terminated and not truncated and info["is_success"] is True
    assert info["distance_to_target"] == pytest.approx(0.03, abs=5e-3)
    assert reward == pytest.approx(10 - 5 * info["distance_to_target"], rel=1e-5)
    assert reward == pytest.approx(info["reward/distance"] + info["reward/success"], rel=1e-5)


def test_rendering_shows_the_present_state(single) -> None:
    single.reset(seed=0)
    first = single.render()
    assert first.dtype == np.uint8 and first.ndim == 3 and first.shape[2] == 3
    np.testing.assert_array_equal(single.render(), first)
    single.step(np.ones(7, np.float32))
    assert not np.array_equal(single.render(), first)
    single.reset(seed=0)
    np.testing.assert_array_equal(single.render(), first)


def test_a_restored_target_is_drawn_where_it_was(single) -> None:
    single.reset(seed=0)
    state, first = single.unwrapped.core.state_dict(), single.render()
    single.reset(seed=1)
    assert not np.array_equal(single.render(), first)
    single.unwrapped.core.load_state_dict(state)
    np.testing.assert_array_equal(single.render(), first)


def test_rendering_does_not_change_the_physics(single) -> None:
    """The arm in the air moves alike, to the last bit, with camera and marker or without."""
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 7)).astype(np.float32)
    results = []
    with contextlib.closing(gymnasium.make(ENV_ID)) as unseen:
        for env, render in ((single, True), (unseen, False)):
            env.reset(seed=0)
            for action in actions:
                observation = env.step(action)[0]
                if render:
                    env.render()
            results.append(observation)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("arguments", [{"show_viewer": True}, {"render_mode": "human"}])
def test_a_viewer_without_display_says_what_is_missing(monkeypatch, arguments: dict) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(MissingDependencyError, match=r"DISPLAY.*rgb_array"):
        GenesisGymWrapper(**arguments)


def test_missing_gpu_is_told_once_in_one_line(monkeypatch, caplog) -> None:
    monkeypatch.setattr(backend, "_fallback_logged", False)
    with caplog.at_level(logging.WARNING, logger="genesis_gym"):
        for _ in range(2):
            backend.start("gpu")
    assert [record.getMessage() for record in caplog.records] == [
        "no GPU that Genesis can use was found: running on the CPU"
    ]


@pytest.mark.parametrize(
    ("action", "named"),
    [
        (np.zeros(6, np.float32), "must be"),
        (np.zeros((1, 7), np.float32), "must be"),
        (np.zeros(7, np.int32), "int32"),
        (["a"] * 7, "<U1"),
        (None, "object"),
    ],
)
def test_wrong_actions_are_named(single, action: object, named: str) -> None:
    single.reset(seed=0)
    with pytest.raises(ActionError, match=named):
        single.step(action)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"robot_type": "pr2"}, "robot='pr2' is not known; allowed: 'franka', 'ur5e', 'kuka_iiwa'"),
        ({"scene_type": "kitchen"}, "scene_type='kitchen'"),
        ({"render_mode": "ansi"}, "allowed: 'human', 'rgb_array'"),
        ({"control_mode": "joint_detla"}, "did you mean 'joint_delta'"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        gymnasium.make(ENV_ID, **arguments)
    assert named in str(error.value)


class GuideCurriculumEnv(GenesisGymWrapper):
    """The guide's curriculum: plain attributes, and a longer observation whose space nobody declares."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.difficulty = 0.1
        self.target_pos = None

    def reset(self, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        self.target_pos = np.float32([0.5, 0.0, 0.3]) * self.difficulty
        return np.concatenate([observation, self.target_pos]), info

    def step(self, action):
        observation, *rest = super().step(action)
        return np.concatenate([observation, self.target_pos]), *rest


def test_a_subclass_sets_attributes_and_its_space_follows() -> None:
    env = GuideCurriculumEnv()
    assert env.observation_space.shape == (17,)
    env.difficulty = 0.7
    observation, _ = env.reset(seed=0)
    assert env.difficulty == 0.7 and observation[-3] == pytest.approx(0.35)
    assert env.observation_space.contains(observation)
    assert env.observation_space.contains(env.step(env.action_space.sample())[0])
    env.close()


def test_neither_pickle_nor_an_unknown_attribute_confuses_a_half_made_environment() -> None:
    half = GenesisGymWrapper.__new__(GenesisGymWrapper)
    with pytest.raises(AttributeError, match="no attribute 'target_position'"):
        half.target_position  # noqa: B018
