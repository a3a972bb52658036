"""Walking, flying and handing over: the tasks of robots other than one fixed arm."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from conftest import random_actions
from genesis_gym import BatchedEnv, testing
from genesis_gym.adapters import vector
from genesis_gym.errors import ArgumentError
from genesis_gym.registration import ENVIRONMENTS, TASKS, load
from genesis_gym.runtime import genesis_api

NUM_ENVS = 8
TASK_OF = {
    "Genesis/Go2Velocity-v0": "velocity_tracking",
    "Genesis/FrankaHandOver-v0": "hand_over",
    "Genesis/Cf2xHover-v0": "hover",
}
FOOTED = "velocity_tracking"
MakeCore = Callable[..., BatchedEnv]

every_task = pytest.mark.parametrize("task", TASK_OF.values())


def flat(result: Any, envs: Sequence[int] | slice = slice(None)) -> torch.Tensor:
    """What a step returned for some environments, `(envs, n)`."""
    groups = [group[envs].flatten(1) for group in result.observation.values()]
    metrics = [value[envs].float().reshape(len(groups[0]), -1) for value in result.metrics.values()]
    ends = [value[envs, None].float() for value in (result.reward, result.terminated, result.truncated)]
    return torch.cat([*groups, *metrics, *ends], dim=-1)


def roll(env: BatchedEnv, actions: torch.Tensor, envs: Sequence[int] | slice = slice(None)) -> torch.Tensor:
    """What some environments return at every step, `(steps, envs, n)`."""
    return torch.stack([flat(env.step(action[: env.num_envs]), envs) for action in actions])


def actions_of(env: BatchedEnv, steps: int, *, seed: int = 0) -> torch.Tensor:
    """Random actions, the same for an environment whatever their number, `(steps, NUM_ENVS, size)`."""
    drawn = torch.from_numpy(random_actions(steps, NUM_ENVS, env.action_dim, seed=seed))
    return env.neutral_action[:1] + 0.4 * drawn


def hurry(env: BatchedEnv) -> None:
    """Let commands change and pushes come within the next seconds, in each environment at another time."""
    if hasattr(env.task, "push"):
        env.task.push._left = 0.1 + 0.05 * torch.arange(env.num_envs, dtype=torch.float32)
        env.task.command._left = 0.2 + 0.1 * torch.arange(env.num_envs, dtype=torch.float32)


# Gymnasium's contract


@pytest.mark.parametrize("env_id", TASK_OF)
def test_check_env_has_nothing_to_say(env_id: str) -> None:
    env = gymnasium.make(env_id)  # outside of the block: Genesis's own code warns
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=".*observation space (minimum|maximum) value is")
            warnings.filterwarnings("ignore", message=".*For Box action spaces, we recommend")  # ±4 of a leg
            warnings.filterwarnings("default", module=r"genesis\.")
            check_env(env.unwrapped, skip_render_check=True)
    finally:
        env.close()


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
@every_task
def test_vector_environments_keep_every_rule(
    task: str, mode: AutoresetMode, make_core: MakeCore, monkeypatch
) -> None:
    core = make_core(NUM_ENVS, task=task)
    monkeypatch.setattr(core, "max_episode_steps", 5)
    monkeypatch.setattr(vector, "divide", lambda *args, **kwargs: core)
    env_id = next(env_id for env_id, name in TASK_OF.items() if name == task)
    env = gymnasium.make_vec(env_id, num_envs=NUM_ENVS, autoreset_mode=mode)
    report = testing.check_vector_env(env, steps=13, promises=testing.PROMISES)
    assert {"seed", "reset", "reset_mask", "env_seeding", "new_episode", "results_kept"} <= set(report.checked)


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_the_registered_number_of_steps_is_what_the_task_declares(env_id: str) -> None:
    spec = gymnasium.spec(env_id)
    task = load(TASKS[spec.kwargs["task"]])
    assert spec.max_episode_steps == round(task.episode_seconds / (task.physics.dt * task.decimation))


def test_an_unknown_argument_is_a_type_error_as_pythons_own() -> None:
    """So clients, such as torchrl, can try an argument that not every environment has."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as refused:
        BatchedEnv("hover", frameskip=1)
    assert isinstance(refused.value, ArgumentError)


