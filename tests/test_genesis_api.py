"""What this package takes for granted of Genesis, one test for each call of `runtime/genesis_api.py`.

A failure here means that another release of Genesis behaves otherwise: change that file, and nothing else.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import torch

from genesis_gym import BatchedEnv
from genesis_gym.runtime import backend, genesis_api
from genesis_gym.tasks.manipulation.push import Push
from genesis_gym.world import SOFT, Physics

NUM_ENVS = 8
ARM = tuple(f"joint{i}" for i in range(1, 8))
HOME = torch.tensor([0.0, 0.0, 0.0, -1.57, 0.0, 1.57, -0.785])
NAN = float("nan")


@pytest.fixture
def env(core: BatchedEnv) -> Iterator[BatchedEnv]:
    yield core
    core.reset(seed=0)


@pytest.fixture
def varied(make_core) -> Iterator[BatchedEnv]:
    """A scene whose environments may differ in gains and masses."""
    env = make_core(NUM_ENVS, randomization=VARIED)
    env.reset(seed=0)
    yield env
    env.reset(seed=0)


VARIED = {"payload": (0.0, 0.5), "kp_scale": (0.9, 1.1)}


def physics_steps(env: BatchedEnv, steps: int) -> torch.Tensor:
    for _ in range(steps):
        env.world.scene.step(update_visualizer=False)
    position: torch.Tensor = env.task.arm.entity.get_dofs_position()
    return position


def test_every_call_has_its_test() -> None:
    calls = {name for name, value in vars(genesis_api).items() if inspect.isfunction(value)}
    names = [name.removeprefix("test_") for name in globals() if name.startswith("test_")]
    assert calls <= {call for name in names for call in name.split("_and_")}


def test_is_initialized_and_is_tested_and_is_single_precision_and_identity(
    env: BatchedEnv, monkeypatch, caplog
) -> None:
    import genesis as gs

    assert genesis_api.is_initialized(gs) and genesis_api.is_tested(gs) and genesis_api.is_single_precision(gs)
    assert genesis_api.identity(gs) is genesis_api.identity(gs)
    monkeypatch.setattr(gs, "__version__", "2.0.1")
    assert not genesis_api.is_tested(gs)
    backend.warn_of_release(gs)
    assert caplog.messages == ["Genesis 2.0.1 is not a release that genesis-gym is tested with (1.4.x)"]


def test_vis_options_and_rigid_options(env: BatchedEnv, varied: BatchedEnv) -> None:
    import genesis as gs

    assert genesis_api.vis_options(gs).split_envs is True
    options = genesis_api.rigid_options(gs, per_env=True, elliptic=True, self_collision=False)
    assert options.friction_cone is gs.friction_cone.elliptic
    assert options.batch_dofs_info and options.batch_links_info and not options.enable_self_collision
    assert env.task.arm.entity.get_dofs_kp().ndim == 1, "gains are shared by all environments"
    assert varied.task.arm.entity.get_dofs_kp().shape == (NUM_ENVS, 9), "each environment has its gains"


def test_keep_as_initial_state_and_reset_envs(env: BatchedEnv) -> None:
    """The kept state comes back in the environments of a bool mask, at rest, and in no other."""
    entity = env.task.arm.entity
    entity.control_dofs_position(torch.full((NUM_ENVS, 9), 0.02))
    moved = physics_steps(env, 30)
    assert (moved[:, :7] - HOME).abs().amax() > 0.05
    mask = torch.arange(NUM_ENVS) % 2 == 0
    genesis_api.reset_envs(env.world.scene, mask)
    position, velocity = entity.get_dofs_position(), entity.get_dofs_velocity()
    torch.testing.assert_close(position[mask][:, :7], HOME.expand(4, -1))
    assert (velocity[mask] == 0).all() and torch.equal(position[~mask], moved[~mask])


def test_failed_envs_and_failures_of(env: BatchedEnv) -> None:
    """One bad environment is told, is frozen, changes no other, and a reset recovers it."""
    scene, entity = env.world.scene, env.task.arm.entity
    good = physics_steps(env, 1)
    env.reset(seed=0)
    assert not genesis_api.failed_envs(scene).any() and genesis_api.failures_of(scene, 3) == []
    entity.set_dofs_velocity([NAN], [2], envs_idx=[3])
    bad = physics_steps(env, 1)
    assert genesis_api.failed_envs(scene).tolist() == [env == 3 for env in range(NUM_ENVS)]
    assert genesis_api.failures_of(scene, 3) != [] and genesis_api.failures_of(scene, 2) == []
    others = torch.arange(NUM_ENVS) != 3
    assert torch.equal(bad[others], good[others])
    genesis_api.reset_envs(scene, ~others)
    assert not genesis_api.failed_envs(scene).any() and torch.isfinite(physics_steps(env, 1)).all()


def test_solver_record_and_restore_record(env: BatchedEnv) -> None:
    """The record holds everything: from it the same steps follow, bit for bit."""
    scene = env.world.scene
    env.task.arm.entity.control_dofs_position(torch.full((NUM_ENVS, 9), 0.02))
    physics_steps(env, 10)
    record, arrays = genesis_api.solver_record(scene)
    assert arrays, "the solver's arrays are where they were"
    expected = physics_steps(env, 10)
    assert not torch.equal(physics_steps(env, 10), expected)
    genesis_api.restore_record(scene, record)
    assert torch.equal(physics_steps(env, 10), expected)


def test_set_gravity(env: BatchedEnv) -> None:
    """Each environment falls by its own gravity."""
    gravity = torch.zeros(NUM_ENVS, 3)
    gravity[:, 2] = -torch.arange(NUM_ENVS)
    entity = env.task.arm.entity
    try:
        genesis_api.set_gravity(env.world.scene, gravity)
        entity.control_dofs_force(torch.zeros(NUM_ENVS, 9))
        sagged = (physics_steps(env, 20)[:, 1] - HOME[1]).abs()
        assert (sagged.diff() > 1e-5).all()
    finally:
        genesis_api.set_gravity(env.world.scene, torch.tensor([0.0, 0.0, -9.81]).expand(NUM_ENVS, 3))


def test_set_friction_and_set_friction_ratio(make_core) -> None:
    """A pushed cube slides on where there is little friction; the reset puts the ratio back, and it alone."""
    env = make_core(NUM_ENVS, task="push")
    cube, scene = env.task.cube.entity, env.world.scene
    coefficients = scene.rigid_solver.get_geoms_friction().clone()

    def slide(ratio: torch.Tensor | None) -> torch.Tensor:
        env.reset(seed=0)
        if ratio is not None:
            genesis_api.set_friction_ratio(scene, ratio)
        cube.set_dofs_velocity(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).expand(NUM_ENVS, 6))
        before = cube.get_pos()[:, 0]
        physics_steps(env, 20)
        distance: torch.Tensor = cube.get_pos()[:, 0] - before
        return distance

    nominal = slide(None)
    ratio = torch.where(torch.arange(NUM_ENVS) == 1, 0.05, 1.0)
    slippery = slide(ratio)
    assert slippery[1] > 1.2 * nominal[1]
    assert torch.equal(slide(None), nominal), "back to 1 by the reset"
    try:
        genesis_api.set_friction(scene, 0.01)
        assert (slide(None) > 1.2 * nominal).all()
    finally:
        scene.rigid_solver.set_geoms_friction(coefficients)
    assert torch.equal(slide(None), nominal)


def test_forward_kinematics(env: BatchedEnv) -> None:
    """It agrees with the poses that a scene has there, and leaves the scene alone."""
    scene, entity = env.world.scene, env.task.arm.entity
    position = entity.get_dofs_position() + 0.1
    before = entity.get_links_pos()
    link_position, link_quaternion = genesis_api.forward_kinematics(scene, entity, position)
    assert torch.equal(entity.get_links_pos(), before)
    entity.set_dofs_position(position)
    torch.testing.assert_close(link_position, entity.get_links_pos())
    torch.testing.assert_close(link_quaternion, entity.get_links_quat())


def test_render_env(single) -> None:
    """A picture shows the state of now, without a step in between."""
    single.reset(seed=0)
    simulation = single.unwrapped.core.world
    before = genesis_api.render_env(simulation.scene, simulation._camera, 0)
    assert before.shape == (360, 480, 3) and before.dtype.name == "uint8" and before.std() > 10
    entity = single.unwrapped.core.task.arm.entity
    entity.set_dofs_position(entity.get_dofs_position() + 0.4)
    assert (genesis_api.render_env(simulation.scene, simulation._camera, 0) != before).any()
    single.reset(seed=0)


def test_viewer_is_open() -> None:
    """Without a display there is no viewer to ask; its class still has the method."""
    from genesis.vis.viewer import Viewer

    assert callable(Viewer.is_alive)


def test_dofs_of_and_joint_limits_and_force_limits_and_moving_links(env: BatchedEnv, varied: BatchedEnv) -> None:
    for entity in (env.task.arm.entity, varied.task.arm.entity):
        assert genesis_api.dofs_of(entity, ARM) == list(range(7))
        low, high = genesis_api.joint_limits(entity, slice(0, 7))
        assert genesis_api.force_limits(entity, slice(0, 7)).tolist() == [87.0] * 4 + [12.0] * 3
        assert low.shape == high.shape == (7,) and (low < HOME).all() and (high > HOME).all()
        names = [entity.links[i].name for i in genesis_api.moving_links(entity)]
        assert names[0] == "link1" and "hand" in names and "link0" not in names


def test_command_joints(env: BatchedEnv) -> None:
    """A target and its velocity move the joints there, faster than the target alone."""
    entity = env.task.arm.entity
    target = HOME.expand(NUM_ENVS, 7) + 0.02
    velocity = torch.where(torch.arange(NUM_ENVS)[:, None] < 4, 0.0, 1.0).expand(NUM_ENVS, 7)
    genesis_api.command_joints(entity, target, velocity, slice(0, 7))
    moved = physics_steps(env, 5)[:, :7] - HOME
    assert (moved > 0).all() and (moved[4:] > moved[:4]).all()


def test_joint_inertia(env: BatchedEnv) -> None:
    """It is that of the posture: folded, the arm is easier to turn about its base."""
    entity = env.task.arm.entity
    physics_steps(env, 1)
    home = genesis_api.joint_inertia(entity)
    folded = env.task.arm.default.clone()
    folded[3] = -2.9
    entity.set_dofs_position(folded, slice(0, 7))
    physics_steps(env, 1)
    assert home.shape == (9,) and 0 < genesis_api.joint_inertia(entity)[0] < 0.7 * home[0]


@pytest.mark.parametrize("name", ["kp", "kv", "damping", "armature"])
def test_joint_property_and_set_joint_property(varied: BatchedEnv, name: str) -> None:
    """A property is set in each environment by itself."""
    entity, dofs = varied.task.arm.entity, slice(0, 7)
    nominal = getattr(entity, f"get_dofs_{name}")(dofs)
    try:
        scale = torch.linspace(1.0, 2.0, NUM_ENVS)[:, None]
        genesis_api.set_joint_property(entity, name, scale * nominal[0], dofs)
        torch.testing.assert_close(getattr(entity, f"get_dofs_{name}")(dofs), scale * nominal[0])
        torch.testing.assert_close(genesis_api.joint_property(entity, name, dofs), nominal[0])
    finally:
        genesis_api.set_joint_property(entity, name, nominal, dofs)


def test_link_inertia_and_set_link_inertia(varied: BatchedEnv) -> None:
    """Both are set in each environment by itself, in some environments only, and setting a mass leaves the inertia alone."""
    entity = varied.task.arm.entity
    every = torch.ones(NUM_ENVS, dtype=torch.bool)
    some = torch.arange(NUM_ENVS) % 2 == 1
    links = genesis_api.moving_links(entity)
    before = entity.get_links_mass(links), entity.get_links_inertia(links)
    masses, inertias = genesis_api.link_inertia(entity, links)
    assert masses.shape == (len(links),) and inertias.shape == (len(links), 3, 3)
    try:
        scale = torch.linspace(1.0, 2.0, NUM_ENVS)[:, None]
        scaled = scale * masses, scale[..., None, None] * inertias
        for envs in (~every, some, every):
            genesis_api.set_link_inertia(entity, *scaled, links, envs)
            now = entity.get_links_mass(links), entity.get_links_inertia(links)
            for value, wanted, old in zip(now, scaled, before, strict=True):
                torch.testing.assert_close(value, torch.where(envs.view(-1, *[1] * (old.ndim - 1)), wanted, old))
    finally:
        genesis_api.set_link_inertia(entity, *before, links, every)


def test_jacobian(env: BatchedEnv) -> None:
    """Its rows are translations, then rotations; the shoulder's axis is upright, and the point is off the link."""
    entity = env.task.arm.entity
    point = torch.tensor([0.0, 0.0, 0.1034])
    matrix = genesis_api.jacobian(entity, entity.get_link("hand"), point)
    assert matrix.shape == (NUM_ENVS, 6, 9)
    torch.testing.assert_close(
        matrix[:, 3:, 0], torch.tensor([0.0, 0.0, 1.0]).expand(NUM_ENVS, 3), atol=1e-4, rtol=0
    )
    tool = env.task.arm.tool.position
    torch.testing.assert_close(matrix[:, 1, 0], tool[:, 0], atol=1e-4, rtol=0)


