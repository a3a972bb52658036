"""Calls of Genesis that are private, or that have changed between its releases.

Written for Genesis 1.4. When another release breaks one of them, `tests/test_genesis_api.py` names it, and this
file is the one to change. What the rest of the package calls is the old stock: `gs.init`, `scene.add_entity`,
`scene.step`, morphs, positions and velocities. What Genesis keeps of closed scenes is in
`memory_workarounds.py`, and how it launches kernels in `kernel_replay.py`; both do without what they do not find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


#: First two numbers of the releases that this file is written for.
TESTED_RELEASES = ("1.4",)


def is_initialized(gs: Any) -> bool:
    """Whether `gs.init` was called; Genesis has no public way to ask."""
    return bool(gs._initialized)


def is_single_precision(gs: Any) -> bool:
    """Whether Genesis was initialised to compute in float32; it keeps no record of the `precision` given."""
    return bool(gs.np_float().itemsize == 4)


def identity(gs: Any) -> object:
    """An object that each `gs.init` makes anew and `gs.destroy` drops."""
    return gs.logger


def is_tested(gs: Any) -> bool:
    """Whether this file is written for the installed release."""
    return ".".join(str(gs.__version__).split(".")[:2]) in TESTED_RELEASES


# Scenes


def vis_options(gs: Any) -> Any:
    """Environments drawn one by one; `split_envs` was `env_separate_rigid`."""
    return gs.options.VisOptions(split_envs=True, rendered_envs_idx=[0])


def rigid_options(gs: Any, *, self_collision: bool, per_env: bool, elliptic: bool) -> Any:
    """Options of the rigid solver.

    Args:
        gs: The module `genesis`.
        self_collision: Whether links of one robot collide with each other.
        per_env: Let environments differ in gains, damping and masses. Without it, setting a gain of one silently
            sets that of all.
        elliptic: Exact friction cones instead of pyramids.
    """
    return gs.options.RigidOptions(
        enable_self_collision=self_collision,
        batch_dofs_info=per_env,
        batch_links_info=per_env,
        friction_cone=gs.friction_cone.elliptic if elliptic else gs.friction_cone.pyramidal,
    )


def stiffen_contacts(scene: Any, impedance: float) -> None:
    """Set the impedance of all contacts of a built scene; the rest of their parameters is Genesis's own.

    Those are: time constant (0 for the shortest that the step allows), damping ratio, impedance at the surface and
    below, width, midpoint and power.
    """
    scene.rigid_solver.set_sol_params((0.0, 1.0, impedance, impedance, 0.001, 0.5, 2.0))


def keep_as_initial_state(scene: Any) -> None:
    """Make the present state that of `reset_envs`, which `scene.reset(state)` does beside resetting."""
    scene.reset(state=scene.get_state())


def reset_envs(scene: Any, envs: torch.Tensor) -> None:
    """Put environments back to the initial state: positions, velocities, control, warm start and errors.

    Args:
        scene: The scene.
        envs: bool mask `(num_envs,)`.
    """
    scene.reset(envs_idx=envs)


def failed_envs(scene: Any) -> torch.Tensor:
    """Environments whose solver failed, bool `(num_envs,)`; by itself Genesis refuses to step any then."""
    mask: torch.Tensor = scene.rigid_solver.get_error_envs_mask()
    return mask


def failures_of(scene: Any, env: int) -> list[str]:
    """Why the solver of an environment failed, such as "invalid acc nan"; private, for people."""
    from genesis.utils.array_class import ErrorCode
    from genesis.utils.misc import qd_to_torch

    flags = int(qd_to_torch(scene.rigid_solver._errno)[env])
    return [code.name.lower().replace("_", " ") for code in ErrorCode if code & flags]


def solver_record(scene: Any) -> tuple[Any, dict[str, Any]]:
    """Genesis's own record of its state in memory, and the rigid solver's arrays in it.

    Private; `scene.save_checkpoint` writes the same to a file, by pickle.

    Returns:
        What `restore_record` takes, and name → array or tensor, which may be replaced in place.
    """
    record = scene.sim.__getstate__()
    return record, record.solvers["RigidSolver"].arrays  # a camera's marker has a solver of its own


def restore_record(scene: Any, record: Any) -> None:
    """Go on from what `solver_record` gave."""
    scene.sim.__setstate__(record)


def set_gravity(scene: Any, gravity: torch.Tensor) -> None:
    """Set the gravity, world frame, m/s² `(num_envs, 3)`; releases after 1.4 move it to the solvers."""
    scene.sim.set_gravity(gravity)


def set_friction(scene: Any, coefficient: float) -> None:
    """Set the friction coefficient of every geometry; two in contact have the higher one."""
    for entity in scene.rigid_solver.entities:
        entity.set_friction(coefficient)


def set_friction_ratio(scene: Any, ratio: torch.Tensor) -> None:
    """Scale the friction of every geometry of each environment, `(num_envs,)`; `reset_envs` puts it back to 1."""
    solver = scene.rigid_solver
    solver.set_geoms_friction_ratio(ratio[:, None].expand(-1, solver.n_geoms).contiguous())


def forward_kinematics(scene: Any, entity: Any, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses of links at other positions, without touching the state; it was a method of the entity.

    `forward_kinematics_query` evaluates no more than the tree of an entity's first link, which in MJCF is often
    the bare world; all other links are where they are at present. So it is asked once for each tree, whose root it
    then takes for that link.

    Args:
        scene: The scene.
        entity: The entity.
        positions: Generalised positions `(n, n_qs)`, n at most the scene's environments.

    Returns:
        World-frame positions `(n, links, 3)` in metres and quaternions w, x, y, z `(n, links, 4)`.
    """
    import torch

    solver = scene.rigid_solver
    envs = torch.arange(len(positions), device=positions.device)
    trees: dict[int, list[int]] = {}
    for link in entity.links:
        trees.setdefault(link.root_idx, []).append(link.idx_local)
    first_links = solver.dyn_info.entities.link_start
    own = entity._idx_in_solver
    position = positions.new_empty(len(positions), entity.n_links, 3)
    quaternion = positions.new_empty(len(positions), entity.n_links, 4)
    for root, links in trees.items():
        if root == entity.links[0].root_idx:
            found = solver.forward_kinematics_query(entity, positions, envs)
        else:
            first_links[own] = root
            try:
                found = solver.forward_kinematics_query(entity, positions, envs)
            finally:
                first_links[own] = entity.link_start
        position[:, links], quaternion[:, links] = found[0][:, links], found[1][:, links]
    return position, quaternion


