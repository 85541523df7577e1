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

from dataclasses import replace

import pytest
from torch import Tensor

from monai_lamps.engines.anatomy import Case, Examination, NotJudgedError, Subject, light_probes


def test_all_but_locality_need_images_alone(pixels: Examination) -> None:
    bare = [replace(case, points={}, masks={}) for case in pixels.cases]
    *general, locality = light_probes(16)
    for probe in general:
        assert probe(Examination(pixels.subject, bare, pixels.image_size)).samples is not None
    with pytest.raises(NotJudgedError, match="needs two landmarks in two patients, got 0 landmarks"):
        locality(Examination(pixels.subject, bare, pixels.image_size))
    assert locality(pixels).samples is not None


def test_the_encoder_sees_as_many_images_and_patches_as_promised(pixels: Examination) -> None:
    seen: list[int] = []

    def noting(images: Tensor) -> Tensor:
        seen.extend([images.shape[-1]] * len(images))
        return pixels.subject.network(images)

    cases: list[Case] = [replace(pixels.cases[0], patient=number) for number in range(16)]
    examination = Examination(Subject("noting", noting), cases, pixels.image_size)
    for probe in light_probes(16)[:3]:
        probe(examination)
    assert (seen.count(64), seen.count(16)) == (32, 256)
