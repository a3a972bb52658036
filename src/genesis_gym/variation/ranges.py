"""What may be randomised, and between which bounds: checked before anything heavy is imported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from genesis_gym.errors import ArgumentError, check_choice, is_number, safe_repr

#: Name of a property → least and greatest value drawn for every environment at each of its resets.
Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Bounds:
    """What may be drawn for a property.

    Attributes:
        low: Least value.
        high: Greatest value.
        integer: Whether it is a whole number.
        per_env: Whether Genesis must solve the scene with gains and masses of each environment.
    """

    low: float = 0.0
    high: float = math.inf
    integer: bool = False
    per_env: bool = False


#: The properties of the package's own components: a scale is a factor, 1 for none.
PROPERTIES = {
    "gravity": Bounds(),  # m/s²
    "gravity_tilt": Bounds(high=math.pi),  # rad from the vertical, towards a uniform heading
    "friction_scale": Bounds(low=0.01, high=5.0),  # of every contact
    "wind": Bounds(),  # N, a constant horizontal force on the tool's link or the base, its heading uniform
    "kp_scale": Bounds(low=1e-6, per_env=True),  # one for each joint
    "kv_scale": Bounds(low=1e-6, per_env=True),  # one for each joint
    "damping_scale": Bounds(per_env=True),  # one for each joint
    "armature_scale": Bounds(low=1e-6, per_env=True),  # one for each joint
    "joint_offset": Bounds(low=-math.pi),  # rad from the default pose at reset, one for each joint
    "mass_scale": Bounds(low=1e-6, per_env=True),  # of mass and inertia, one for each moving link
    "payload": Bounds(per_env=True),  # kg at the centre of mass of the tool's link or the base
    "action_latency": Bounds(high=100.0, integer=True),  # control steps by which actions arrive late
}

#: Properties `noise.<part>`: standard deviation of the noise of a part of the observation, in the part's unit.
NOISE = "noise."


def check_ranges(given: object) -> Ranges:
    """Refuse what is no randomisation, before anything is built.

    Args:
        given: Name of a property, alone or after the name of its component, → (low, high). A name alone means all
            components that have the property.

    Returns:
        The same, as floats.

    Raises:
        ArgumentError: A name of the package's own is misspelt, or a range is none or out of bounds.
    """
    if not isinstance(given, Mapping):
        raise ArgumentError(f"randomization={safe_repr(given)} is not allowed; it must map names to (low, high)")
    ranges: Ranges = {}
    for name, bounds in given.items():
        if not isinstance(name, str) or "." not in name:
            check_choice("randomization", name, PROPERTIES)
        pair = tuple(bounds) if isinstance(bounds, (list, tuple)) else ()
        if len(pair) != 2 or not all(map(is_number, pair)):
            raise ArgumentError(
                f"randomization: {name}={safe_repr(bounds)} is not allowed; it must be two finite numbers"
            )
        low, high = map(float, pair)
        if low > high:
            raise ArgumentError(
                f"randomization: {name}={safe_repr(bounds)} is not allowed: the lower bound {low:g} is above the "
                f"upper bound {high:g}"
            )
        known = Bounds() if name.startswith(NOISE) else PROPERTIES.get(name.rpartition(".")[2])
        if known is not None and not known.low <= low <= high <= known.high:
            raise ArgumentError(
                f"randomization: {name}={safe_repr(bounds)} is not allowed; it must lie between {known.low:g} and "
                f"{known.high:g}"
            )
        if known is not None and known.integer and not (low.is_integer() and high.is_integer()):
            raise ArgumentError(
                f"randomization: {name}={safe_repr(bounds)} is not allowed; it must be two whole numbers"
            )
        ranges[name] = (low, high)
    return ranges


def needs_per_env_solver(ranges: Ranges) -> bool:
    """Whether Genesis must solve the scene with gains and masses of each environment."""
    names = (name.rpartition(".")[2] for name in ranges if not name.startswith(NOISE))
    return any(PROPERTIES.get(name, Bounds()).per_env for name in names)