def test_push_link(env: BatchedEnv) -> None:
    """A push moves the arm in its environment, in its direction, and lasts for one physics step."""
    entity = env.task.arm.entity
    hand = entity.get_link("hand")
    force = torch.zeros(NUM_ENVS, 3)
    force[2, 1] = 200.0
    still = physics_steps(env, 1)
    env.reset(seed=0)
    genesis_api.push_link(entity, hand.idx_local, force)
    pushed = physics_steps(env, 1)
    others = torch.arange(NUM_ENVS) != 2
    assert torch.equal(pushed[others], still[others])
    first = hand.get_vel()[2, 1]
    assert first > 0.01
    physics_steps(env, 1)
    assert hand.get_vel()[2, 1] < 1.5 * first, "the second step was not pushed"


# What a grasp takes


@pytest.fixture
def lifting(make_core) -> BatchedEnv:
    env: BatchedEnv = make_core(NUM_ENVS, task="lift_cube")
    env.reset(seed=0)
    return env


def test_links_moved_by_and_contact_forces(lifting: BatchedEnv) -> None:
    """The cube's weight rests on the ground, and on no finger; a reset forgets forces."""
    entity, cube = lifting.task.arm.entity, lifting.task.cube.entity
    names = [link.name for link in entity.links]
    fingers = genesis_api.links_moved_by(entity, ("finger_joint1", "finger_joint2"))
    assert [names[index] for index in fingers] == ["left_finger", "right_finger"]
    for _ in range(25):
        lifting.step(torch.zeros(NUM_ENVS, 4))
    weight = genesis_api.contact_forces(cube)[:, 0]
    torch.testing.assert_close(
        weight, torch.tensor([0.0, 0.0, 0.064 * 9.81]).expand(NUM_ENVS, 3), atol=0.02, rtol=0
    )
    assert not genesis_api.contact_forces(entity)[:, fingers].any()
    lifting.reset(seed=0)
    assert not genesis_api.contact_forces(cube).any()


