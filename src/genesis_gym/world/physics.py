"""How a scene is solved, and from where it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from genesis_gym.errors import ArgumentError, check_positive_int, is_number, safe_repr


@dataclass(frozen=True, kw_only=True)
class ContactModel:
    """How contacts are solved.

    Attributes:
        elliptic: Exact friction cones, in which what is held does not creep, instead of pyramids. A scene whose
            contacts move costs up to three times as much with them.
        impedance: Constraint impedance of all contacts, 0 to 1; None for Genesis's own, 0.9 to 0.95. With 0.99
            fingers that hold a cube with 20 N sink in by 0.6 mm instead of 1.6 mm (docs/manipulation.md).
    """

    elliptic: bool
    impedance: float | None = None


#: Genesis's defaults: quick, and enough for feet and for what touches nothing.
SOFT = ContactModel(elliptic=False)
#: For what is grasped and pushed: it neither creeps, jitters nor sinks in. Costs a fifth of the speed of an arm.
STIFF = ContactModel(elliptic=True, impedance=0.99)


@dataclass(frozen=True)
class Viewpoint:
    """From where a scene is drawn; the default frames an arm.

    Attributes:
        position: Of the camera, world frame, metres.
        target: What it looks at, world frame, metres.
    """

    position: tuple[float, float, float] = (1.4, -1.35, 1.05)
    target: tuple[float, float, float] = (0.34, 0.0, 0.37)


@dataclass(frozen=True, kw_only=True)
class Physics:
    """Rate and options of the rigid solver.

    Attributes:
        dt: Seconds of a physics step.
        substeps: Solver steps in a physics step; actions are applied once for all of them.
        self_collision: Whether links of one robot collide with each other.
        contacts: `SOFT`, `STIFF`, or a model of your own.
        per_env: Let environments differ in gains, damping and masses. Genesis solves such scenes by other code,
            whose results differ in the last bits. Randomised properties that need it set it by themselves.
    """

    dt: float = 0.01
    substeps: int = 1
    self_collision: bool = False
    contacts: ContactModel = STIFF
    per_env: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be, as `ArgumentError`."""
        if not is_number(self.dt) or not self.dt > 0:
            raise ArgumentError(f"dt={safe_repr(self.dt)} is not allowed; it must be a number above 0, in seconds")
        check_positive_int("substeps", self.substeps)
        if not isinstance(self.contacts, ContactModel):
            raise ArgumentError(f"contacts={safe_repr(self.contacts)} is not allowed; it must be SOFT or STIFF")
