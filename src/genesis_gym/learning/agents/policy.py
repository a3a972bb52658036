"""Policies that only act, whichever library trained them, and their files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from genesis_gym.errors import RunFolderError
from genesis_gym.learning.runs.folder import write_whole

#: Group → `(num_envs, ...)`.
Observation = dict[str, torch.Tensor]

#: Observation → actions `(num_envs, action_dim)`.
Act = Callable[[Observation], torch.Tensor]


class Policy(nn.Module):
    """A deterministic policy: `policy(observation)` is an `Act`. Its tensors are all that acting needs."""

    @abstractmethod
    def forward(self, observation: Observation) -> torch.Tensor:
        """Act by the mean of the distribution, without gradients."""

    @abstractmethod
    def check_tensors(self) -> None:
        """Refuse values with which it cannot act.

        Raises:
            ValueError: A value is not allowed; it is named.
        """


def is_finite(module: nn.Module) -> bool:
    """Whether all parameters of a module are finite."""
    sums = [parameter.detach().abs().max() for parameter in module.parameters() if parameter.numel()]
    return not sums or bool(torch.isfinite(torch.stack(sums)).all())


def save_policy(policy: Policy, path: Path) -> None:
    """Write the tensors of a policy.

    Args:
        policy: The policy.
        path: The file to write, whole or not at all.
    """
    tensors = {name: value.detach().contiguous().cpu() for name, value in policy.state_dict().items()}
    write_whole(path, lambda file: safetensors.torch.save_file(tensors, file))


def load_tensors(policy: Policy, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Give a policy the tensors of a file.

    Args:
        policy: The policy.
        tensors: Name → tensor.
        path: The file, for errors.

    Raises:
        RunFolderError: Names, shapes or dtypes differ, or numbers are not finite; nothing is changed then.
    """
    expected = policy.state_dict()
    for name in expected.keys() ^ tensors.keys():
        raise RunFolderError(f"{path} cannot be loaded: {name} is {'missing' if name in expected else 'unknown'}")
    for name, tensor in tensors.items():
        own = expected[name]
        if (tensor.shape, tensor.dtype) != (own.shape, own.dtype):
            raise RunFolderError(
                f"{path} cannot be loaded: {name} is {tensor.dtype} {tuple(tensor.shape)}, "
                f"not {own.dtype} {tuple(own.shape)}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise RunFolderError(f"{path} cannot be loaded: {name} holds numbers that are not finite")
    policy.load_state_dict(tensors)
    try:
        policy.check_tensors()
    except ValueError as error:
        raise RunFolderError(f"{path} cannot be loaded: {error}") from error
