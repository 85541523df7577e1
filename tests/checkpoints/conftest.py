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
"""Fixtures of synthetic checkpoints in the released layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from released_layouts import TINY, Shapes, State, drawn, lamps_checkpoint, released_shapes, swin_shapes


@pytest.fixture(scope="session")
def shapes() -> Callable[..., Shapes]:
    return released_shapes


@pytest.fixture
def network() -> Callable[..., State]:
    """``network(seed, **sizes)``: one Lamps network in the released layout."""
    return lambda seed=0, **sizes: drawn(released_shapes(**{**TINY, **sizes}), seed)  # type: ignore[arg-type]


@pytest.fixture
def swin() -> Callable[..., State]:
    """``swin(prefix, seed, **sizes)``: the encoder alone."""

    def make(prefix: str = "", seed: int = 0, **sizes: Any) -> State:
        kept = {key: TINY[key] for key in ("embed", "depths", "heads")}
        return drawn({f"{prefix}{key}": shape for key, shape in swin_shapes(**{**kept, **sizes}).items()}, seed)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(content, name, **options)``: a checkpoint of torch.save."""

    def save(content: Any, name: str = "released.pth", **options: Any) -> Path:
        torch.save(content, tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.fixture
def released(network: Callable[..., State], write: Callable[..., Path]) -> Path:
    """A whole released Lamps checkpoint: student under ``module.``, teacher, optimizer, arguments and all."""
    return write(lamps_checkpoint(network(1), network(2)))
