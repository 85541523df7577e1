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

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import PhotometricAugment, photometric
from monai_lamps.transforms.elastic import elastic_std, lattice_weights

NEVER: dict[str, Any] = {"brightness_prob": 0.0, "blur_prob": 0.0, "elastic_prob": 0.0}
ALWAYS: dict[str, Any] = {"brightness_prob": 1.0, "blur_prob": 1.0, "elastic_prob": 1.0}


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 2, 20, 24), (2, 1, 12, 14, 16)])
def test_with_probability_0_nothing_changes(shape: tuple[int, ...]) -> None:
    x = images(*shape)
    assert torch.equal(PhotometricAugment(16, **NEVER)(x, torch.arange(len(x))), x)


def test_a_sample_for_which_no_step_is_chosen_is_returned_bit_for_bit() -> None:
    x, keys = images(64, 1, 16, 16), torch.arange(64)
    augment = PhotometricAugment(16)
    params = augment.draw(keys, (16, 16))
    idle = (params["contrast"] == 1) & (params["taps"].amax(1) == 1) & ~params["elastic"]
    assert 2 <= int(idle.sum()) <= 20  # an eighth is expected
    out = augment(x, keys)
    assert torch.equal(out[idle], x[idle])
    assert all(not torch.equal(a, b) for a, b in zip(out[~idle], x[~idle], strict=True))


@settings(max_examples=10, deadline=None)
@given(keys=st.lists(st.integers(0, 2**63 - 1), min_size=3, max_size=3), stream=st.integers(0, 50))
def test_a_sample_is_augmented_alike_in_any_batch(keys: list[int], stream: int) -> None:
    x, key = images(3, 1, 24, 20), torch.tensor(keys)
    augment = PhotometricAugment(16, **ALWAYS)
    together = augment(x, key, stream)
    for i in range(3):
        assert torch.allclose(augment(x[i : i + 1], key[i : i + 1], stream)[0], together[i], atol=1e-5)


def test_drawn_parameters_are_applied_to_a_sample_bit_for_bit_alike_in_any_batch() -> None:
    x, key = images(12, 2, 40, 36), torch.arange(12)
    augment = PhotometricAugment(16)
    params = augment.draw(key, x.shape[2:])
    together = augment.apply_params(x, params)
    for i in range(12):
        alone = augment.apply_params(x[i : i + 1], {name: value[i : i + 1] for name, value in params.items()})
        assert torch.equal(alone[0], together[i])


