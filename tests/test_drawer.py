"""A drawer that is pulled open by its bar: an articulated object, in another place in each environment."""

from __future__ import annotations

import pytest
import torch

from conftest import random_actions
from genesis_gym import BatchedEnv
from genesis_gym.runtime import genesis_api
from genesis_gym.tasks.manipulation.drawer import FUNNEL_RADIUS, STILL, TRAVEL
from genesis_gym.tasks.manipulation.funnel import through_funnel

NUM_ENVS = 8


@pytest.fixture
def env(make_core) -> BatchedEnv:
    core: BatchedEnv = make_core(NUM_ENVS, task="open_drawer")
    core.reset(seed=0)
    return core


def hook_and_pull(env: BatchedEnv, observation: dict[str, torch.Tensor]) -> torch.Tensor:
    """Go above the place behind the bar and down to it, and pull: a policy that reads the observation alone."""
    displacement = observation["policy"][:, env.observation_layout["policy"]["to_handle"]] + env.task._behind
    hooked = torch.linalg.vector_norm(displacement, dim=-1, keepdim=True) < 2 * FUNNEL_RADIUS
    pull = torch.cat([torch.full_like(displacement[:, :1], -0.3), 12.0 * displacement[:, 1:]], dim=-1)
    return torch.where(hooked, pull, 12.0 * through_funnel(displacement, FUNNEL_RADIUS)).clamp(-1.0, 1.0)


def pull(env: BatchedEnv, observation: dict[str, torch.Tensor], steps: int) -> dict[str, torch.Tensor]:
    """The observation after some steps of the scripted policy."""
    for _ in range(steps):
        observation = env.step(hook_and_pull(env, observation)).observation
    return observation


def slide(env: BatchedEnv, opening: float, velocity: float) -> None:
    """Put the drawer of every environment to an opening, metres, at a speed, m/s."""
    env.task._cabinet.entity.set_dofs_position(torch.full((NUM_ENVS, 1), opening))
    env.task._cabinet.entity.set_dofs_velocity(torch.full((NUM_ENVS, 1), velocity))
    env.world.version += 1  # behind its back


def test_the_drawer_can_be_opened_from_everywhere(env: BatchedEnv) -> None:
    for seed in (1, 2):
        observation, _ = env.reset(seed=seed)
        done = torch.zeros(NUM_ENVS, dtype=torch.bool)
        for _ in range(150):
            result = env.step(hook_and_pull(env, observation))
            observation, done = result.observation, done | result.terminated
        assert done.all()


def test_the_cabinet_stands_elsewhere_in_each_environment(env: BatchedEnv) -> None:
    """And the file's joint is the one that the task counts on."""
    task = env.task
    low, high = genesis_api.joint_limits(task._cabinet.entity, [0])
    assert low.item() == 0.0 and high.item() == pytest.approx(TRAVEL)
    handle = task.handle_position
    assert len(handle[:, 0].unique()) == NUM_ENVS and (handle[:, 2] == handle[0, 2]).all()
    assert (handle[:, :2] >= torch.tensor(task.low)).all() and (handle[:, :2] <= torch.tensor(task.high)).all()
    slide(env, 0.1, 0.0)
    torch.testing.assert_close(task.handle_position - handle, torch.tensor([[-0.1, 0.0, 0.0]]).expand(NUM_ENVS, 3))


def test_success_needs_an_opening_and_rest(env: BatchedEnv) -> None:
    for share, velocity, succeeds in ((0.91, 0.0, True), (0.89, 0.0, False), (0.95, 1.5 * STILL, False)):
        slide(env, share * TRAVEL, velocity)
        assert (env.task.evaluate().terminated["success"] == succeeds).all(), (share, velocity)


def test_difficulty_is_a_share_of_the_opening(env: BatchedEnv) -> None:
    env.task.difficulty = torch.linspace(0.3, 1.0, NUM_ENVS)
    env.reset(seed=0)
    env.task.difficulty = torch.ones(NUM_ENVS)
    slide(env, 0.1, 0.0)  # 0.556 of 0.18 m
    assert env.task.evaluate().terminated["success"].tolist() == [True] * 3 + [False] * 5


