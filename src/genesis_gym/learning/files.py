"""Reading files that may come from a stranger: nothing in them runs, blocks, leads elsewhere or fills the memory.

What is read must be a regular file of at most a stated size. JSON, YAML and safetensors are data: no reader here
can be made to call anything. What the data may be is checked by whoever asks for it.
"""

from __future__ import annotations

import contextlib
import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from safetensors import SafetensorError, safe_open

from genesis_gym.errors import RunFolderError

if TYPE_CHECKING:
    import torch

#: Largest files that are read, bytes. Ours: a config 1 kB, a plan 1 kB for each stage, an evaluation 25 kB, a
#: policy 0.1 to 5 MB. YAML is read at some 100 kB/s.
MAX_JSON = 1_000_000
MAX_EVALUATION = 4_000_000
MAX_YAML = 200_000
MAX_LOG = 64_000_000
MAX_TENSOR_NAMES = 1_000_000
MAX_POLICY = 512_000_000
MAX_CHECKPOINT = 8_000_000_000
MAX_DATABASE = 256_000_000


def check_folder(folder: Path) -> None:
    """Refuse a run folder in which something leads out of it: a link would be read, or worse, written through.

    Args:
        folder: A run folder, or one that does not exist. It may itself be reached by a link.

    Raises:
        RunFolderError: It is a file, or holds what is neither a file nor a folder.
    """
    if folder.suffix in (".zip", ".pkl") and folder.is_file():
        raise RunFolderError(
            f"{folder} is not loaded: SB3's own archives are unpickled, which runs any code they hold. Give the "
            "run folder; or, if you trust who made the .zip, type evaluate or play with it and --trust"
        )
    if not folder.is_dir():
        if folder.exists():
            raise RunFolderError(f"{folder} is no run folder: it is no folder at all")
        return
    try:
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # a process that shares a study has just removed it
                mode = path.lstat().st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise RunFolderError(f"{path} is a link, a pipe or a device; a run folder may hold none")
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be read: {error.strerror}") from error


def check_file(path: Path, limit: int) -> None:
    """Refuse what is no regular file of at most some size.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Raises:
        RunFolderError: It is something else, too large, or not there.
    """
    try:
        state = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise RunFolderError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(state.st_mode):
        raise RunFolderError(f"{path} cannot be read: it is no regular file")
    if state.st_size > limit:
        raise RunFolderError(
            f"{path} cannot be read: it has {state.st_size / 1e6:.1f} MB, and at most {limit / 1e6:g} MB are read"
        )


def read_file(path: Path, limit: int) -> bytes:
    """Read a file.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Returns:
        What it holds.

    Raises:
        RunFolderError: It cannot be read, is no regular file, or is too large.
    """
    check_file(path, limit)
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > limit:  # a file of /proc tells no size
        raise RunFolderError(f"{path} cannot be read: at most {limit / 1e6:g} MB are read")
    return data


def read_json(path: Path, limit: int = MAX_JSON) -> Any:
    """Read a JSON file in UTF-8.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Returns:
        What it holds.

    Raises:
        RunFolderError: It cannot be read, or is no JSON.
    """
    try:
        return json.loads(read_file(path, limit).decode())
    except RunFolderError:
        raise
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also reads 1e-5 as the number that it is in YAML 1.2, and has no aliases.

    A few lines of aliases of aliases stand for more than any memory holds as soon as somebody walks through them.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read; write it out")
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> Any:
    """Read a YAML file in UTF-8: plain data, no tags that make objects, no aliases.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        RunFolderError: It cannot be read, or is no such YAML.
    """
    try:
        return yaml.load(read_file(path, MAX_YAML).decode(), _Loader)  # a SafeLoader
    except RunFolderError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no such date, too long a number
        raise RunFolderError(f"{path} cannot be read: it is no YAML: {' '.join(str(error).split())}") from error


def read_tensors(path: Path, limit: int) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Read a safetensors file; the library itself checks that each tensor lies within the file.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Returns:
        Its metadata, and name → tensor, on the CPU.

    Raises:
        RunFolderError: It cannot be read, or is no such file.
    """
    check_file(path, limit)
    try:
        with path.open("rb") as start:
            if int.from_bytes(start.read(8), "little") > MAX_TENSOR_NAMES:
                raise RunFolderError(f"{path} cannot be loaded: its header is no header, or too long")
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunFolderError(f"{path} cannot be loaded: {reason}") from error
