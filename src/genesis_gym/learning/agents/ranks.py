"""Several processes that train together, as torchrun starts them: ranks, each with its share of the environments.

A process that torchrun did not start is rank 0 of 1, and nothing here costs it anything.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from genesis_gym.errors import ArgumentError

if TYPE_CHECKING:
    import torch


def rank() -> int:
    """The rank of this process; rank 0 writes files and logs."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """The number of ranks, over all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def take_own_gpu() -> None:
    """Let a process that torchrun started see one GPU only, that of its local rank.

    It must come before CUDA is initialised, which looks at `CUDA_VISIBLE_DEVICES` once. torch could be told its
    GPU later, but Genesis's own example of several GPUs goes by this variable.

    Raises:
        ArgumentError: There are GPUs, but fewer than local ranks.
    """
    local = os.environ.get("LOCAL_RANK")
    if local is None:
        return
    import torch

    count = torch.cuda.device_count()  # asks the driver, without initialising CUDA
    if not count:
        return
    if int(local) >= count:
        raise ArgumentError(
            f"--nproc-per-node is too large: local rank {local} has no GPU of its own, there are {count}; "
            "--device cpu needs none"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[int(local)]


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the other ranks: gloo carries what lies on the CPU, NCCL what lies on a GPU.

    Args:
        device: Where the tensors of this rank live.
    """
    if world_size() == 1:
        yield
        return
    from torch import distributed

    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    yield
    distributed.destroy_process_group()  # after an error the process ends, and another rank may be gone already


def any_rank(*flags: bool) -> list[bool]:
    """For each flag, whether it is set on any rank."""
    if world_size() == 1:
        return list(flags)
    import torch
    from torch import distributed

    tensor = torch.tensor(flags, dtype=torch.uint8)
    distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return [bool(flag) for flag in tensor]


def of_first_rank(*numbers: float) -> tuple[float, ...]:
    """The numbers that rank 0 gives, on every rank."""
    if world_size() == 1:
        return numbers
    import torch
    from torch import distributed

    tensor = torch.tensor(numbers, dtype=torch.float64)
    distributed.broadcast(tensor, src=0)
    return tuple(tensor.tolist())


def gather(state: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """Bring the nested state of every rank to rank 0.

    Args:
        state: Dicts of tensors on the CPU and plain values; ranks may differ.

    Returns:
        On rank 0 those of each rank, in order; on another rank nothing.
    """
    if world_size() == 1:
        return [state]
    import torch
    from torch import distributed

    buffer = io.BytesIO()
    torch.save(state, buffer)
    own = torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)
    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(world_size())]
    distributed.all_gather(sizes, torch.tensor([own.numel()]))
    longest = max(int(size) for size in sizes)
    padded = torch.cat([own, own.new_zeros(longest - own.numel())])
    parts = [torch.empty_like(padded) for _ in sizes] if rank() == 0 else None
    distributed.gather(padded, parts)
    return [
        torch.load(io.BytesIO(part[: int(size)].numpy().tobytes()), weights_only=True)
        for part, size in zip(parts or (), sizes, strict=False)
    ]