def render_env(scene: Any, camera: Any, env: int) -> NDArray[np.uint8]:
    """Draw one environment, uint8 `(height, width, 3)`.

    Genesis draws all environments that the scene was built to draw, or none. Built to draw a single one and
    pointed at another before each picture, it draws the same pixels, and a picture nobody asked for costs nothing.
    """
    scene.visualizer.context.rendered_envs_idx = [env]
    frame: NDArray[np.uint8] = camera.render(force_render=True)[0]
    return frame


def viewer_is_open(scene: Any) -> bool:
    """Whether the window is still there."""
    return bool(scene.viewer.is_alive())


# Entities


def dofs_of(entity: Any, joints: Sequence[str]) -> list[int]:
    """Indices of joints of one degree of freedom within an entity; `dof_idx_local` of a joint before 0.3."""
    return [entity.get_joint(name).dofs_idx_local[0] for name in joints]


def joint_places(joint: Any) -> tuple[list[int], list[int]]:
    """A joint's indices among its entity's generalised positions, and among its degrees of freedom."""
    return list(joint.qs_idx_local), list(joint.dofs_idx_local)


def is_free(joint: Any) -> bool:
    """Whether a joint lets its link float, with seven generalised positions and six degrees of freedom."""
    return bool(joint.n_qs == 7)


