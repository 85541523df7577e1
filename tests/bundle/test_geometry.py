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
from monai.data import MetaTensor
from monai.transforms import Resize

from monai_lamps.bundle import original_size, pixel_spacing

META = {"height": 40, "width": 20, "spacing": [0.2, 0.4]}


def test_size_and_spacing_of_the_file_survive_a_resize() -> None:
    image = MetaTensor(torch.rand(1, 40, 20), meta=META)
    small = Resize((10, 10), mode="area")(image)
    assert original_size(small).tolist() == [40, 20]
    torch.testing.assert_close(pixel_spacing(image), torch.tensor([0.2, 0.4]))
    torch.testing.assert_close(pixel_spacing(small), torch.tensor([0.8, 0.8]))


def test_what_the_file_does_not_tell_is_nan() -> None:
    assert pixel_spacing(torch.zeros(1, 4, 4)).isnan().all()
    assert original_size(torch.zeros(1, 4, 6)).tolist() == [4, 6]
