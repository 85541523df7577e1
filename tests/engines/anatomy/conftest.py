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

import pytest
import torch
from torch import Tensor

from monai_lamps.data.organs import OrganLabel
from monai_lamps.engines.anatomy import Case, Examination, Subject

SIDE = 64


@pytest.fixture
def cases() -> list[Case]:
    """Six patients, hands and knees, with the same landmarks and mask at the same places, each with its own texture."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[16:48, 16:48] = True
    points = {"apex": (0.25, 0.3), "base": (0.7, 0.6)}
    return [
        Case(
            f"{n}.png",
            n,
            torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(n)),
            points,
            {"organ": mask},
            OrganLabel("knee" if n % 2 else "hand"),
        )
        for n in range(6)
    ]


def constant_maps(images: Tensor) -> Tensor:
    """An encoder that answers the same to everything."""
    return torch.ones(len(images), 4, 8, 8)


def place_maps(images: Tensor) -> Tensor:
    """An encoder that knows the place in the image and nothing of its content: a bump a cell."""
    axis = torch.arange(8.0)
    bumps = torch.exp(-((axis[:, None] - axis) ** 2) / 2)
    joint = torch.einsum("ia,jb->abij", bumps, bumps).reshape(64, 8, 8)
    return joint.expand(len(images), -1, -1, -1)


def pixel_maps(images: Tensor) -> Tensor:
    """An encoder whose features are the pixels of a cell of 8."""
    return torch.nn.functional.pixel_unshuffle(images - 0.5, 8)


@pytest.fixture
def constant(cases: list[Case]) -> Examination:
    """The constant encoder on the cases."""
    return Examination(Subject("constant", constant_maps), cases, SIDE)


@pytest.fixture
def place(cases: list[Case]) -> Examination:
    """The encoder of places on the cases."""
    return Examination(Subject("place", place_maps), cases, SIDE)


@pytest.fixture
def pixels(cases: list[Case]) -> Examination:
    """The encoder of pixels on the cases."""
    return Examination(Subject("pixels", pixel_maps), cases, SIDE)