# The contracts of the core


@every_task
def test_environments_do_not_depend_on_their_number(task: str, make_core: MakeCore) -> None:
    """Bit for bit, while every environment gets other commands and pushes at other times."""
    record = {}
    for num_envs in (1, 2, NUM_ENVS):
        env = make_core(num_envs, task=task)
        observation, _ = env.reset(seed=5)
        hurry(env)
        first = torch.cat([group[:2] for group in observation.values()], dim=-1)
        record[num_envs] = first, roll(env, actions_of(env, 40), range(min(2, num_envs)))
    for ours, theirs in zip(record[1] + record[2], record[2] + record[NUM_ENVS], strict=True):
        assert torch.equal(ours, theirs.narrow(ours.ndim - 2, 0, ours.shape[-2]))


@pytest.mark.parametrize("where", ["action", "state"])
@every_task
def test_a_fault_harms_its_environment_only(task: str, where: str, make_core: MakeCore) -> None:
    env = make_core(NUM_ENVS, task=task)
    others = [i for i in range(NUM_ENVS) if i != 3]

    def play(*, poisoned: bool) -> torch.Tensor:
        env.reset(seed=2)
        hurry(env)
        actions = actions_of(env, 20)
        record = []
        for step, action in enumerate(actions):
            if poisoned and step == 4 and where == "action":
                action = action.clone()
                action[3, 0] = math.nan
            if poisoned and step == 4 and where == "state":
                poison(env)
            result = env.step(action)
            faulty = [poisoned and step >= 4 and i == 3 for i in range(NUM_ENVS)]
            assert result.metrics["fault"].tolist() == faulty
            assert torch.equal(result.metrics["end/fault"], result.metrics["fault"])
            assert result.truncated[3] == poisoned or step < 4
            assert all(torch.isfinite(group).all() for group in result.observation.values())
            assert torch.isfinite(result.reward).all()
            record.append(flat(result, others))
        return torch.stack(record)

    before = env.fault_counts[3].item()
    healthy = play(poisoned=False)
    assert torch.equal(play(poisoned=True), healthy)
    assert env.fault_counts[3] == before + 1, "a fault is counted once"
    env.reset(torch.arange(NUM_ENVS) == 3, seed=2)
    assert not env.step(env.neutral_action).metrics["fault"].any(), "a reset mends it"


def poison(env: BatchedEnv) -> None:
    """Make the state of environment 3 not a number."""
    robot = next(part for part in env.world.parts.values() if hasattr(part, "base"))
    robot.entity.set_dofs_velocity([math.nan], [0], envs_idx=[3])


@every_task
def test_an_episode_continues_from_a_saved_state(task: str, make_core: MakeCore) -> None:
    """Bit for bit, over changes of commands and over pushes, and from another episode."""
    env = make_core(NUM_ENVS, task=task)
    env.reset(seed=1)
    hurry(env)
    roll(env, actions_of(env, 4))
    state = env.state_dict()
    future = roll(env, actions_of(env, 40, seed=1))
    if task == FOOTED:
        assert (future.diff(dim=0) != 0).any()
    env.reset(seed=77)
    roll(env, actions_of(env, 3, seed=2))
    env.load_state_dict(state)
    assert torch.equal(roll(env, actions_of(env, 40, seed=1)), future)


@every_task
def test_a_reset_environment_equals_a_fresh_one(task: str, make_core: MakeCore) -> None:
    env = make_core(NUM_ENVS, task=task)
    env.reset(seed=3)
    fresh = roll(env, actions_of(env, 10))
    hurry(env)
    roll(env, actions_of(env, 15, seed=4))
    env.reset(seed=3)
    assert torch.equal(roll(env, actions_of(env, 10)), fresh)


# Walking


@pytest.fixture
def legs(make_core: MakeCore) -> BatchedEnv:
    """Eight robots that have just been placed."""
    core = make_core(NUM_ENVS, task=FOOTED)
    core.reset(seed=0)
    return core


