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

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from monai_lamps.transforms import resample_box
from monai_lamps.transforms.resample import as_image, check_mode


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [1, 8, 20, 61])
def test_a_2d_box_is_cropped_at_rounded_edges_and_resized_as_torch_does_with_antialiasing(mode: str, size: int) -> None:
    x = torch.rand(2, 20, 30, generator=torch.Generator().manual_seed(0))
    out = resample_box(x, ((1.6, 15.4), (3.2, 27.9)), size, mode)
    cut = x[:, 2:15, 3:28]
    expected = F.interpolate(cut[None], size=(size, size), mode=mode, antialias=True)[0].clamp(cut.min(), cut.max())
    assert torch.allclose(out, expected, atol=2e-6)
    assert out.is_contiguous()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_box_of_the_size_of_the_result_is_copied(mode: str) -> None:
    x = torch.rand(1, 9, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(resample_box(x, ((1, 8), (4, 11)), 7, mode), x[:, 1:8, 4:11], atol=1e-6)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_3d_equals_the_2d_kernels_applied_axis_by_axis(mode: str) -> None:
    x = torch.rand(2, 12, 9, 14, generator=torch.Generator().manual_seed(0))
    out = resample_box(x, ((0, 12), (0, 9), (0, 14)), 6, mode)
    expected = x
    for axis in (1, 2, 3):
        lines = expected.movedim(axis, -1)
        flat = lines.reshape(1, 1, -1, lines.shape[-1])
        flat = F.interpolate(flat, size=(flat.shape[2], 6), mode=mode, antialias=True)
        expected = flat.view(*lines.shape[:-1], 6).movedim(-1, axis)
    assert out.shape == (2, 6, 6, 6)
    assert torch.allclose(out, expected.clamp(x.min(), x.max()), atol=1e-5)


def test_bicubic_does_not_overshoot_the_range_of_the_cut() -> None:
    step = torch.zeros(1, 8, 8)
    step[..., 4:] = 1
    raw = F.interpolate(step[None], size=(32, 32), mode="bicubic", antialias=True)
    assert raw.max() > 1.01
    out = resample_box(step, ((0, 8), (0, 8)), 32, "bicubic")
    assert out.min() == 0
    assert out.max() == 1


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_nearest_invents_no_label(spatial_dims: int) -> None:
    labels = torch.randint(0, 2, (1, *[13] * spatial_dims), generator=torch.Generator().manual_seed(0)) * 7.0
    out = resample_box(labels, ((0, 13),) * spatial_dims, 9, "nearest-exact")
    assert set(out.unique().tolist()) == {0.0, 7.0}


def test_a_box_below_one_pixel_or_at_the_border_still_holds_a_pixel() -> None:
    x = torch.arange(16.0).view(1, 4, 4)
    out = resample_box(x, ((3.9, 4.0), (0.1, 0.2)), 2, "bilinear")
    assert torch.equal(out, torch.full((1, 2, 2), 12.0))


def test_images_become_plain_float32_whatever_they_come_as() -> None:
    for img in (np.zeros((1, 2, 3), np.uint8), torch.zeros(1, 2, 3, dtype=torch.float64)):
        out = as_image(img)
        assert type(out) is torch.Tensor
        assert out.dtype == torch.float32


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 1, 4, 4), (1, 0, 4)])
def test_other_shapes_than_one_channel_first_image_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="channel-first without batch"):
        as_image(torch.zeros(shape))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mode must be one of .*bicubic.*got 'area'"):
        check_mode("area")