def test_stiffen_contacts(lifting: BatchedEnv, make_core) -> None:
    """A cube on firm ground sinks in a tenth as far."""
    depths = []
    for env in (lifting, make_core(NUM_ENVS, task=Push, physics=Physics(contacts=SOFT))):
        env.reset(seed=0)
        physics_steps(env, 100)
        depths.append((0.02 - env.task.cube.entity.get_pos()[:, 2]).max().item())
    assert 0 < depths[0] < 0.02e-3 < 0.08e-3 < depths[1]


def test_set_dofs(lifting: BatchedEnv) -> None:
    """A PD controller pushes with its gain times the error."""
    robot, entity = lifting.task.arm, lifting.task.arm.entity
    fingers = robot.gripper._dofs
    for stiffness in (500.0, 2000.0):
        genesis_api.set_dofs(entity, "kp", torch.full((2,), stiffness), fingers)
        genesis_api.set_dofs(entity, "kv", torch.tensor(100.0), fingers)
        entity.control_dofs_position(robot.gripper.opening.expand(NUM_ENVS, 2) - 0.01, fingers)
        force = entity.get_dofs_control_force(fingers)
        torch.testing.assert_close(force, torch.full((NUM_ENVS, 2), -0.01 * stiffness), atol=0.1, rtol=0)
    lifting.reset(seed=0)


