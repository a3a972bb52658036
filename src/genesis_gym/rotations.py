"""Rotations as unit quaternions w, x, y, z, batched: every argument and result is `(..., 4)` or `(..., 3)`."""

from __future__ import annotations

import torch


def multiply(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The rotation `second` followed by `first`: first ⊗ second."""
    w1, v1 = first[..., :1], first[..., 1:]
    w2, v2 = second[..., :1], second[..., 1:]
    w = w1 * w2 - (v1 * v2).sum(-1, keepdim=True)
    v = w1 * v2 + w2 * v1 + torch.linalg.cross(v1, v2)
    return torch.cat([w, v], dim=-1)


def inverse(rotation: torch.Tensor) -> torch.Tensor:
    """The rotation back."""
    return torch.cat([rotation[..., :1], -rotation[..., 1:]], dim=-1)


def rotate(rotation: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """A vector, turned: v + 2 w (u × v) + 2 u × (u × v) for q = (w, u)."""
    w, u = rotation[..., :1], rotation[..., 1:]
    vector = vector.expand_as(u)
    t = 2.0 * torch.linalg.cross(u, vector)
    turned: torch.Tensor = vector + w * t + torch.linalg.cross(u, t)
    return turned


def from_vector(vector: torch.Tensor) -> torch.Tensor:
    """The rotation about a vector by its length in rad."""
    half = 0.5 * torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    # sin(h) / (2 h), where torch.sinc has a factor of π in its argument.
    return torch.cat([torch.cos(half), 0.5 * torch.sinc(half / torch.pi) * vector], dim=-1)


def to_vector(rotation: torch.Tensor) -> torch.Tensor:
    """The axis of a rotation, its length being the angle in rad, 0 to π."""
    rotation = torch.where(rotation[..., :1] < 0, -rotation, rotation)
    w, v = rotation[..., :1], rotation[..., 1:]
    sine = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    angle = 2.0 * torch.atan2(sine, w)
    return v * torch.where(sine > 1e-6, angle / sine.clamp(min=1e-6), 2.0)


def angle_between(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The angle of the rotation from one to the other, rad, 0 to π."""
    angle: torch.Tensor = torch.linalg.vector_norm(to_vector(multiply(first, inverse(second))), dim=-1)
    return angle
