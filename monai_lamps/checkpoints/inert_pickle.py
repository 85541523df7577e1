# Copyright (c) monai_lamps contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Reading a checkpoint of others so that nothing in it but tensors and plain values ever becomes an object."""

from __future__ import annotations

import errno
import pickle
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

__all__ = ["Inert", "load_inert"]

_ZIP_START = b"PK\x03\x04"
_CUT_SHORT = ("failed finding central directory", "unexpected EOF", "Ran out of input", "unexpectedly reached end")
_RECORDS = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    *(f"pathlib.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
)


class Inert:
    """What stands for a record of training in a checkpoint, such as ``argparse.Namespace`` or a NumPy number.

    It is made instead of the named class, takes any arguments and does nothing.

    Attributes:
        values: the entries of a namespace that are numbers, strings, booleans, None or lists of these.
    """

    __slots__ = ("values",)

    def __new__(cls, *_: Any) -> Inert:
        inert = super().__new__(cls)
        inert.values = {}
        return inert

    def __init__(self, *_: Any) -> None:
        """Take and forget any arguments."""

    def __setstate__(self, state: Any) -> None:
        """Keep what is plain of the state of a namespace, nothing of any other state."""
        if isinstance(state, dict):
            self.values = {key: value for key, value in state.items() if isinstance(key, str) and _plain(value)}


def load_inert(path: str | Path) -> Any:
    """The content of a checkpoint: tensors, dictionaries, lists and plain values, and :class:`Inert` for other records.

    PyTorch's ``weights_only`` unpickler reads it. The records that training scripts leave in a checkpoint (their
    parsed arguments, NumPy numbers, paths) become :class:`Inert`, not the class that they name. Any other name is
    refused, and what the program has added to PyTorch's safe globals does not count. The tensors are memory-mapped
    where the format allows (every file since PyTorch 1.6), so of a large file only what is used is read.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: when there is none.
        PermissionError: when it may not be read.
        ValueError: when it is no checkpoint, is cut short, or names anything that could run code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at '{path}'.")
    with path.open("rb") as file:
        zipped = file.read(len(_ZIP_START)) == _ZIP_START
    try:
        with _only_inert_globals(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the protocol of what is then refused, and about TorchScript
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except PermissionError:
        raise
    except Exception as error:  # a damaged or hostile pickle can fail in any way
        raise ValueError(_explain(path, error)) from error


@contextmanager
def _only_inert_globals() -> Iterator[None]:
    """For one load: the known records map to :class:`Inert`, and no other global is added to PyTorch's own."""
    added = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([(Inert, name) for name in _RECORDS])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(added)


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _explain(path: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())
    named = re.search(r"GLOBAL ([\w.]+)", reason)
    if isinstance(error, pickle.UnpicklingError) and named:
        return (
            f"'{path}' was not loaded: it refers to '{named[1]}', which is no tensor and could run code when it is "
            "unpickled. If you trust where it comes from, load it with the code that wrote it and save its weights "
            "alone: torch.save(model.state_dict(), 'weights.pth')."
        )
    starved = isinstance(error, EOFError) or (isinstance(error, OSError) and error.errno == errno.EINVAL)
    if starved or any(part in reason for part in _CUT_SHORT):
        return f"'{path}' is cut short: its end is missing; copy or download it again."
    if "TorchScript" in reason:
        return f"'{path}' is a TorchScript archive, which is code; expected a checkpoint that holds a state dict."
    reason = reason if len(reason) <= 200 else f"{reason[:200]} ..."
    return (
        f"'{path}' is not a PyTorch checkpoint of tensors ({type(error).__name__}: {reason}); expected a file of "
        "torch.save; if it should be one, copy or download it again."
    )
