"""Domain randomisation, declared: what varies from episode to episode, and how much."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

STANDARD_GRAVITY = 9.81


def _check_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound {bounds[0]:g} is above the upper bound {bounds[1]:g}")
    return bounds


NotNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Angle = Annotated[float, Field(ge=0.0, le=3.1416)]
Steps = Annotated[int, Field(ge=0, le=100)]
FrictionScale = Annotated[float, Field(ge=0.01, le=5.0)]

Range = Annotated[tuple[NotNegative, NotNegative], Strict(False), AfterValidator(_check_order)]
PositiveRange = Annotated[tuple[Positive, Positive], Strict(False), AfterValidator(_check_order)]
AngleRange = Annotated[tuple[Angle, Angle], Strict(False), AfterValidator(_check_order)]
StepRange = Annotated[tuple[Steps, Steps], Strict(False), AfterValidator(_check_order)]
FrictionRange = Annotated[tuple[FrictionScale, FrictionScale], Strict(False), AfterValidator(_check_order)]


class Randomization(BaseModel):
    """Ranges from which each row draws anew at each of its resets, uniformly and from its own seed.

    Each default is what the simulator does anyway, and a range that equals its default is left alone: the bits
    are then those of an environment without randomisation.

    Attributes:
        gravity: Magnitude, m/s².
        gravity_tilt: Angle between gravity and the vertical, rad; its heading is uniform.
        wind: Magnitude of a constant horizontal force on the end-effector's link, N; its heading is uniform.
        kp_scale: Factor on the position gain, one for each joint.
        kv_scale: Factor on the velocity gain, one for each joint.
        damping_scale: Factor on the passive damping, one for each joint.
        friction_scale: Factor on the friction coefficient of every contact in the row.
        mass_scale: Factor on mass and inertia, one for each moving link of the robot.
        payload: Point mass added at the centre of mass of the end-effector's link, kg.
        observation_noise: Standard deviation of Gaussian noise on each number of the observation, in the
            number's own unit; the noise is drawn anew at each step, its deviation at each reset.
        action_latency: Control steps by which actions arrive late; before the first arrives, the action is zero.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    gravity: Range = (STANDARD_GRAVITY, STANDARD_GRAVITY)
    gravity_tilt: AngleRange = (0.0, 0.0)
    wind: Range = (0.0, 0.0)
    kp_scale: PositiveRange = (1.0, 1.0)
    kv_scale: PositiveRange = (1.0, 1.0)
    damping_scale: Range = (1.0, 1.0)
    friction_scale: FrictionRange = (1.0, 1.0)
    mass_scale: PositiveRange = (1.0, 1.0)
    payload: Range = (0.0, 0.0)
    observation_noise: Range = (0.0, 0.0)
    action_latency: StepRange = (0, 0)

    @property
    def active(self) -> dict[str, tuple[float, float]]:
        """The ranges that differ from their defaults."""
        ranges = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: bounds for name, bounds in ranges.items() if bounds != type(self).model_fields[name].default}