def stand(env: BatchedEnv, height: float = 0.0) -> None:
    """Put every robot upright into its default pose, its feet at a height, metres, undisturbed from then on."""
    everywhere = torch.ones(NUM_ENVS, dtype=torch.bool)
    env.task.legs.place(
        everywhere, torch.tensor([0.0, 0.0, height]).expand(NUM_ENVS, 3), yaw=torch.zeros(NUM_ENVS)
    )
    env.task.legs.set_joints(everywhere, env.task.legs.default)
    env.task.push._left = torch.full((NUM_ENVS,), 1e6)


def test_a_robot_stands_by_the_neutral_action(legs: BatchedEnv) -> None:
    for _ in range(100):
        result = legs.step(legs.neutral_action)
        assert not result.terminated.any()
    stand(legs)
    for _ in range(100):
        legs.step(legs.neutral_action)
    feet, base = legs.task.feet, legs.task.legs.base
    assert feet.touching.all() and not legs.task.trunk.touching.any()
    weight = float(legs.task.legs.entity.get_mass()) * 9.81
    torch.testing.assert_close(feet.force[..., 2].sum(-1), torch.full((NUM_ENVS,), weight), rtol=0.05, atol=0)
    assert (feet.contact_time > 1.5).all() and (feet.air_time == 0).all() and not feet.landed.any()
    assert (base.gravity[:, 2] < -0.99).all() and (base.position[:, 2] > 0.25).all()


def test_feet_know_how_long_they_were_in_the_air(legs: BatchedEnv) -> None:
    """Dropped from 10 cm they fall for √(2 h / g), and land once."""
    stand(legs, height=0.1)
    feet, landings = legs.task.feet, torch.zeros(NUM_ENVS, 4)
    air_time = torch.zeros(NUM_ENVS, 4)
    for _ in range(12):
        legs.step(legs.neutral_action)
        first = feet.landed & (landings == 0)
        air_time = torch.where(first, feet.air_time, air_time)
        landings += feet.landed
        assert torch.equal(feet.landed | ~feet.touching, feet.air_time > 0)
        assert torch.equal(feet.touching, feet.contact_time > 0)
    assert (landings >= 1).all()
    fall = math.sqrt(2 * 0.1 / 9.81)
    torch.testing.assert_close(air_time, torch.full((NUM_ENVS, 4), fall), atol=1.5 * legs.control_dt, rtol=0)


