"""Domain randomisation, on the real simulator."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

import genesis_gym
from conftest import random_actions
from genesis_gym.errors import ArgumentError
from genesis_gym.registration import ENVIRONMENTS
from genesis_gym.tasks.reach.reach import Reach
from genesis_gym.variation.ranges import needs_per_env_solver

#: A range for each term, wide enough to be seen.
RANGES = {
    "gravity": (4.0, 15.0),
    "gravity_tilt": (0.1, 0.5),
    "wind": (5.0, 20.0),
    "kp_scale": (0.3, 0.8),
    "kv_scale": (0.3, 0.8),
    "damping_scale": (5.0, 50.0),
    "friction_scale": (0.05, 1.0),
    "mass_scale": (0.5, 3.0),
    "payload": (0.5, 3.0),
    "armature_scale": (2.0, 20.0),
    "joint_offset": (-0.1, 0.1),
    "noise.joint_position": (0.01, 0.1),
    "action_latency": (0, 9),
}
#: What a term is where nothing varies.
NOMINAL = {"gravity": 9.81, **{name: 1.0 for name in RANGES if name.endswith("_scale")}}
#: After these Genesis computes the poses anew, by other code than that of a step: the last bits differ.
POSES_ANEW = ("mass_scale", "payload", "armature_scale")
STEPS = 40


def joints_over(env, actions: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    """Joint positions after each step, `(steps, num_envs, joints)`."""
    env.reset(seed=seeds)
    history = []
    for action in actions:
        env.step(action)
        history.append(env.task.arm.joint_position.clone())
    return torch.stack(history)


def sweeps(envs: int) -> torch.Tensor:
    """Swings of all joints that are the same in every environment, `(steps, num_envs, 7)`."""
    phases = torch.linspace(0, 6.28, STEPS)[:, None] + torch.arange(7)
    return torch.sin(phases)[:, None].expand(-1, envs, -1).contiguous()


def down_to_the_ground(envs: int) -> torch.Tensor:
    """Bend the arm down until the fingers press on the ground, then swing the base."""
    actions = torch.zeros(100, envs, 7)
    actions[:60, :, 1] = 1.0
    actions[60:, :, 0] = 1.0
    actions[60:, :, 1] = 0.3
    return actions


@pytest.mark.parametrize("term", [name for name in RANGES if not name.startswith("noise")])
def test_a_term_changes_the_physics_of_its_environment_and_of_no_other(make_core, term: str) -> None:
    """Environment 2 alone gets another seed; actions are the same, and the arm does not depend on the target."""
    env = make_core(4, randomization={term: RANGES[term]})
    actions = down_to_the_ground(4) if term == "friction_scale" else sweeps(4)
    one = joints_over(env, actions, [1, 2, 3, 4])
    other = joints_over(env, actions, [1, 2, 30, 4])
    again = joints_over(env, actions, [1, 2, 3, 4])
    assert torch.equal(one, again), "the same seeds give the same physics"
    changed = (one != other).any(dim=-1).any(dim=0)
    assert changed.tolist() == [False, False, True, False]
    assert (one - other)[:, 2].abs().max() > 1e-4, "and it changes by more than rounding"


@pytest.mark.parametrize("term", RANGES)
def test_the_values_are_in_info_and_in_range(make_core, term: str) -> None:
    low, high = RANGES[term]
    env = make_core(4, randomization={term: (low, high)})
    _, metrics = env.reset(seed=0)
    name = f"randomization/{term}"
    values = metrics[name]
    assert values.shape[0] == 4 and (values >= low).all() and (values <= high).all()
    assert values.unique().numel() > 1, "environments differ"
    result = env.step(torch.zeros(4, 7))
    assert torch.equal(result.metrics[name], metrics[name]), "within an episode they stay"
    _, after = env.reset(torch.tensor([False, True, False, False]))
    same = (after[name] == metrics[name]).reshape(4, -1).all(dim=-1)
    assert same[[0, 2, 3]].all()
    assert not same[1] or term == "action_latency", "ten values may repeat"


@pytest.mark.parametrize("term", RANGES)
def test_at_zero_range_the_bits_are_those_without(make_core, term: str) -> None:
    """Of a scene of the same solver: Genesis solves one whose environments may differ by other code."""
    nominal = NOMINAL.get(term, 0.0)
    plain = make_core(4, physics=replace(Reach.physics, per_env=needs_per_env_solver(RANGES.fromkeys([term]))))
    randomised = make_core(4, randomization={term: (nominal, nominal)})
    for env in (plain, randomised):
        env.reset(seed=5)
    for action in torch.from_numpy(random_actions(STEPS, 4, 7)):
        a, b = plain.step(action), randomised.step(action)
        shown, expected = b.observation["policy"], a.observation["policy"]
        if term in POSES_ANEW:
            torch.testing.assert_close(shown, expected, atol=1e-5, rtol=0)
        else:
            assert torch.equal(shown, expected) and torch.equal(a.reward, b.reward)


def test_what_is_drawn_reaches_the_simulator(make_core) -> None:
    """All at once, as scales of what a scene has that is left alone."""
    env, plain = make_core(4, randomization=RANGES), make_core(4)
    _, metrics = env.reset(seed=0)
    plain.reset(seed=0)
    drawn = {name: metrics[f"randomization/{name}"] for name in RANGES}
    arm, nominal = env.task.arm, plain.task.arm

    gravity = env.world.scene.rigid_solver.get_gravity()
    torch.testing.assert_close(gravity.norm(dim=-1), drawn["gravity"])
    torch.testing.assert_close(torch.acos(-gravity[:, 2] / drawn["gravity"]), drawn["gravity_tilt"])
    for name in ("kp", "kv", "damping", "armature"):
        values, declared = (getattr(robot.entity, f"get_dofs_{name}")(robot.dofs) for robot in (arm, nominal))
        torch.testing.assert_close(values, drawn[f"{name}_scale"] * declared)
    links = [link.idx_local for link in arm.entity.links]
    masses, declared = arm.entity.get_links_mass(links), nominal.entity.get_links_mass(links)
    hand = arm._moving_links.index(arm.entity.get_link("hand").idx_local)
    expected = drawn["mass_scale"] * declared[arm._moving_links]
    expected[:, hand] += drawn["payload"]
    torch.testing.assert_close(masses[:, arm._moving_links], expected)
    torch.testing.assert_close(arm.joint_position, nominal.joint_position + drawn["joint_offset"])


@pytest.mark.parametrize("term", RANGES)
def test_a_reset_changes_no_bit_of_the_other_environments(make_core, term: str) -> None:
    env = make_core(4, randomization={term: RANGES[term]})
    some = torch.tensor([False, True, False, True])
    histories = []
    for resets in (False, True):
        env.reset(seed=[1, 2, 3, 4])
        history = []
        for step, action in enumerate(sweeps(4)):
            history.append(env.step(action).observation["policy"][~some])
            if resets and step % 7 == 3:
                env.reset(some)
        histories.append(torch.stack(history))
    assert torch.equal(*histories)


def test_an_environment_does_not_depend_on_their_number(make_core) -> None:
    few, many = make_core(4, randomization=RANGES), make_core(9, randomization=RANGES)
    observation, metrics = few.reset(seed=7)
    more_observation, more_metrics = many.reset(seed=7)
    assert torch.equal(observation["policy"], more_observation["policy"][:4])
    for name in metrics:
        assert torch.equal(metrics[name], more_metrics[name][:4]), name
    for action in torch.from_numpy(random_actions(STEPS, 9, 7)):
        result, more = few.step(action[:4]), many.step(action)
        assert torch.equal(result.observation["policy"], more.observation["policy"][:4])


def test_a_partial_reset_leaves_the_neighbours_alone(make_core) -> None:
    """All terms at once: masses, gains and gravity are set for every env at each reset."""
    env = make_core(4, randomization=RANGES)
    actions = torch.from_numpy(random_actions(20, 4, 7))
    histories = []
    for interrupted in (False, True):
        env.reset(seed=3)
        history = []
        for i, action in enumerate(actions):
            if interrupted and i == 8:
                env.reset(torch.tensor([False, True, False, False]))
            history.append(env.step(action).observation["policy"])
        histories.append(torch.stack(history))
    neighbours = [0, 2, 3]
    assert torch.equal(histories[0][:, neighbours], histories[1][:, neighbours])
    assert not torch.equal(histories[0][:, 1], histories[1][:, 1])


def test_noise_is_only_seen_by_the_policy(make_core) -> None:
    env = make_core(4, randomization={"noise.target": (0.05, 0.05)})
    observation, metrics = env.reset(seed=0)
    shown = observation["policy"][:, env.observation_layout["policy"]["target"]]
    assert (shown - env.task.target).abs().max() > 0.01
    distance = torch.linalg.vector_norm(env.task.target - env.task.arm.tool.position, dim=-1)
    assert torch.equal(metrics["distance_to_target"], distance)


def test_latency_delays_by_whole_steps(make_core) -> None:
    env = make_core(4, randomization={"action_latency": (0, 9)})
    _, metrics = env.reset(seed=0)
    latency = metrics["randomization/action_latency"].long().tolist()
    started = [None] * 4
    arm = env.task.actions.terms["arm"]
    before = arm.target.clone()
    for step in range(12):
        env.step(torch.ones(4, 7))
        moved = (arm.target != before).any(dim=-1)
        started = [step if s is None and m else s for s, m in zip(started, moved.tolist(), strict=True)]
    assert started == latency


def test_a_delay_is_filled_with_the_action_that_asks_for_nothing(make_core) -> None:
    """In the terms that take a place, zero would be a place to go to."""
    env = make_core(4, task="lift_cube", control_mode="joint_position", randomization={"action_latency": (3, 3)})
    env.reset(seed=0)
    joints, fingers = env.task.arm.joint_position, env.task.arm.gripper.opening
    for step in range(5):
        env.step(-torch.ones(4, 8))
        moved = (
            (env.task.arm.joint_position - joints).abs().max(),
            (env.task.arm.gripper.opening - fingers).abs().max(),
        )
        assert [moved[0] > 1e-2, moved[1] > 3e-4] == [step >= 3] * 2, (step, moved)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"kp_scal": (1, 2)}, "randomization='kp_scal' is not known (did you mean 'kp_scale'?)"),
        ({"frank.kp_scale": (1, 2)}, "'frank.kp_scale' is not known (did you mean 'franka.kp_scale'?)"),
        ({"kp_scale": (2, 1)}, "the lower bound 2 is above the upper bound 1"),
        ({"kp_scale": (0, 1)}, "kp_scale=(0, 1) is not allowed; it must lie between 1e-06 and inf"),
        ({"payload": (-1, 1)}, "payload=(-1, 1)"),
        ({"payload": 1.0}, "payload=1.0 is not allowed; it must be two finite numbers"),
        ({"noise.target": (-0.1, 0.1)}, "noise.target=(-0.1, 0.1)"),
        ({"wind": ("a", 1)}, "wind=('a', 1)"),
        ({"wind": (0, float("nan"))}, "wind=(0, nan)"),
        ({"wind": (0, 1, 2)}, "wind=(0, 1, 2)"),
        ({"action_latency": (0, 1.5)}, "action_latency=(0, 1.5)"),
        ({3: (0, 1)}, "randomization=3 is not known"),
        ("everything", "randomization='everything' is not allowed; it must map names to (low, high)"),
    ],
)
def test_wrong_randomisation_is_named(wrong, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        genesis_gym.BatchedEnv(num_envs=2, randomization=wrong)
    assert named in str(error.value) and "\n" not in str(error.value)


def test_a_name_alone_means_all_components_and_a_longer_one_means_one(make_core) -> None:
    each = make_core(4, task="hand_over", randomization={"left.kp_scale": (0.2, 0.3)})
    _, metrics = each.reset(seed=0)
    assert [name for name in metrics if name.startswith("randomization/")] == ["randomization/left.kp_scale"]
    gains = {side: each.task.arms[side].entity.get_dofs_kp()[:, 0] for side in ("left", "right")}
    assert (gains["left"] / gains["right"] < 0.31).all() and gains["right"].unique().numel() == 1


@pytest.mark.parametrize(
    "env_id", [pytest.param(n, marks=() if "Push" in n else pytest.mark.slow) for n in ENVIRONMENTS]
)
def test_every_environment_can_be_randomised_and_made_easier(env_id: str) -> None:
    ranges = {
        "gravity": (9.0, 10.0),
        "friction_scale": (0.5, 1.0),
        "mass_scale": (0.9, 1.1),
        "action_latency": (0, 2),
    }
    envs = gym.make_vec(env_id, num_envs=3, randomization=ranges, curriculum={"initial": 0.3})
    envs.reset(seed=0)
    for action in random_actions(5, 3, *envs.single_action_space.shape):
        observation, _, _, _, infos = envs.step(action)
    groups = observation.values() if isinstance(observation, dict) else [observation]
    assert all(np.isfinite(group).all() for group in groups) and not infos["fault"].any()
    np.testing.assert_allclose(infos["difficulty"], 0.3)
    envs.close()


def test_the_single_environment_is_one_of_the_batch(make_core) -> None:
    env = gym.make("Genesis/FrankaReach-v0", randomization=RANGES)
    batch = make_core(4, randomization=RANGES)
    observation, info = env.reset(seed=8)
    observations, metrics = batch.reset(seed=7)
    np.testing.assert_array_equal(observation, observations["policy"][1])
    np.testing.assert_array_equal(info["randomization/mass_scale"], metrics["randomization/mass_scale"][1])
    assert info["randomization/payload"] == metrics["randomization/payload"][1].item()
    env.close()