def initial_positions(entity: Any) -> list[float]:
    """Generalised positions that the file and the entity's place give it, `n_qs` of them."""
    return [float(value) for value in entity.init_qpos]


def set_positions(entity: Any, position: torch.Tensor, indices: Sequence[int], envs: torch.Tensor) -> None:
    """Set some generalised positions in some environments, and the whole entity at rest there.

    Args:
        entity: The entity.
        position: rad or metres `(num_envs, n)`.
        indices: Which ones, n of them.
        envs: bool mask `(num_envs,)`.
    """
    full = entity.get_qpos()
    full[:, indices] = position
    entity.set_qpos(full, envs_idx=envs)


def joint_limits(entity: Any, dofs: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Lower and upper limits, rad `(dofs,)`; with `per_env` Genesis has them for each environment."""
    low, high = entity.get_dofs_limit(dofs)
    return (low[0], high[0]) if low.ndim == 2 else (low, high)


def moving_links(entity: Any) -> list[int]:
    """Indices of links that are not fixed to the world, within the entity; `is_free` before 0.3.4."""
    return [link.idx_local for link in entity.links if not link.is_fixed]


def links_moved_by(entity: Any, joints: Sequence[str]) -> list[int]:
    """Indices of the links that joints move, within the entity."""
    return [entity.get_joint(name).link.idx_local for name in joints]


def pose_readers(link: Any) -> tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor]]:
    """Functions that read the origin and the orientation of a link of a built scene, as `link.get_pos` does.

    They read the solver's arrays in a third of the time, unless the link was moved off its authored origin.

    Returns:
        World-frame position, metres `(num_envs, 3)`, and quaternion w, x, y, z `(num_envs, 4)`, each a copy.
    """
    from genesis.utils.misc import qd_to_torch

    solver, index = link._solver, link.idx
    if not (solver._links_offset_pos_is_identity[index] and solver._links_offset_quat_is_identity[index]):
        return link.get_pos, link.get_quat
    links = solver.dyn_state.links
    return (
        lambda: qd_to_torch(links.pos, transpose=True)[:, index].clone(),
        lambda: qd_to_torch(links.quat, transpose=True)[:, index].clone(),
    )


def joint_readers(entity: Any, dofs: slice | list[int]) -> tuple[Callable[[], torch.Tensor], ...]:
    """Functions that read joints of a built scene, as `entity.get_dofs_position` does, in half of the time.

    Returns:
        Their positions, rad or metres `(num_envs, dofs)`, and velocities, per second, each a copy.
    """
    from genesis.utils.misc import qd_to_torch

    if not isinstance(dofs, slice):
        return lambda: entity.get_dofs_position(dofs), lambda: entity.get_dofs_velocity(dofs)
    place = slice(entity.dof_start + dofs.start, entity.dof_start + dofs.stop)
    arrays = entity.solver.dyn_state.dofs
    return (
        lambda: qd_to_torch(arrays.pos, transpose=True)[:, place].clone(),
        lambda: qd_to_torch(arrays.vel, transpose=True)[:, place].clone(),
    )


def contact_forces(entity: Any) -> torch.Tensor:
    """Force of all contacts on each link, world frame, N `(num_envs, links, 3)`; zero after a reset."""
    forces: torch.Tensor = entity.get_links_net_contact_force()
    return forces


def command_joints(entity: Any, position: torch.Tensor, velocity: torch.Tensor, dofs: Any) -> None:
    """Set targets of the PD controllers, rad and rad/s `(num_envs, dofs)`; the later of two calls won once."""
    entity.control_dofs_position_velocity(position, velocity, dofs)


def joint_property(entity: Any, name: str, dofs: Any) -> torch.Tensor:
    """`kp`, `kv`, `damping` or `armature` as the first environment has it, `(dofs,)`."""
    values: torch.Tensor = getattr(entity, f"get_dofs_{name}")(dofs)
    return values[0] if values.ndim == 2 else values


def set_joint_property(
    entity: Any, name: str, values: torch.Tensor, dofs: Any, envs: torch.Tensor | None = None
) -> None:
    """Set `kp`, `kv`, `damping` or `armature`; the scene must be `per_env`.

    After an armature Genesis computes inertias anew, as after masses: see `set_link_inertia`.

    Args:
        entity: The entity.
        name: The property.
        values: Of every environment, `(num_envs, dofs)`.
        dofs: The degrees of freedom.
        envs: bool mask `(num_envs,)`; None for all.
    """
    indices = None if envs is None else envs.nonzero()[:, 0]
    if indices is None:
        getattr(entity, f"set_dofs_{name}")(values, dofs)
    elif len(indices):
        getattr(entity, f"set_dofs_{name}")(values[indices], dofs, indices)


def joint_inertia(entity: Any) -> torch.Tensor:
    """Inertia that each joint moves, as the first environment's last step began, kg·m² `(dofs,)`."""
    matrix: torch.Tensor = entity.get_mass_mat()
    return matrix[0].diagonal()


def set_dofs(entity: Any, name: str, values: torch.Tensor, dofs: Any) -> None:
    """Set `kp`, `kv`, `damping` or `armature` everywhere, `(dofs,)` or `()`."""
    present = entity.get_dofs_limit(dofs)[0]  # with `per_env` Genesis has them for each environment
    getattr(entity, f"set_dofs_{name}")(values.to(present).expand_as(present), dofs)


def set_effort_limit(entity: Any, limit: torch.Tensor, dofs: Any) -> None:
    """Set the greatest force or torque of drives everywhere, N or N·m `()`."""
    present = entity.get_dofs_limit(dofs)[0]
    limits = limit.to(present).expand_as(present)
    entity.set_dofs_force_range(-limits, limits, dofs)


def force_limits(entity: Any, dofs: Any) -> torch.Tensor:
    """Upper ends of the drives' ranges of force, N or N·m `(dofs,)`."""
    high: torch.Tensor = entity.get_dofs_force_range(dofs)[1]
    return high[0] if high.ndim == 2 else high


def link_inertia(entity: Any, links: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Masses, kg `(links,)`, and inertia tensors, kg·m² `(links, 3, 3)`, as the first environment has them."""
    masses, inertias = entity.get_links_mass(links), entity.get_links_inertia(links)
    return (masses[0], inertias[0]) if masses.ndim == 2 else (masses, inertias)


def set_link_inertia(
    entity: Any, masses: torch.Tensor, inertias: torch.Tensor, links: Sequence[int], envs: torch.Tensor
) -> None:
    """Set both for some environments, in this order; the scene must be `per_env`. It was `set_mass_shift`.

    Genesis then computes the poses of these environments anew, by code whose last bits may differ from those of a
    step.

    Args:
        entity: The entity.
        masses: Of every row, kg `(num_envs, links)`.
        inertias: Of every row, kg·m² `(num_envs, links, 3, 3)`.
        links: The links.
        envs: bool mask `(num_envs,)`.
    """
    indices = envs.nonzero()[:, 0]  # a mask would be taken for the environments that the values are of
    if len(indices):
        entity.set_links_inertia(inertias[indices], links, indices)
        entity.set_links_mass(masses[indices], links, indices)


def jacobian(entity: Any, link: Any, point: torch.Tensor) -> torch.Tensor:
    """Jacobian of a point of a link, world frame, `(num_envs, 6, dofs)`: translations first.

    Args:
        entity: The entity.
        link: Its link.
        point: In the link's frame, metres `(3,)`.
    """
    matrix: torch.Tensor = entity.get_jacobian(link, point)
    return matrix


def push_link(entity: Any, link: int, force: torch.Tensor) -> None:
    """Push a link at its centre of mass during the next physics step, world frame, N `(num_envs, 3)`.

    It was `apply_links_external_force`.
    """
    import genesis as gs

    entity.apply_links_external_wrench(force[:, None], None, [link], ref=gs.link_ref_frame.link_COM)
