"""The path to a place beside or about a cube: over it, and down."""

from __future__ import annotations

import torch

#: Off to the side of the place the path leads this high above it, and down in a funnel of this slope, metres per
#: metre.
CLEARANCE = 0.08
SLOPE = 4.0


def through_funnel(
    displacement: torch.Tensor, radius: float, *, slope: float = SLOPE, clearance: float = CLEARANCE
) -> torch.Tensor:
    """Raise a displacement so that it comes from above, instead of through what lies on the ground.

    Args:
        displacement: From the tool to the place, world frame, metres `(num_envs, 3)`.
        radius: How far to the side the tool may be when it goes down, metres.
        slope: Of the funnel, metres per metre. With a steep slope, moving inwards without descending raises the
            cost.
        clearance: Height of its rim above the place, metres.

    Returns:
        World frame, metres `(num_envs, 3)`.
    """
    lateral = torch.linalg.vector_norm(displacement[:, :2], dim=-1)
    above = (slope * (lateral - radius)).clamp(0.0, clearance)
    return torch.cat([displacement[:, :2], (displacement[:, 2] + above)[:, None]], dim=-1)
