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
"""Which networks lie in a checkpoint that others released, and their state dicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from .inert_pickle import Inert, load_inert

__all__ = ["ReleasedFile", "open_released", "read_released"]

_NETWORKS = ("teacher", "student")
_SINGLE = ("model", "state_dict", "network", "net")
_WRAPPERS = ("module.", "_orig_mod.")


@dataclass(frozen=True)
class ReleasedFile:
    """A checkpoint by its networks. The tensors are memory-mapped: copy what shall outlive the file.

    Attributes:
        path: the file.
        networks: state dict by network: ``teacher``, ``student``, or ``model`` where there is only one without such a
            name. Keys are without ``module.``.
        losses: further groups of tensors, such as ``dino_loss`` with its centre.
        epoch: the epoch that is noted in the file, None where there is none.
        arguments: the plain values among the arguments of its training.
        entries: names of all that lies at the top level; empty for a bare state dict.
    """

    path: Path
    networks: dict[str, dict[str, Tensor]]
    losses: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    epoch: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    entries: tuple[str, ...] = ()

    def network(self, name: str | None = None) -> tuple[str, dict[str, Tensor]]:
        """Name and state dict of a network.

        Args:
            name: ``"teacher"``, ``"student"`` or ``"model"``; None takes the teacher where there is one, else the
                student, else the only one. Evaluations of the Lamps family use the teacher.

        Raises:
            ValueError: when the file lacks it.
        """
        if name is None:
            return next(iter(self.networks.items()))
        if name not in self.networks:
            raise ValueError(
                f"'{self.path}' holds no network '{name}' but {list(self.networks)}; take one of these, or leave the "
                "network out."
            )
        return name, self.networks[name]


def open_released(path: str | Path) -> ReleasedFile:
    """Find the networks in a checkpoint.

    Understood are a bare state dict, one under ``model`` or ``state_dict``, and ``teacher`` and ``student``, as entries
    or as prefixes of the keys; with or without ``module.``; together with anything else (optimizer, arguments).

    Args:
        path: the file.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when it is not a checkpoint, not safe to read, or holds no state dict.
    """
    path = Path(path)
    content = load_inert(path)
    if not isinstance(content, Mapping):
        raise ValueError(f"'{path}' holds a {type(content).__name__}, expected a dictionary with a state dict.")
    groups = {name: group for name in content if (group := _tensors(content[name]))}
    found = {name: groups[name] for name in _NETWORKS if name in groups}
    for group in ([groups[name] for name in _SINGLE if name in groups] + [_tensors(content)]) if not found else []:
        found = found or _by_prefix(group)
    if not found:
        raise ValueError(
            f"unknown layout in '{path}': no state dict among its entries {[str(name) for name in content][:10]}; "
            f"expected one of {[*_NETWORKS, *_SINGLE]}, or a bare state dict."
        )
    epoch, arguments = content.get("epoch"), content.get("args")
    bare = any(isinstance(value, Tensor) for value in content.values())
    return ReleasedFile(
        path,
        networks=found,
        losses={name: group for name, group in groups.items() if name.endswith("_loss")},
        epoch=epoch if isinstance(epoch, int) else None,
        arguments=arguments.values if isinstance(arguments, Inert) else {},
        entries=() if bare else tuple(str(name) for name in content),
    )


def read_released(path: str | Path, network: str | None = None) -> dict[str, Tensor]:
    """State dict of one network of a released checkpoint, keys without ``module.``. Nothing but tensors is unpickled.

    Args:
        path: the file; see :func:`open_released`.
        network: ``"teacher"`` or ``"student"``; None takes the teacher where there is one.

    Returns:
        tensors by key, memory-mapped where the format allows.

    Raises:
        FileNotFoundError: when there is no file.
        ValueError: when it is not a checkpoint, not safe to read, holds no state dict, or lacks the network.
    """
    return open_released(path).network(network)[1]


def _tensors(group: Any) -> dict[str, Tensor]:
    """The tensors of a dictionary by key without the wrappers' prefixes; nothing of anything else."""
    if not isinstance(group, Mapping):
        return {}
    return {_bare(key): value for key, value in group.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _bare(key: str) -> str:
    while key.startswith(_WRAPPERS):
        key = key.split(".", 1)[1]
    return key


def _by_prefix(group: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Split a state dict whose keys begin with ``teacher.`` and ``student.``; otherwise it is one ``model``."""
    split = {
        name: {_bare(key[len(name) + 1 :]): value for key, value in group.items() if key.startswith(f"{name}.")}
        for name in _NETWORKS
    }
    split = {name: state for name, state in split.items() if state}
    return split or ({"model": group} if group else {})
