"""Domain randomisation, applied: draws each row's physics at its reset and keeps it until the next."""

from __future__ import annotations

import math

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.variation.randomization import STANDARD_GRAVITY, Randomization

#: Term → the property of each joint that it scales.
JOINT_TERMS = {"kp_scale": "kp", "kv_scale": "kv", "damping_scale": "damping"}

#: Terms that a scene can hold for each row only if it was made with `varied_physics`.
SCENE_TERMS = {*JOINT_TERMS, "mass_scale", "payload"}


class RandomizedPhysics:
    """The physics of every row.

    Attributes:
        values: Name of a term → what its rows drew, float `(rows,)` or `(rows, k)`; what `info` shows.
    """

    def __init__(
        self, randomization: Randomization, robot: Robot, simulation: Simulation, action_dim: int
    ) -> None:
        """Begin with the physics of the files.

        Args:
            randomization: What varies.
            robot: The robot.
            simulation: Owner of the built scene, made with `varied_physics`.
            action_dim: Numbers in one row's action.
        """
        self.values: dict[str, torch.Tensor] = {}
        self._ranges = randomization.active
        self._robot = robot
        self._simulation = simulation
        self._joint_values = {
            name: robot.joint_property(joint_property)
            for name, joint_property in JOINT_TERMS.items()
            if name in self._ranges
        }
        self._masses, self._inertias = robot.link_inertia()
        delays = 1 + int(self._ranges.get("action_latency", (0, 0))[1])
        self._late_actions = torch.zeros(delays, simulation.num_rows, action_dim, device=simulation.device)
        self._row_numbers = torch.arange(simulation.num_rows, device=simulation.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw the physics of some rows and set it.

        Args:
            rows: bool mask `(rows,)`.
            random: Source of every random number.
        """
        for name, value in self._draw(random).items():
            mask = rows if value.ndim == 1 else rows[:, None]
            self.values[name] = torch.where(mask, value, self.values.get(name, value))
        self._late_actions = torch.where(rows[:, None], 0.0, self._late_actions)
        self._apply(rows)

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps; what was set in the simulator is in the simulator's own state."""
        return {**{f"values/{name}": v for name, v in self.values.items()}, "late_actions": self._late_actions}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave.

        Args:
            state: The tensors, of as many rows as this.
        """
        self._late_actions = state["late_actions"]
        self.values = {name: state[f"values/{name}"] for name in self.values}
        if "action_latency" in self.values:  # it indexes, and the state may come from a stranger
            latest = float(len(self._late_actions) - 1)
            self.values["action_latency"] = self.values["action_latency"].nan_to_num().clamp(0.0, latest)

    def before_physics_step(self) -> None:
        """Push what is to be pushed during the next physics step."""
        if "wind" in self.values:
            self._robot.push_end_effector(self.values["wind"])

    def delay(self, action: torch.Tensor) -> torch.Tensor:
        """Hold actions back.

        Args:
            action: The policy's, `(rows, action_dim)`.

        Returns:
            The action that arrives now in each row.
        """
        if "action_latency" not in self.values:
            return action
        self._late_actions = torch.cat([action[None], self._late_actions[:-1]])
        return self._late_actions[self.values["action_latency"].long(), self._row_numbers]

    def add_noise(self, observation: torch.Tensor, step: torch.Tensor, random: RowRandom) -> torch.Tensor:
        """Blur what the policy sees.

        Args:
            observation: `(rows, observation_dim)`.
            step: Control step within the episode, int64 `(rows,)`.
            random: Source of every random number.

        Returns:
            The noisy observation.
        """
        if "observation_noise" not in self.values:
            return observation
        noise = random.normal("observation_noise", observation.shape[-1], step)
        return observation + self.values["observation_noise"][:, None] * noise

    def _draw(self, random: RowRandom) -> dict[str, torch.Tensor]:
        drawn: dict[str, torch.Tensor] = {}
        if "gravity" in self._ranges or "gravity_tilt" in self._ranges:
            drawn["gravity"] = self._draw_gravity(random)
        if "wind" in self._ranges:
            heading = _horizontal(self._draw_angle(random, "wind_heading"))
            drawn["wind"] = self._draw_one(random, "wind")[:, None] * heading
        for name, nominal in self._joint_values.items():
            drawn[name] = self._draw_many(random, name, nominal.numel())
        if "mass_scale" in self._ranges:
            drawn["mass_scale"] = self._draw_many(random, "mass_scale", self._masses.numel())
        for name in ("friction_scale", "payload", "observation_noise"):
            if name in self._ranges:
                drawn[name] = self._draw_one(random, name)
        if "action_latency" in self._ranges:
            low, high = self._ranges["action_latency"]
            unit = self._uniform(random, "action_latency", 0.0, 1.0, 1)[:, 0]
            drawn["action_latency"] = (low + unit * (high - low + 1)).floor().clamp(max=high)
        return drawn

    def _draw_gravity(self, random: RowRandom) -> torch.Tensor:
        """Gravity, world frame, m/s² `(rows, 3)`: down, tilted by an angle towards a uniform heading."""
        magnitude = self._draw_one(random, "gravity", (STANDARD_GRAVITY, STANDARD_GRAVITY))[:, None]
        tilt = self._draw_one(random, "gravity_tilt", (0.0, 0.0))[:, None]
        heading = _horizontal(self._draw_angle(random, "gravity_heading"))
        down = torch.tensor([0.0, 0.0, -1.0], device=heading.device)
        return magnitude * (torch.cos(tilt) * down + torch.sin(tilt) * heading)

    def _draw_angle(self, random: RowRandom, name: str) -> torch.Tensor:
        return self._uniform(random, name, 0.0, 2.0 * math.pi, 1)[:, 0]

    def _draw_one(self, random: RowRandom, name: str, default: tuple[float, float] | None = None) -> torch.Tensor:
        low, high = self._ranges[name] if default is None else self._ranges.get(name, default)
        return self._uniform(random, name, low, high, 1)[:, 0]

    def _draw_many(self, random: RowRandom, name: str, count: int) -> torch.Tensor:
        return self._uniform(random, name, *self._ranges[name], count)

    def _uniform(self, random: RowRandom, name: str, low: float, high: float, count: int) -> torch.Tensor:
        bounds = torch.tensor([low, high], device=self._simulation.device)
        return random.uniform(name, bounds[0].expand(count), bounds[1].expand(count))

    def _apply(self, rows: torch.Tensor) -> None:
        values, robot = self.values, self._robot
        if "gravity" in values:
            self._simulation.set_gravity(values["gravity"])
        if "friction_scale" in values:
            self._simulation.set_friction_ratio(values["friction_scale"])
        for name, nominal in self._joint_values.items():
            robot.set_joint_property(JOINT_TERMS[name], values[name] * nominal)
        if "mass_scale" in values or "payload" in values:
            one = torch.ones(self._simulation.num_rows, 1, device=self._simulation.device)
            scale = values.get("mass_scale", one)
            inertias = scale[:, :, None, None] * self._inertias
            robot.set_link_inertia(scale * self._masses, inertias, rows, values.get("payload"))


def _horizontal(heading: torch.Tensor) -> torch.Tensor:
    """Unit vectors in the world's horizontal plane, `(rows, 3)`."""
    return torch.stack([torch.cos(heading), torch.sin(heading), torch.zeros_like(heading)], dim=-1)
