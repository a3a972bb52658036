"""Properties of a legged robot that are randomised reach the simulator, in the environments that are reset."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from genesis_gym import BatchedEnv

NUM_ENVS = 4
RANGES = {
    "go2.mass_scale": (0.8, 1.2),
    "friction_scale": (0.5, 1.5),
    "kp_scale": (0.7, 1.3),
    "action_latency": (0, 3),
    "wind": (5.0, 20.0),
    "joint_offset": (-0.1, 0.1),
}


@pytest.fixture
def env(make_core: Callable[..., BatchedEnv]) -> BatchedEnv:
    """Four robots that differ in everything."""
    core = make_core(NUM_ENVS, task="velocity_tracking", randomization=RANGES)
    core.reset(seed=0)
    return core


def in_the_simulator(env: BatchedEnv) -> dict[str, torch.Tensor]:
    """What Genesis has at present, as scales and offsets, `(num_envs, n)` each."""
    legs, entity = env.task.legs, env.task.legs.entity
    solver = env.world.scene.rigid_solver
    drawn = legs.default * env._random.uniform("joints", 0.8, 1.2, len(legs.joints))
    return {
        "mass_scale": entity.get_links_mass(legs._moving_links) / legs._masses,
        "friction_scale": solver.get_geoms_friction_ratio(),
        "kp_scale": entity.get_dofs_kp(legs.dofs) / legs.spec.actuators[0].kp,
        "joint_offset": legs.joint_position - drawn,
    }


def told(env: BatchedEnv) -> dict[str, torch.Tensor]:
    """What the metrics tell, `(num_envs, n)` each."""
    _, metrics = env.reset(torch.zeros(NUM_ENVS, dtype=torch.bool))
    return {name: metrics[f"randomization/{name}"].reshape(NUM_ENVS, -1) for name in RANGES}


def test_properties_reach_the_simulator(env: BatchedEnv) -> None:
    values = told(env)
    for name, value in in_the_simulator(env).items():
        expected = values.get(name, values.get(f"go2.{name}")).expand_as(value)
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
    for name, (low, high) in RANGES.items():
        assert ((values[name] >= low) & (values[name] <= high)).all() and len(values[name].unique()) > 1, name
    assert values["kp_scale"].shape == values["joint_offset"].shape == (NUM_ENVS, 12)


def test_a_reset_changes_its_environment_only(env: BatchedEnv) -> None:
    before, simulated = told(env), in_the_simulator(env)
    wind = env.task.legs._wind.clone()
    env.reset(torch.arange(NUM_ENVS) == 2, seed=77)
    after, now = told(env), in_the_simulator(env)
    others = torch.tensor([0, 1, 3])
    for old, new in [*zip(before.values(), after.values(), strict=True), (wind, env.task.legs._wind)]:
        assert torch.equal(old[others], new[others])
    for name, old in simulated.items():
        assert torch.equal(old[others], now[name][others]), name
        assert not torch.equal(old[2], now[name][2]), name
    assert not torch.equal(wind[2], env.task.legs._wind[2])


def test_properties_depend_on_the_seed_only(env: BatchedEnv) -> None:
    """Not on the environment, nor on what came before."""
    env.reset(seed=20)
    first = {**told(env), "wind": env.task.legs._wind}
    for _ in range(3):
        env.step(env.action_high.expand(NUM_ENVS, -1))
    env.reset(seed=[23, 22, 21, 20])
    second = {**told(env), "wind": env.task.legs._wind}
    for name, value in first.items():
        assert torch.equal(second[name].flip(0), value), name


def test_actions_arrive_late(env: BatchedEnv) -> None:
    latency = told(env)["action_latency"][:, 0].long()
    arrived = torch.full((NUM_ENVS,), -1)
    for step in range(5):
        env.step(torch.full((NUM_ENVS, 12), 0.1))
        now = (env.task.offsets.action != 0).any(-1)
        arrived = torch.where((arrived < 0) & now, step, arrived)
    assert torch.equal(arrived, latency)


def test_the_wind_pushes_with_its_force(env: BatchedEnv) -> None:
    """In the air the momentum of the whole robot grows by force times time."""
    import genesis as gs

    everywhere = torch.ones(NUM_ENVS, dtype=torch.bool)
    legs = env.task.legs
    legs.place(everywhere, torch.tensor([0.0, 0.0, 3.0]).expand(NUM_ENVS, 3), yaw=torch.zeros(NUM_ENVS))
    for _ in range(5):
        env.step(env.neutral_action)
    links = [link.idx_local for link in legs.entity.links]
    masses = legs.entity.get_links_mass(links)
    velocity = legs.entity.get_links_vel(links, ref=gs.link_ref_frame.link_COM)
    momentum = (masses[..., None] * velocity).sum(1)
    expected = legs._wind * 5 * env.control_dt
    torch.testing.assert_close(momentum[:, :2], expected[:, :2], rtol=0.02, atol=5e-3)
    torch.testing.assert_close(legs._wind.norm(dim=-1), told(env)["wind"][:, 0])