def test_the_drawer_stays_where_it_is_left(env: BatchedEnv) -> None:
    """Its runner brakes it: pushed off at the speed that counts as still, it stops after some millimetres."""
    slide(env, 0.05, STILL)
    for _ in range(50):
        env.step(torch.zeros(NUM_ENVS, env.action_dim))
    opening = env.task.drawer_opening
    assert ((opening > 0.05) & (opening < 0.06)).all() and (env.task.drawer_velocity.abs() < 1e-4).all()
    for _ in range(50):
        env.step(torch.zeros(NUM_ENVS, env.action_dim))
    torch.testing.assert_close(env.task.drawer_opening, opening, atol=1e-5, rtol=0)


def test_a_reset_closes_the_drawers_of_its_environments_only(env: BatchedEnv) -> None:
    observation = pull(env, env.observation, 50)
    opening, handle = env.task.drawer_opening, env.task.handle_position
    state = env.state_dict()
    assert (opening > 0.02).all()
    envs = torch.arange(NUM_ENVS) % 2 == 0
    observation, _ = env.reset(envs)
    assert (env.task.drawer_opening[envs] == 0).all() and (env.task.drawer_velocity[envs] == 0).all()
    assert (env.task.handle_position[envs] - handle[envs]).abs().amax(-1).min() > 1e-3, "and moves the cabinet"
    assert torch.equal(env.task.drawer_opening[~envs], opening[~envs])
    assert torch.equal(env.task.handle_position[~envs], handle[~envs])
    later = pull(env, observation, 30)
    env.load_state_dict(state)
    assert torch.equal(pull(env, env.observation, 30)["policy"][~envs], later["policy"][~envs]), (
        "others go on as if nothing was"
    )


def test_a_pull_goes_on_from_a_saved_state(env: BatchedEnv) -> None:
    observation = pull(env, env.observation, 40)
    state = env.state_dict()
    future = pull(env, observation, 30)
    env.reset(seed=9)  # the cabinets are elsewhere
    env.load_state_dict(state)
    assert torch.equal(pull(env, observation, 30)["policy"], future["policy"])


def test_rewards_rise_with_every_stage(env: BatchedEnv) -> None:
    """No stage pays for staying: every term is a cost to go, and together they are at most 1."""
    observation, rewards = env.observation, []
    for _ in range(100):
        result = env.step(hook_and_pull(env, observation))
        observation = result.observation
        rewards.append(torch.stack([result.metrics[f"reward/{name}"] for name in ("approach", "open")]))
    terms = torch.stack(rewards)  # (steps, terms, envs)
    assert (terms <= 0).all() and (terms.sum(1) >= -1.0).all()
    total = terms.sum(1)
    assert (total[0] < total[25]).all() and (total[25] < total[50]).all() and (total[99] > -0.1).all()


def test_knocking_the_closed_drawer_neither_pays_nor_costs(env: BatchedEnv) -> None:
    """The closed fingers come down in front of the bar and press on it: it rests on its stop."""
    ahead = torch.tensor([-0.05, 0.0, -0.01])
    pressed = torch.zeros(NUM_ENVS, dtype=torch.bool)
    for step in range(120):
        displacement = env.task.to_handle + ahead
        push = torch.tensor([0.5, 0.0, 0.0]).expand(NUM_ENVS, 3)
        result = env.step(
            push if step >= 80 else (12.0 * through_funnel(displacement, FUNNEL_RADIUS)).clamp(-1.0, 1.0)
        )
        forces = genesis_api.contact_forces(env.task._cabinet.entity)
        pressed |= torch.linalg.vector_norm(forces, dim=-1).amax(-1) > 5.0
        opening = env.task.drawer_opening
        assert ((opening > -5e-3) & (opening < 1e-3)).all(), "the stop gives way a little"
        torch.testing.assert_close(result.metrics["reward/open"], torch.full((NUM_ENVS,), -0.6), atol=5e-3, rtol=0)
    assert pressed.all()


def test_random_fingers_do_not_succeed(env: BatchedEnv) -> None:
    env.reset(seed=3)
    succeeded = torch.zeros(NUM_ENVS, dtype=torch.bool)
    for action in torch.from_numpy(random_actions(150, NUM_ENVS, 3)):
        succeeded |= env.step(action).terminated
    assert not succeeded.any()