@pytest.mark.parametrize("shape", [(10, 2, 24, 30), (10, 1, 14, 12, 16)])
def test_all_samples_at_once_with_masks_is_the_same_as_the_chosen_ones_alone(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, key = images(*shape), torch.arange(10)
    augment = PhotometricAugment(16)
    alone = augment(x, key)
    monkeypatch.setattr(photometric, "_chosen", lambda mask: [slice(None)])
    assert torch.allclose(augment(x, key), alone, atol=1e-6)


def test_only_the_samples_that_drew_a_step_are_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = photometric.warp

    def counted(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return original(x, grid)

    monkeypatch.setattr(photometric, "warp", counted)
    x, key = images(20, 1, 16, 16), torch.arange(20)
    augment = PhotometricAugment(16)
    augment(x, key)
    assert seen == [1] * int(augment.draw(key, (16, 16))["elastic"].sum())


def test_nothing_is_read_back_from_a_device_that_would_have_to_wait() -> None:
    x = torch.empty(3, 1, 24, 24, device="meta")  # holds no numbers, so reading one raises
    augment = PhotometricAugment(16, **ALWAYS)
    params = augment.draw(torch.arange(3, device="meta"), x.shape[2:])
    with pytest.raises(RuntimeError, match="meta"):
        params["elastic"].tolist()
    assert augment.apply_params(x, params).shape == x.shape


def test_the_batch_that_is_given_stays_as_it_was() -> None:
    x = images(8, 1, 24, 24)
    before = x.clone()
    PhotometricAugment(16, **ALWAYS)(x, torch.arange(8))
    assert torch.equal(x, before)


@pytest.mark.parametrize("shape", [(26, 33), (12, 15, 13)])
def test_the_elastic_step_samples_at_displaced_pixels_carried_by_the_affine_map(shape: tuple[int, ...]) -> None:
    n, cell = len(shape), 16
    augment = PhotometricAugment(cell, brightness_prob=0.0, blur_prob=0.0, elastic_prob=1.0)
    x, key = images(2, 1, *shape), torch.arange(2)
    params = augment.draw(key, shape)
    shift = params["noise"].double()
    for axis, weight in enumerate(lattice_weights(shape, 6 * cell / 32, shift)):
        shift = (shift.movedim(axis + 2, -1) @ weight.T).movedim(-1, axis + 2)
    pixel = torch.stack(torch.meshgrid(*[torch.arange(side) for side in shape], indexing="ij"), -1).double()
    point = pixel + shift.movedim(1, -1) * elastic_std(30, 6) * cell / 32
    corners = params["corners"].double()
    slope = (corners[:, :-1] - corners[:, 1:]) / (2 * min(shape) / 3)
    centre = (torch.tensor(shape) - 1) / 2
    moved = torch.einsum("b...k,bka->b...a", point - centre, slope)
    place = point + moved + ((corners[:, 0] + corners[:, n]) / 2).view(2, *[1] * n, n)
    grid = (place / centre - 1).flip(-1)
    expected = F.grid_sample(x.double(), grid, padding_mode="reflection", align_corners=True)
    assert torch.allclose(augment(x, key), expected.float(), atol=2e-5)


def test_other_keys_and_other_streams_augment_otherwise_and_the_same_ones_alike() -> None:
    x = images(1, 1, 24, 24)
    augment = PhotometricAugment(16, **ALWAYS)
    first = augment(x, torch.tensor([1]))
    assert torch.equal(first, augment(x, torch.tensor([1])))
    assert (first - augment(x, torch.tensor([2]))).abs().max() > 0.01
    assert (first - augment(x, torch.tensor([1]), stream=1)).abs().max() > 0.01


@pytest.mark.parametrize("shape", [(4, 2, 24, 30), (2, 1, 14, 12, 16)])
def test_the_result_keeps_its_shape_and_stays_in_range(shape: tuple[int, ...]) -> None:
    out = PhotometricAugment(32, **ALWAYS)(images(*shape), torch.arange(shape[0]))
    assert out.shape == shape
    assert out.dtype == torch.float32
    assert out.min() >= 0
    assert out.max() <= 1


def test_contrast_multiplies_about_zero_and_brightness_adds() -> None:
    augment = PhotometricAugment(32, brightness_prob=1.0, blur_prob=0.0, elastic_prob=0.0)
    keys = torch.arange(2000)
    params = augment.draw(keys, (8, 8))
    for name, centre in (("contrast", 1.0), ("brightness", 0.0)):
        value = params[name] - centre
        assert 0.19 < float(value.max()) <= 0.2
        assert -0.2 <= float(value.min()) < -0.19
        assert abs(float(value.mean())) < 0.01
    x = images(2000, 1, 4, 4)
    expected = x * params["contrast"].view(-1, 1, 1, 1) + params["brightness"].view(-1, 1, 1, 1)
    assert torch.equal(augment(x, keys), expected.clamp(0, 1))


def test_the_blur_is_a_separable_gaussian_of_3_5_or_7_px_at_cell_32() -> None:
    augment = PhotometricAugment(32, brightness_prob=0.0, blur_prob=1.0, elastic_prob=0.0)
    keys = torch.arange(300)
    taps = augment.draw(keys, (16, 16))["taps"]
    kinds = {3: 0, 5: 0, 7: 0}
    x = images(300, 2, 16, 16)
    out = augment(x, keys)
    for sample, row in enumerate(taps):
        size = int((row > 0).sum())
        kinds[size] += 1
        sigma, radius = 0.3 * ((size - 1) * 0.5 - 1) + 0.8, size // 2
        line = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * sigma**2))
        line /= line.sum()
        assert torch.allclose(row[3 - radius : 4 + radius], line, atol=1e-6)
        if sample < 12:
            padded = F.pad(x[sample][:, None], [radius] * 4, mode="reflect")
            expected = F.conv2d(padded, (line[:, None] * line)[None, None])[:, 0]
            assert torch.allclose(out[sample], expected, atol=1e-5)
    assert all(70 <= count <= 130 for count in kinds.values()), kinds


