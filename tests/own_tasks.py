"""Tasks as a user may write them, small enough that a scene of them costs a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from genesis_gym import Evaluation, Physics, Task, World
from genesis_gym.actions import ActionTerm
from genesis_gym.runtime import genesis_api
from genesis_gym.world import SOFT, Box, Ground

#: Force on the box at an action of 1, N.
FORCE = 20.0


class Force(ActionTerm):
    """Pushes a box along x and y."""

    def __init__(self, box: Box) -> None:
        super().__init__(box.world, 2)
        self._box = box

    def apply(self) -> None:
        world = self._box.world
        force = torch.nn.functional.pad(FORCE * self.action, (0, 1))
        genesis_api.push_link(self._box.entity, 0, world.padded(force))


@dataclass(kw_only=True, eq=False)
class Slide(Task):
    """Push a box over a line on the ground. It may not leave the ground's middle, nor be pushed backwards.

    Attributes:
        line: Where success is, metres.
        sides: Beyond which it has left, metres.
    """

    physics = Physics(contacts=SOFT)
    episode_seconds = 0.4  # 20 steps
    reward_weights = {"effort": -0.1, "unused": 0.0}  # noqa: RUF012

    line: float = 0.05
    sides: float = 0.05

    def build(self, world: World) -> None:
        world.add(Ground())
        self.box = world.add(Box((0.1, 0.1, 0.1)), name="box")
        self.force = self.add_action(Force(self.box))
        self.moment: torch.Tensor = world.zeros(2)

    def reset(self, envs: torch.Tensor, rng: Any) -> None:
        place = torch.nn.functional.pad(rng.uniform("box", -0.01, 0.01, 2), (0, 1), value=0.05)
        self.box.place(envs, place)

    def update(self, rng: Any) -> None:
        self.moment = rng.uniform("moment", 0.0, 1.0, 2)

    def observe(self) -> dict[str, Any]:
        return {"policy": {"position": self.box.position, "velocity": self.box.linear_velocity}}

    def evaluate(self) -> Evaluation:
        x, y, _ = self.box.position.unbind(-1)
        return Evaluation(
            terminated={"success": x > self.line, "backwards": x < -self.line},
            truncated={"left": y.abs() > self.sides},
            metrics={"x": x, "y": y},
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        return {
            "progress": evaluation.metrics["x"],
            "effort": self.actions.action.square().sum(-1),
            "success": evaluation.terminated["success"],
            "unused": evaluation.metrics["y"],
        }


@dataclass(kw_only=True, eq=False)
class Looking(Slide):
    """The same, seen by a camera of 8 × 8 pixels, and by a critic that sees more."""

    noise = {"velocity": 0.1}  # noqa: RUF012

    def observe(self) -> dict[str, Any]:
        parts = {"position": self.box.position, "velocity": self.box.linear_velocity}
        pixels = torch.zeros(self.world.num_envs, 8, 8, 3, dtype=torch.uint8, device=self.world.device)
        column = ((self.box.position[:, 0] + 0.2) * 20).long().clamp(0, 7)
        pixels[torch.arange(self.world.num_envs), :, column] = 255
        depth = self.box.position[:, 2, None, None].expand(-1, 4, 4)
        return {"policy": parts, "critic": {**parts, "force": self.force.action}, "image": pixels, "depth": depth}
