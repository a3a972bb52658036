"""A gripper that the policy drives, a grasp that is physical, and the tasks that need one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from conftest import random_actions
from genesis_gym import BatchedEnv, Evaluation, rotations
from genesis_gym.actions import CONTROL_MODES, HeldGripper
from genesis_gym.errors import ArgumentError
from genesis_gym.learning.evaluation.scripted import grasp_and_carry
from genesis_gym.robots import FRANKA
from genesis_gym.runtime import genesis_api
from genesis_gym.tasks.manipulation.grasp import cost_to_go

NUM_ENVS = 8
#: Actions of 40 ms in an episode of `Grasp`'s tasks, which is three seconds.
EPISODE = 75
STILL = torch.tensor([0.0, 0.0, 0.0, -1.0])
EVERYWHERE = torch.ones(NUM_ENVS, dtype=torch.bool)


@pytest.fixture
def env(make_core) -> BatchedEnv:
    core: BatchedEnv = make_core(NUM_ENVS, task="lift_cube")
    core.reset(seed=0)
    return core


def holding(env: BatchedEnv) -> None:
    """Bring every environment to hold its cube in the air, at rest."""
    observation, _ = env.reset(seed=0)
    lifted = torch.zeros(NUM_ENVS, dtype=torch.bool)
    for _ in range(EPISODE):
        action = grasp_and_carry(env, observation)
        result = env.step(torch.where(lifted[:, None], STILL, action))
        lifted, observation = lifted | result.terminated, result.observation
    assert lifted.all() and (env.task.arm.gripper.force > 10.0).all()


def cube_in_hand(env: BatchedEnv) -> tuple[torch.Tensor, torch.Tensor]:
    """Place, metres, and orientation of the cube as the hand sees it."""
    hand = rotations.inverse(env.task.arm.tool.orientation)
    place = rotations.rotate(hand, env.task.to_cube)
    return place, rotations.multiply(hand, env.task.cube.orientation)


# The gripper


@pytest.mark.parametrize("control_mode", sorted(CONTROL_MODES.keys() - {"joint_torque"}))  # where the arm falls
def test_every_term_of_the_arm_can_have_a_gripper_beside_it(make_core, control_mode: str) -> None:
    """It goes where it is told at its speed, whatever drives the arm, and the arm does not notice."""
    env = make_core(2, task="lift_cube", control_mode=control_mode)
    assert env.action_dim == make_core(2, task="push", control_mode=control_mode).action_dim + 1
    env.reset(seed=0)
    action = torch.zeros(2, env.action_dim)
    action[:, -1] = torch.tensor([-1.0, 1.0])
    openings = []
    for _ in range(15):
        env.step(action)
        openings.append(env.task.arm.gripper.opening)
    closing = torch.stack(openings)[:, 0, 0]
    speed = (closing[2] - closing[12]) / (10 * env.control_dt)
    assert speed.item() == pytest.approx(FRANKA.gripper.speed, rel=0.02)
    torch.testing.assert_close(torch.stack(openings)[:, 1, 0], torch.full((15,), 0.04), atol=1e-4, rtol=0)
    action[:, -1] = torch.tensor([0.0, -0.5])
    for _ in range(30):
        env.step(action)
    torch.testing.assert_close(env.task.arm.gripper.opening[:, 0], torch.tensor([0.02, 0.01]), atol=5e-4, rtol=0)


def test_decimation_repeats_an_action(make_core) -> None:
    """Six physics steps, not two: the arm is where it would be, and the clock counts what the policy chose."""
    once, thrice = make_core(NUM_ENVS), make_core(NUM_ENVS, decimation=6)
    assert thrice.control_dt == pytest.approx(3 * once.control_dt)
    once.reset(seed=0), thrice.reset(seed=0)
    for action in torch.from_numpy(random_actions(10, NUM_ENVS, 7)):
        for _ in range(3):
            expected = once.step(action)
        result = thrice.step(action)
        assert torch.equal(result.observation["policy"], expected.observation["policy"])
        assert torch.equal(result.reward, expected.reward)
    assert (thrice.episode_steps == 10).all()

    lifting = make_core(NUM_ENVS, task="lift_cube")
    assert lifting.control_dt == pytest.approx(2 * once.control_dt), "the task's own, where none is given"
    assert lifting.max_episode_steps == EPISODE
    with pytest.raises(ArgumentError, match="decimation=0 is not allowed"):
        BatchedEnv("reach", num_envs=NUM_ENVS, decimation=0)


def test_a_closed_gripper_rests_at_its_stop(env: BatchedEnv) -> None:
    for _ in range(30):
        result = env.step(STILL.expand(NUM_ENVS, 4))
    place = env.observation_layout["policy"]["gripper_opening"]
    assert (result.observation["policy"][:, place].abs() < 2e-4).all()
    assert (result.metrics["grip_force"] == 0).all(), "there is nothing between the fingers"


def test_an_arm_without_a_gripper_is_refused(make_core) -> None:
    bare = dataclasses.replace(FRANKA, name="bare", gripper=None)
    with pytest.raises(ArgumentError, match="needs a robot with a gripper; 'bare' has none"):
        BatchedEnv("lift_cube", num_envs=2, robot=bare)
    holding = make_core(NUM_ENVS).task.actions.terms["held_gripper"]
    assert isinstance(holding, HeldGripper) and holding.size == 0, "others hold theirs"


def test_a_grasp_goes_on_from_a_saved_state(env: BatchedEnv) -> None:
    """Bit for bit, from the middle of the closing on."""
    observation, _ = env.reset(seed=0)
    while env.task.arm.gripper.opening.min() > 0.03:
        observation = env.step(grasp_and_carry(env, observation)).observation
    state = env.state_dict()
    futures = []
    for _ in range(2):
        record, seen = [], observation
        for _ in range(15):
            result = env.step(grasp_and_carry(env, seen))
            seen = result.observation
            record += [seen["policy"], result.reward, result.metrics["grip_force"]]
        futures.append(torch.cat([part.flatten() for part in record]))
        env.load_state_dict(state)
    assert torch.equal(*futures)


# The grasp


def test_what_is_held_stays_for_ten_seconds(env: BatchedEnv) -> None:
    """Held by 20 N: no creep, no tremble, no deep penetration; docs/manipulation.md has the figures."""
    holding(env)
    for _ in range(50):
        env.step(STILL.expand(NUM_ENVS, 4))  # the arm comes to rest
    place, turn = cube_in_hand(env)
    deepest, fastest = 0.0, 0.0
    for _ in range(250):
        env.step(STILL.expand(NUM_ENVS, 4))
        contacts = env.task.cube.entity.get_contacts()
        deepest = max(deepest, contacts["penetration"][contacts["valid_mask"]].max().item())
        fastest = max(fastest, env.task.cube.linear_velocity.abs().max().item())
    later, turned = cube_in_hand(env)
    drift = torch.linalg.vector_norm(later - place, dim=-1).max().item()
    angle = rotations.angle_between(turn, turned).max().item()
    grip = env.task.arm.gripper.force
    print(f"drift {drift * 1e3:.3f} mm, {np.degrees(angle):.3f} degrees, penetration {deepest * 1e3:.3f} mm, ")
    print(f"fastest {fastest * 1e3:.3f} mm/s, grip {grip.min():.2f} to {grip.max():.2f} N")
    assert drift < 0.5e-3 and angle < np.radians(1.0)
    assert deepest < 1e-3
    assert fastest < 1e-3
    torch.testing.assert_close(grip, torch.full((NUM_ENVS,), FRANKA.gripper.force), atol=1.0, rtol=0)


def test_the_cube_falls_when_the_gripper_opens(env: BatchedEnv) -> None:
    """As a free body does once the fingers are off it, and it comes to rest on the ground."""
    holding(env)
    height = env.task.cube.position[:, 2]
    opening = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(NUM_ENVS, 4)
    for _ in range(20):
        result = env.step(opening)
    assert (height > 0.2).all() and not result.metrics["is_success"].any()
    for _ in range(30):
        env.step(opening)
    rest = env.task.cube.position[:, 2] - env.task.cube_size / 2
    assert (rest.abs() < 0.5e-3).all() and (env.task.cube.linear_velocity.abs() < 1e-3).all()


def test_friction_holds_the_cube(env: BatchedEnv) -> None:
    """Two fingers of 20 N hold m g = 0.63 N with a coefficient above 0.016, and not below: a grasp is no glue."""
    holding(env)
    mass = float(env.task.cube.entity.get_mass())
    assert mass == pytest.approx(0.064, rel=1e-3)
    coefficient = mass * 9.81 / (2 * FRANKA.gripper.force)
    ratio = coefficient * torch.tensor([0.7, 0.7, 0.7, 1.5, 1.5, 1.5, 1.0 / coefficient, 1.0 / coefficient])
    height = env.task.cube.position[:, 2]
    genesis_api.set_friction_ratio(env.world.scene, ratio)
    for _ in range(25):
        env.step(STILL.expand(NUM_ENVS, 4))
    sunk = height - env.task.cube.position[:, 2]
    assert (sunk[:3] > 0.05).all(), "too slippery to hold"
    assert (sunk[3:] < 1e-3).all()


# The tasks


@pytest.mark.parametrize("task", ["lift_cube", "pick_and_place"])
def test_the_scripted_policy_succeeds_from_everywhere(make_core, task: str) -> None:
    env = make_core(NUM_ENVS, task=task)
    for seed in (1, 2):
        observation, _ = env.reset(seed=seed)
        done = torch.zeros(NUM_ENVS, dtype=torch.bool)
        for _ in range(EPISODE):
            result = env.step(grasp_and_carry(env, observation))
            observation, done = result.observation, done | result.terminated
        assert done.all()


def test_lifting_needs_height_and_a_hold(env: BatchedEnv, monkeypatch) -> None:
    task = env.task
    task.cube.place(EVERYWHERE, task.cube.position + torch.tensor([0.0, 0.0, 0.25]))
    evaluation = task.evaluate()
    assert (evaluation.metrics["rise"] > task.height).all()
    assert not evaluation.terminated["success"].any(), "it flies"
    holding(env)
    for height, succeeds in ((0.19, True), (0.3, False)):  # they have sunk a little below 0.2 m in stopping
        monkeypatch.setattr(task, "_height", torch.full((NUM_ENVS,), height))
        assert (task.evaluate().terminated["success"] == succeeds).all()


def test_rewards_of_lifting_rise_with_every_stage(env: BatchedEnv) -> None:
    """No stage pays for staying: every term is a cost to go."""
    observation, _ = env.reset(seed=0)
    names = ("approach", "grasp", "lift")
    rewards = []
    for _ in range(45):
        result = env.step(grasp_and_carry(env, observation))
        observation = result.observation
        rewards.append(torch.stack([result.metrics[f"reward/{name}"] for name in names]))
    terms = torch.stack(rewards)  # (steps, terms, envs)
    assert (terms <= 0).all() and (terms.sum(1) >= -1.0).all()
    total = terms.sum(1)
    assert (total[0] < total[17]).all() and (total[17] < total[32]).all() and (total[40] > -0.2).all()


def test_the_first_and_the_last_centimetre_pay_most() -> None:
    left = cost_to_go(torch.linspace(-0.5, 1.5, 201))
    assert (left[:51] == 1.0).all() and (left[150:] == 0.0).all()
    paid = -left.diff()[50:150]
    assert (paid > 0).all() and paid.argmin() in (49, 50)
    assert (paid[[0, -1]] > 5.0 * paid[50]).all()


def test_random_fingers_do_not_succeed(env: BatchedEnv) -> None:
    env.reset(seed=3)
    succeeded = torch.zeros(NUM_ENVS, dtype=torch.bool)
    for action in torch.from_numpy(random_actions(EPISODE, NUM_ENVS, 4)):
        succeeded |= env.step(action).terminated
    assert not succeeded.any()


def test_a_third_of_the_targets_is_on_the_ground(make_core) -> None:
    env = make_core(NUM_ENVS, task="pick_and_place", goal=True, reward="sparse")
    targets = []
    for first in range(0, 256, NUM_ENVS):
        env.reset(seed=first)
        targets.append(env.task.target)
    target, half = torch.cat(targets), env.task.cube_size / 2
    assert 0.2 < (target[:, 2] == half).float().mean() < 0.4
    assert (target[:, 2] >= half).all() and (target[:, 2] <= half + env.task.height).all()
    assert target[:, 2].max() > 0.2


def test_pick_and_place_shows_its_goal_by_itself(make_core) -> None:
    env = make_core(NUM_ENVS, task="pick_and_place", goal=True, reward="sparse")
    observation, _ = env.reset(seed=5)
    layout, rewards = env.observation_layout["observation"], []
    assert "target" not in layout and "to_target" not in layout
    for _ in range(EPISODE):
        result = env.step(grasp_and_carry(env, observation))
        observation = result.observation
        goals = [observation[name] for name in ("achieved_goal", "desired_goal")]
        assert torch.equal(env.compute_reward(*goals), result.reward)
        rewards.append(result.reward)
    assert (torch.stack(rewards).amax(0) == 0).all(), "every cube arrives"


def test_what_has_no_script_says_so(core: BatchedEnv) -> None:
    with pytest.raises(ArgumentError, match="Reach with an action of 7 numbers has no scripted policy"):
        grasp_and_carry(core, core.observation)


# Stacking


@pytest.fixture(scope="module")
def stack(make_core) -> BatchedEnv:
    core: BatchedEnv = make_core(NUM_ENVS, task="stack_cube")
    return core


def gripped(evaluation: Evaluation, force: float) -> Evaluation:
    """The same state, if the fingers pressed with a force, N."""
    metrics = {**evaluation.metrics, "grip_force": torch.full((NUM_ENVS,), force)}
    return Evaluation(terminated=evaluation.terminated, metrics=metrics)


def test_a_cube_is_stacked_and_let_go(stack: BatchedEnv) -> None:
    """All succeed; holding the cube on top is no success, and the tower stands when the arm has left."""
    observation, _ = stack.reset(seed=7)
    succeeded = torch.zeros(NUM_ENVS, dtype=torch.bool)
    returns = []
    for _ in range(100):
        result = stack.step(grasp_and_carry(stack, observation))
        observation = result.observation
        held = (result.metrics["on_top"] > 0) & (result.metrics["grip_force"] >= 0.5)
        assert not (result.terminated & held).any()
        succeeded |= result.terminated
        returns.append(result.reward)
    assert succeeded.all()
    assert (torch.stack(returns)[-1] > 4.9).all(), "nothing costs"
    away = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(NUM_ENVS, 4)
    for _ in range(25):
        result = stack.step(away)
    assert (result.metrics["on_top"] == 1).all() and (result.metrics["distance_to_cube"] > 0.1).all()


def test_the_path_to_the_stack_pays_from_its_first_centimetre(stack: BatchedEnv) -> None:
    """And not beyond it: a cube that was knocked away has to come back first."""
    stack.reset(seed=0)
    task, first = stack.task, stack.task.cube.position.clone()
    nearer = (task.top - first) * torch.tensor([1.0, 1.0, 0.0])
    nearer = 0.01 * nearer / torch.linalg.vector_norm(nearer, dim=-1, keepdim=True)

    def place(position: torch.Tensor, grip_force: float) -> torch.Tensor:
        task.cube.place(EVERYWHERE, position)
        return task.reward(gripped(task.evaluate(), grip_force))["place"]

    assert (place(first - 2.0 * nearer, 20.0) == 1.0).all()
    assert (place(first + nearer, 20.0) < place(first, 20.0) - 0.03).all()
    assert (place(first, 20.0) < 1.0).all()
    assert (place(first + nearer, 0.0) == 1.0).all(), "only a held cube counts"


def test_a_cube_on_top_is_let_go_in_the_middle(stack: BatchedEnv) -> None:
    """Held 3 cm to the side it would count as on top and tip over when let go: each centimetre inwards pays."""
    stack.reset(seed=0)
    task = stack.task

    def reward(lateral: float, grip_force: float, gripper: float = -1.0) -> torch.Tensor:
        task.cube.place(EVERYWHERE, task.top + torch.tensor([lateral, 0.0, 0.0]))
        task.actions.action = torch.tensor([0.0, 0.0, 0.0, gripper]).expand(NUM_ENVS, 4)
        terms = task.reward(gripped(task.evaluate(), grip_force))
        return sum(stack.reward_weights[name] * term for name, term in terms.items())

    for lateral in (0.03, 0.02, 0.01):
        assert (reward(lateral - 0.01, 20.0) > reward(lateral, 20.0) + 0.03).all()
    assert (reward(0.0, 20.0, -0.5) > reward(0.0, 20.0) + 0.03).all(), "and the path to letting go"
    assert (reward(0.0, 0.0) > reward(0.0, 20.0) + 0.15).all(), "and letting go there"
    assert (reward(0.03, 0.0) < reward(0.03, 20.0)).all(), "but not at the edge"


def test_the_cubes_begin_apart(make_core) -> None:
    """And the nearer, the easier: at difficulty 0 by the least distance."""
    env = make_core(NUM_ENVS, task="stack_cube")
    for difficulty in (1.0, 0.0):
        env.task.difficulty = torch.full((NUM_ENVS,), difficulty)
        env.reset(seed=0)
        apart = torch.linalg.vector_norm((env.task.top - env.task.cube.position)[:, :2], dim=-1)
        assert (apart > 0.0999).all()
        assert (apart.amax() > 0.15) == (difficulty == 1.0)
    env.task.difficulty = torch.ones(NUM_ENVS)
