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
from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["identity_differences", "plain_identity", "stored_bytes"]

_PRIMITIVES = (type(None), bool, int, float, complex, str, bytes, torch.Size, torch.dtype, torch.device)


def plain_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The identity as JSON gives it back (tuples become lists), so that it can be compared with one that was read.

    Raises:
        TypeError: when it holds anything but JSON primitives.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(identity)))
    except TypeError as error:
        raise TypeError(
            f"the identity of a run must hold numbers, strings, lists and dictionaries, got {identity!r} ({error})."
        ) from error
    return plain


def identity_differences(expected: Mapping[str, Any], got: Mapping[str, Any]) -> list[str]:
    """Where two identities differ, one line each: ``encoder.name: expected 'resnet18', got 'swin_tiny'``."""
    left, right = _flat(expected), _flat(got)
    names = [*left, *(name for name in right if name not in left)]
    absent = object()
    return [
        f"{name}: expected {left.get(name, 'nothing')!r}, got {right.get(name, 'nothing')!r}"
        for name in names
        if left.get(name, absent) != right.get(name, absent)
    ]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat.update(_flat(item, f"{prefix}{key}.") if isinstance(item, Mapping) else {f"{prefix}{key}": item})
    return flat


def stored_bytes(contents: Any) -> int:
    """Bytes of the tensor storages in nested dictionaries and lists, each storage once.

    Raises:
        TypeError: naming the first thing that is neither a tensor nor a primitive, which torch would not load again
            with ``weights_only=True``.
    """
    storages: dict[int, int] = {}
    _walk(contents, "checkpoint", storages)
    return sum(storages.values())


def _walk(value: Any, where: str, storages: dict[int, int]) -> None:
    kind = type(value)
    if kind in (dict, OrderedDict):
        for key, item in value.items():
            _walk(key, f"{where} key", storages)
            _walk(item, f"{where}[{key!r}]", storages)
    elif kind in (list, tuple, set):
        for position, item in enumerate(value):
            _walk(item, f"{where}[{position}]", storages)
    elif kind in (Tensor, nn.Parameter):
        storage = value.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    elif kind not in _PRIMITIVES:
        raise TypeError(
            f"{where} is a {kind.__module__}.{kind.__qualname__}; a checkpoint holds tensors and primitives only: "
            "let its state_dict() give a tensor, a number, a string, or a list or dictionary of them."
        )