# Floating bases and places


@pytest.fixture
def dog(make_core) -> BatchedEnv:
    env: BatchedEnv = make_core(NUM_ENVS, task="velocity_tracking")
    env.reset(seed=0)
    return env


def test_joint_places_and_is_free_and_initial_positions(dog: BatchedEnv, env: BatchedEnv) -> None:
    """A free base has seven positions and six degrees of freedom, before the joints."""
    entity = dog.task.legs.entity
    base, *others = [joint for joint in entity.joints if joint.n_dofs]
    assert genesis_api.is_free(base) and not any(genesis_api.is_free(joint) for joint in others)
    assert genesis_api.joint_places(base) == (list(range(7)), list(range(6)))
    assert genesis_api.joint_places(others[0]) == ([7], [6])
    assert len(genesis_api.initial_positions(entity)) == entity.n_qs == 7 + 12
    assert genesis_api.initial_positions(entity)[3:7] == [1.0, 0.0, 0.0, 0.0], "w, x, y, z"
    arm = env.task.arm.entity
    assert len(genesis_api.initial_positions(arm)) == arm.n_qs == 9


def test_pose_readers_and_joint_readers(dog: BatchedEnv, env: BatchedEnv) -> None:
    """They read what Genesis's own methods do, of bodies that were moved, into tensors that stand."""
    for robot in (env.task.arm, dog.task.legs):
        entity, dofs = robot.entity, robot.dofs
        for link in (entity.links[0], entity.links[-1]):
            position, orientation = genesis_api.pose_readers(link)
            assert torch.equal(position(), link.get_pos()) and torch.equal(orientation(), link.get_quat())
        for place in (dofs, [6, 4, 2]):
            position, velocity = genesis_api.joint_readers(entity, place)
            before, kept = position(), position().clone()
            entity.set_dofs_velocity(torch.rand(entity.n_dofs).expand(env.num_envs, -1))
            robot.world.scene.step(update_visualizer=False)
            assert torch.equal(position(), entity.get_dofs_position(place)) and torch.equal(before, kept)
            assert torch.equal(velocity(), entity.get_dofs_velocity(place)) and not torch.equal(position(), kept)