def test_the_blur_of_a_3d_impulse_is_the_same_along_each_axis() -> None:
    augment = PhotometricAugment(32, brightness_prob=0.0, blur_prob=1.0, elastic_prob=0.0)
    x = torch.zeros(1, 1, 9, 9, 9)
    x[..., 4, 4, 4] = 1
    out = augment(x, torch.tensor([0]))[0, 0]
    assert out.sum() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(out[:, 4, 4], out[4, :, 4], atol=1e-6)
    assert torch.allclose(out[:, 4, 4], out[4, 4, :], atol=1e-6)


def test_each_step_is_chosen_with_its_own_probability_and_independently() -> None:
    augment = PhotometricAugment(32, brightness_prob=0.5, blur_prob=0.5, elastic_prob=0.25)
    params = augment.draw(torch.arange(4000), (8, 8))
    chosen = torch.stack([params["contrast"] != 1, params["taps"].amax(1) < 1, params["elastic"]]).float()
    assert chosen.mean(1).tolist() == pytest.approx([0.5, 0.5, 0.25], abs=0.035)
    assert float((torch.corrcoef(chosen) - torch.eye(3)).abs().max()) < 0.06


def test_lengths_scale_with_the_cell() -> None:
    big, small = PhotometricAugment(32, **ALWAYS), PhotometricAugment(16, **ALWAYS)
    key = torch.arange(200)
    a, b = big.draw(key, (64, 64)), small.draw(key, (32, 32))
    assert torch.allclose(a["corners"], 2 * b["corners"])
    assert 19 < float(a["corners"].abs().max()) <= 20
    assert a["taps"].shape[1] == 7
    assert b["taps"].shape[1] == 5


def test_the_elastic_step_moves_pixels_by_the_published_amount() -> None:
    augment = PhotometricAugment(32, affine=0.0, brightness_prob=0.0, blur_prob=0.0, elastic_prob=1.0)
    ramp = torch.linspace(0, 1, 128).view(1, 1, 1, 128).expand(16, 1, 128, 128)
    moved = (augment(ramp, torch.arange(16)) - ramp)[..., 8:-8] * 127
    assert float(moved.std()) == pytest.approx(0.81, rel=0.15)


def test_the_affine_step_keeps_an_image_recognisable_and_is_off_with_affine_0() -> None:
    still = PhotometricAugment(32, alpha=0.0, affine=0.0, brightness_prob=0.0, blur_prob=0.0, elastic_prob=1.0)
    x = images(2, 1, 32, 32)
    assert torch.allclose(still(x, torch.arange(2)), x, atol=1e-5)


def test_it_computes_in_float32_under_autocast_and_carries_no_gradient() -> None:
    x, key = images(2, 1, 24, 24).requires_grad_(), torch.arange(2)
    augment = PhotometricAugment(32, **ALWAYS)
    plain = augment(x, key)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = augment(x, key)
    assert torch.equal(plain, under)
    assert not plain.requires_grad


def test_it_has_no_state_to_save_and_prints_its_settings() -> None:
    augment = PhotometricAugment(32)
    assert augment.state_dict() == {}
    assert "cell=32" in repr(augment)


def test_wrong_settings_and_shapes_are_refused() -> None:
    for blur in ((3, 6), (1, 3), (7, 3)):
        with pytest.raises(ValueError, match="odd kernel sizes"):
            PhotometricAugment(32, blur=blur)
    for bad in ({"contrast": 1.5}, {"sigma": 0.0}, {"alpha": -1.0}, {"brightness": -0.1}, {"affine": -1.0}):
        with pytest.raises(ValueError, match=r"expected brightness, alpha, affine >= 0"):
            PhotometricAugment(32, **bad)
    for name in NEVER:
        with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\], got 1.5"):
            PhotometricAugment(32, **{name: 1.5})
    augment = PhotometricAugment(32)
    with pytest.raises(ValueError, match="one key per sample"):
        augment(images(2, 1, 16, 16), torch.arange(3))
    with pytest.raises(ValueError, match=r"expected \(B, C, H, W\)"):
        augment(images(1, 16, 16), torch.arange(1))
    with pytest.raises(ValueError, match="each side must be at least 4 px"):
        augment(images(1, 1, 3, 16), torch.arange(1))
