"""The way to a place beside or about a cube: over it, and down."""

from __future__ import annotations

import torch

#: Aside of the place the way leads this high above it, and down in a funnel of this slope, metres per metre.
CLEARANCE = 0.08
SLOPE = 4.0


def through_funnel(
    way: torch.Tensor, spout: float, *, slope: float = SLOPE, clearance: float = CLEARANCE
) -> torch.Tensor:
    """Raise a way so that it comes from above, instead of through what lies on the ground.

    Args:
        way: From the tool to the place, world frame, metres `(rows, 3)`.
        spout: How far aside the tool may be when it goes down, metres.
        slope: Of the funnel, metres per metre. In a steep one, who moves inwards without going down loses.
        clearance: Height of its rim above the place, metres.

    Returns:
        World frame, metres `(rows, 3)`.
    """
    aside = torch.linalg.vector_norm(way[:, :2], dim=-1)
    above = (slope * (aside - spout)).clamp(0.0, clearance)
    return torch.cat([way[:, :2], (way[:, 2] + above)[:, None]], dim=-1)
