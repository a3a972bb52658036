"""A scripted policy that grasps a cube and carries it, for demonstrations and tests."""

from __future__ import annotations

import torch

from genesis_gym.core import BatchedEnv
from genesis_gym.core.result import Observation
from genesis_gym.errors import ArgumentError
from genesis_gym.tasks.manipulation import grasp, stack
from genesis_gym.tasks.manipulation.funnel import through_funnel

#: Action for each metre of displacement that is left; with 12 some cubes are knocked or dropped.
GAIN = 8.0
#: The gripper closes once the cube's centre is this near, metres.
NEAR = 0.012
#: It opens once the cube is this near to its place on top of another, metres.
ON_TOP = 0.004


def grasp_and_carry(env: BatchedEnv, observation: Observation) -> torch.Tensor:
    """Go above the cube and down to it, close, and carry it to its place: the target, on top, or else up.

    The action depends on the observation alone, so environments may be anywhere in their episodes.

    Args:
        env: An environment of `LiftCube`, `PickAndPlace` or `StackCube`, with `control_mode="ee_delta_position"`.
        observation: What it gave last.

    Returns:
        Actions, float `(num_envs, 4)`.

    Raises:
        ArgumentError: The environment is another.
    """
    if not isinstance(env.task, grasp.Grasp) or env.action_dim != 4:
        raise ArgumentError(
            f"{type(env.task).__name__} with an action of {env.action_dim} numbers has no scripted policy; "
            "take LiftCube, PickAndPlace or StackCube with control_mode='ee_delta_position'"
        )
    parts = {
        name: observation[group][:, place]
        for group, layout in env.observation_layout.items()
        for name, place in layout.items()
    }
    to_cube, cube = parts["to_cube"], parts["cube_position"]
    goal = next((parts[name] for name in ("target", "desired_goal") if name in parts), None)
    up = torch.tensor([0.0, 0.0, 1.0], device=cube.device)

    near = torch.linalg.vector_norm(to_cube, dim=-1, keepdim=True) < NEAR
    gripped = near & (parts["grip"] * env.task.arm.gripper.spec.force > grasp.HOLDING_FORCE)
    carry = up.expand_as(cube) if goal is None else goal - cube
    grip = torch.where(near, -1.0, 1.0)
    if isinstance(env.task, stack.StackCube):
        grip = torch.where(torch.linalg.vector_norm(carry, dim=-1, keepdim=True) < ON_TOP, 1.0, grip)
        carry = through_funnel(carry, grasp.FUNNEL_RADIUS)
    displacement = torch.where(gripped, carry, through_funnel(to_cube, grasp.FUNNEL_RADIUS))
    return torch.cat([(GAIN * displacement).clamp(-1.0, 1.0), grip], dim=-1)
