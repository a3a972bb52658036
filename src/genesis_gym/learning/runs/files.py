"""Reading files that may come from a stranger: nothing in them runs, blocks, leads elsewhere or fills the memory.

A file must be regular and at most of a stated size. JSON, YAML, safetensors and torch's archives, read with
`weights_only=True`, are data: no reader here can be made to call anything. The caller checks the content.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml
from safetensors import SafetensorError, safe_open

from genesis_gym.errors import RunFolderError

if TYPE_CHECKING:
    import torch

#: Largest files that are read, bytes. Usual sizes: a config 1 kB, a plan 1 kB for each stage, an evaluation 25 kB,
#: a policy 0.1 to 5 MB, the pickle in a checkpoint 50 kB. YAML is read at some 100 kB/s.
MAX_JSON = 1_000_000
MAX_EVALUATION = 4_000_000
MAX_YAML = 200_000
MAX_LOG = 64_000_000
MAX_TENSOR_NAMES = 1_000_000
MAX_PICKLE = 4_000_000
MAX_POLICY = 512_000_000
MAX_CHECKPOINT = 8_000_000_000
MAX_DATABASE = 256_000_000


def check_folder(folder: Path) -> None:
    """Refuse a run folder that holds a link: it would be read, or worse, written through.

    Args:
        folder: A run folder, or one that does not exist. It may itself be reached by a link.

    Raises:
        RunFolderError: It is a file, or holds a link, a pipe or a device.
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
    """Refuse anything but a regular file of at most some size.

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
        Its content.

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
        Its content.

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
    """PyYAML's safe loader without aliases; it reads 1e-5 as a number, as YAML 1.2 does.

    A few lines of aliases of aliases expand to more than any memory holds.
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
        Its content.

    Raises:
        RunFolderError: It cannot be read, or is no such YAML.
    """
    try:
        return yaml.load(read_file(path, MAX_YAML).decode(), _Loader)  # a SafeLoader
    except RunFolderError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no such date, too long a number
        raise RunFolderError(f"{path} cannot be read: it is no YAML: {' '.join(str(error).split())}") from error


#: Errors that torch's reader raises of a damaged or hostile archive.
_TORCH_ERRORS = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)

#: Values that a state may hold beside tensors, dicts, lists and tuples.
_PLAIN = (str, int, float, bool, type(None))

#: Deepest nesting of a state, and most values in it.
MAX_DEPTH = 20
MAX_VALUES = 100_000


def read_state(path: Path, limit: int) -> Any:
    """Read a nested dict of tensors and plain values that `torch.save` wrote.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Returns:
        The state: dicts, lists, tuples, text, numbers, and dense tensors on the CPU that lie within the file.

    Raises:
        RunFolderError: It cannot be read, is no such file, or holds something else.
    """
    import torch

    check_file(path, limit)
    try:
        with path.open("rb") as file:
            _check_archive(path, file)
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
    except RunFolderError:
        raise
    except pickle.UnpicklingError as error:
        raise RunFolderError(f"{path} cannot be read: it holds more than tensors, text and numbers") from error
    except _TORCH_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        raise RunFolderError(f"{path} cannot be read: {reason.splitlines()[0][:200].strip()}") from error
    _check_values(path, state)
    return state


def _check_archive(path: Path, file: BinaryIO) -> None:
    """Refuse an archive that is compressed, that claims to hold more than it does, or whose pickle is large."""
    size = path.stat().st_size
    with zipfile.ZipFile(file) as archive:  # torch's older formats are not archives, and not read
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise RunFolderError(f"{path} cannot be read: it is compressed, as none of ours is")
    if sum(entry.file_size for entry in entries) > size or len(entries) > MAX_VALUES:
        raise RunFolderError(f"{path} cannot be read: it claims to hold more than it does")
    if any(entry.filename.endswith(".pkl") and entry.file_size > MAX_PICKLE for entry in entries):
        raise RunFolderError(f"{path} cannot be read: it describes more than {MAX_PICKLE / 1e6:g} MB of values")


def _check_values(path: Path, state: Any) -> None:
    """Refuse a state that is deep, endless or holds something else than dense tensors and plain values."""
    import torch

    count, pending = 0, [(state, 0)]
    while pending:
        value, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            raise RunFolderError(f"{path} cannot be read: it is nested too deeply, or holds too much")
        if type(value) is dict:
            if not all(type(key) in (str, int) for key in value):
                raise RunFolderError(f"{path} cannot be read: it has a key that is no name")
            pending += [(entry, depth + 1) for entry in value.values()]
        elif type(value) in (list, tuple):
            pending += [(entry, depth + 1) for entry in value]
        elif type(value) is torch.Tensor:
            if value.layout is not torch.strided or value.is_quantized or not value.is_contiguous():
                raise RunFolderError(f"{path} cannot be read: it holds a tensor that is not dense")
            if value.device.type != "cpu":  # such as meta: a size without content
                raise RunFolderError(f"{path} cannot be read: it holds a tensor without content")
        elif type(value) not in _PLAIN:
            raise RunFolderError(f"{path} cannot be read: it holds a {type(value).__name__}")


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