def test_set_positions(dog: BatchedEnv) -> None:
    """What is set is set in some environments, which are at rest then; the others are not touched."""
    entity = dog.task.legs.entity
    for _ in range(5):
        dog.step(torch.ones(NUM_ENVS, dog.action_dim))
    before, moving = entity.get_qpos().clone(), entity.get_dofs_velocity().clone()
    assert moving.abs().amax() > 0.1
    some = torch.arange(NUM_ENVS) % 2 == 0
    genesis_api.set_positions(entity, torch.full((NUM_ENVS, 3), 2.0), [0, 1, 2], some)
    now, velocity = entity.get_qpos(), entity.get_dofs_velocity()
    assert (now[some, :3] == 2.0).all() and torch.equal(now[some, 3:], before[some, 3:])
    assert torch.equal(now[~some], before[~some]) and torch.equal(velocity[~some], moving[~some])
    assert (velocity[some] == 0).all()


def test_set_effort_limit(lifting: BatchedEnv) -> None:
    """A drive exerts no more, and its limit can be read."""
    entity, dofs = lifting.task.arm.entity, slice(0, 7)
    low, high = entity.get_dofs_force_range(dofs)
    try:
        genesis_api.set_effort_limit(entity, torch.tensor(3.0), dofs)
        assert genesis_api.force_limits(entity, dofs).tolist() == [3.0] * 7
        entity.control_dofs_position(HOME.expand(NUM_ENVS, 7) + 1.0, dofs)
        assert entity.get_dofs_control_force(dofs).abs().max() == 3.0
    finally:
        entity.set_dofs_force_range(low, high, dofs)
        lifting.reset(seed=0)