def commands_and_pushes(env: BatchedEnv, seed: int | list[int], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Command and time to the next push at every step, `(steps, envs, …)`, from just before they change."""
    env.reset(seed=seed)
    hurry(env)
    commands, pushes = [], []
    for _ in range(steps):
        env.step(env.neutral_action)
        commands.append(env.task.command.value)
        pushes.append(env.task.push._left)
    return torch.stack(commands), torch.stack(pushes)


def test_commands_change_and_pushes_come_within_an_episode(legs: BatchedEnv) -> None:
    commands, pushes = commands_and_pushes(legs, 0, 60)
    changed = (commands.diff(dim=0) != 0).any(-1)
    pushed = pushes.diff(dim=0) > 0
    assert (changed.sum(0) == 1).all() and (pushed.sum(0) == 1).all()
    due = 0.2 + 0.1 * torch.arange(NUM_ENVS)
    torch.testing.assert_close(changed.float().argmax(0) + 2, (due / legs.control_dt).round().long())
    bound = torch.tensor(legs.task.fastest)
    assert (commands.abs() <= bound).all() and len(commands[-1].unique(dim=0)) > NUM_ENVS // 2
    assert ((pushes[-1] > 5.0) & (pushes[-1] < 12.0)).all()


def test_commands_and_pushes_depend_on_the_seed_only(legs: BatchedEnv) -> None:
    """Not on which environment it is, nor on what it does."""
    commands, _ = commands_and_pushes(legs, 10, 1)
    reversed_seeds = list(range(10 + NUM_ENVS - 1, 9, -1))
    for seeds, order in ((10, slice(None)), (reversed_seeds, torch.arange(NUM_ENVS - 1, -1, -1))):
        legs.reset(seed=seeds)
        assert torch.equal(legs.task.command.value[order], commands[0])
        legs.task.command._left, legs.task.push._left = torch.zeros(NUM_ENVS), torch.zeros(NUM_ENVS)
        legs.step(actions_of(legs, 1, seed=len(str(seeds)))[0])
        drawn = legs.task.command.value[order], legs.task.push._left[order]
        if isinstance(seeds, int):
            expected = drawn
    assert all(map(torch.equal, drawn, expected))
    assert not torch.equal(expected[0], commands[0])


def test_a_push_is_a_jump_of_the_velocity(legs: BatchedEnv) -> None:
    """Of the pushed robot only."""
    stand(legs)
    for _ in range(20):
        legs.step(legs.neutral_action)
    pushed = torch.arange(NUM_ENVS) % 2 == 0
    before = legs.task.legs.base.world_velocity.clone()
    legs.task.push._left = torch.where(pushed, 0.0, 1e6)
    legs.step(legs.neutral_action)
    jump = (legs.task.legs.base.world_velocity - before)[:, :2]
    assert (jump[pushed].abs().amax(-1) > 0.02).all() and (jump.abs() <= legs.task.push.speed + 0.05).all()
    assert (jump[~pushed].abs() < 0.02).all()
    assert len(jump[pushed].unique(dim=0)) == int(pushed.sum())


def test_a_robot_on_its_back_has_fallen(legs: BatchedEnv) -> None:
    over = torch.arange(NUM_ENVS) < 4
    on_its_back = torch.tensor([0.0, 1.0, 0.0, 0.0]).expand(NUM_ENVS, 4)
    legs.task.legs.place(over, torch.zeros(NUM_ENVS, 3), orientation=on_its_back)
    result = legs.step(legs.neutral_action)
    assert torch.equal(result.terminated, over) and torch.equal(result.metrics["end/fall"], over)
    assert not result.metrics["is_success"].any() and not result.truncated.any()


def test_the_critic_sees_more_and_without_noise(legs: BatchedEnv) -> None:
    observation, layout = legs.observation, legs.observation_layout
    assert set(layout["critic"]) - set(layout["policy"]) == {"linear_velocity"}
    task = legs.task
    for group, exact in (("critic", True), ("policy", False)):
        seen = observation[group][:, layout[group]["joint_velocity"]]
        assert torch.equal(seen, task.legs.joint_velocity) == exact
        assert torch.equal(observation[group][:, layout[group]["command"]], task.command.value)


# Flying


def test_a_drone_hovers_by_the_neutral_action(make_core: MakeCore) -> None:
    env = make_core(NUM_ENVS, task="hover")
    env.reset(seed=0)
    base = env.task.drone.base
    start = base.position.clone()
    for _ in range(300):  # 3 s
        result = env.step(env.neutral_action)
        assert not result.terminated.any()
    assert (base.position - start).norm(dim=-1).max() < 0.01
    assert (base.gravity[:, 2] < -0.999).all()


def test_a_drone_begins_about_a_metre_above_the_ground(make_core: MakeCore) -> None:
    """In the same cube as its target."""
    env = make_core(NUM_ENVS, task="hover")
    places = []
    for seed in range(0, 20 * NUM_ENVS, NUM_ENVS):
        env.reset(seed=seed)
        places.append(torch.stack([env.task.drone.base.position, env.task.target]))
    drawn = torch.cat(places, dim=1) - torch.tensor([0.0, 0.0, 1.0])
    assert (drawn.abs() <= env.task.spread + 1e-5).all()
    assert (drawn.amax(1) > 0.4).all() and (drawn.amin(1) < -0.4).all()


def test_propellers_lift_and_tilt(make_core: MakeCore) -> None:
    env = make_core(NUM_ENVS, task="hover")
    env.reset(seed=0)
    start = env.task.drone.base.position.clone()
    action = torch.zeros(NUM_ENVS, 4)
    action[0], action[1] = 0.5, -0.5
    action[2:6] = 0.05 * torch.eye(4)  # one propeller faster
    for _ in range(20):
        env.step(action)
    rise, gravity = (env.task.drone.base.position - start)[:, 2], env.task.drone.base.gravity
    # Thrust goes with the square of the speed: (1 + 0.2 · 0.5)² - 1 = 21 % of the weight.
    expected = 0.5 * 9.81 * torch.tensor([0.21, 0.9**2 - 1.0]) * 0.2**2
    torch.testing.assert_close(rise[:2], expected, rtol=0.1, atol=0)
    tilt = gravity[2:6, :2]
    assert (tilt.norm(dim=-1) > 0.01).all() and (tilt.sum(0).abs() < 1e-3).all(), "each to a side of its own"
    assert (gravity[6:, 2] < -0.9999).all()


def test_a_drone_that_leaves_is_truncated_and_one_that_crashes_terminated(make_core: MakeCore) -> None:
    env = make_core(NUM_ENVS, task="hover")
    env.reset(seed=0)
    position = env.task.target.clone()
    position[0, 0] += 3.0
    position[1, 2] = 0.02
    envs = torch.arange(NUM_ENVS) < 2
    height = torch.tensor([0.0, 0.0, env.task.robot.base.height])
    env.task.drone.place(envs, position - height)
    result = env.step(env.neutral_action)
    assert result.metrics["end/left"].tolist() == [True] + [False] * 7 == result.truncated.tolist()
    assert result.metrics["end/crash"].tolist() == [False, True] + [False] * 6 == result.terminated.tolist()


# Two arms


@pytest.fixture
def arms(make_core: MakeCore) -> BatchedEnv:
    """Eight tables with two arms each."""
    core = make_core(NUM_ENVS, task="hand_over")
    core.reset(seed=0)
    return core


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_arm_follows_its_own_action_terms(arms: BatchedEnv, side: str) -> None:
    """The tool goes where it is sent, the gripper closes, and the other arm holds still."""
    task = arms.task
    assert list(task.actions.terms) == ["left_tool", "left_gripper", "right_tool", "right_gripper"]
    assert {name for names in task.agents.values() for name in names} == set(task.actions.terms)
    mine, other = task.arms[side], task.arms["left" if side == "right" else "right"]
    start = {arm.name: (arm.tool.position.clone(), arm.gripper.opening.clone()) for arm in (mine, other)}
    action = arms.neutral_action
    first = 0 if side == "left" else 4
    action[:, first : first + 4] = torch.tensor([0.0, 0.0, 0.5, -1.0])
    for _ in range(12):
        arms.step(action)
    travelled = mine.tool.position - start[mine.name][0]
    expected = torch.tensor([0.0, 0.0, 0.5 * 0.6 * 12 * arms.control_dt]).expand(NUM_ENVS, 3)
    torch.testing.assert_close(travelled, expected, atol=0.03, rtol=0)
    assert (mine.gripper.opening < start[mine.name][1] - 0.015).all()
    assert (other.tool.position - start[other.name][0]).norm(dim=-1).max() < 0.005
    torch.testing.assert_close(other.gripper.opening, start[other.name][1], atol=2e-4, rtol=0)


def test_arms_stand_apart_and_cannot_pass_through_each_other(arms: BatchedEnv) -> None:
    """Sent towards each other they press, and keep their sides."""
    task = arms.task
    left, right = task.arms["left"], task.arms["right"]
    assert (left.base.position - right.base.position)[:, 1].allclose(torch.full((NUM_ENVS,), 0.9))
    action = arms.neutral_action
    action[:, [1, 5]] = torch.tensor([-0.5, 0.5])
    action[:, [2, 6]] = 0.2  # above the bar
    pressed = torch.zeros(NUM_ENVS, dtype=torch.bool)
    for _ in range(60):
        arms.step(action)
        forces = genesis_api.contact_forces(left.entity).norm(dim=-1).amax(-1)
        pressed |= forces > 1.0
    assert pressed.all()
    assert (left.tool.position[:, 1] > right.tool.position[:, 1]).all()


def test_the_bar_is_handed_over_by_the_right_arm_only(arms: BatchedEnv) -> None:
    """A bar at the target is a success once the right arm alone holds it; one on the floor is dropped."""
    task = arms.task
    everywhere = torch.ones(NUM_ENVS, dtype=torch.bool)
    task.bar.place(everywhere, task.target)
    evaluation = task.evaluate()
    assert (evaluation.metrics["distance_to_target"] < 1e-5).all() and not evaluation.terminated["success"].any()
    floor = torch.tensor([0.5, 0.0, -0.7]).expand(NUM_ENVS, 3)
    task.bar.place(torch.arange(NUM_ENVS) == 2, floor)
    result = arms.step(arms.neutral_action)
    assert result.metrics["end/dropped"].tolist() == [i == 2 for i in range(NUM_ENVS)]
