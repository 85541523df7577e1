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

import torch
from torch import Tensor

from monai_lamps.methods.radlas import radlas_views


def _augment(x: Tensor, key: Tensor) -> Tensor:
    return x + key.view(-1, 1, 1, 1)


def _batch() -> dict[str, Tensor]:
    lesion = torch.zeros(2, 1, 8, 8)
    lesion[0, 0, 3, 4] = 0.01
    healthy = torch.zeros(2, 1, 8, 8)
    return {"image": healthy + 0.5, "healthy": healthy, "lesion": lesion, "seed": torch.tensor([1, 2])}


def test_both_images_of_a_pair_have_one_key_and_each_view_another() -> None:
    views = radlas_views(_batch(), 4, _augment, lambda x: 10 * x)
    keys = torch.tensor([64.0, 128.0])
    assert torch.equal(views.key, keys.long())
    for seen, offset in ((views.lesioned, 0.5), (views.healthy, 0.0)):
        assert torch.equal(seen[:, 0, 0, 0], 10 * (keys + offset))
    for seen, offset in ((views.other_lesioned, 0.5), (views.other_healthy, 0.0)):
        assert torch.equal(seen[:, 0, 0, 0], 10 * (keys + 1 + offset))


def test_a_cell_has_a_lesion_when_the_mask_touches_it() -> None:
    views = radlas_views(_batch(), 4, _augment, lambda x: x)
    assert views.lesion_cells.tolist() == [[False, True, False, False], [False] * 4]
    assert views.has_lesion.tolist() == [True, False]
    assert views.mask.dtype == torch.float32
