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
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

from monai_lamps import transforms
from monai_lamps.transforms import GridRegion, GridRegiond, RandGridRegion, RandGridRegiond, grid_region
from monai_lamps.transforms import resample as resample_module


def coordinates(shape: tuple[int, ...]) -> torch.Tensor:
    """An image whose channel k holds the coordinate of each pixel's centre along axis k, px."""
    axes = [torch.arange(side, dtype=torch.float32) + 0.5 for side in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def expected_coordinates(box: grid_region.Box, size: int) -> torch.Tensor:
    axes = [start + (torch.arange(size) + 0.5) * (stop - start) / size for start, stop in box]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


sides = st.integers(40, 90)


@settings(max_examples=25, deadline=None)
@given(shape=st.one_of(st.tuples(sides, sides), st.tuples(sides, sides, sides)), seed=st.integers(0, 2**31 - 1))
def test_the_region_shows_the_box_that_it_reports(shape: tuple[int, ...], seed: int) -> None:
    transform = RandGridRegion(cell=4, region=6, mode="bilinear").set_random_state(seed)
    out = transform(coordinates(shape))
    assert out.shape == (len(shape), *[24] * len(shape))
    for (start, stop), side in zip(transform.box, shape, strict=True):
        assert 0 <= start < stop <= side
    inner = (slice(None), *[slice(2, -2)] * len(shape))  # the antialiasing kernel is cut off at the border
    error = (out - expected_coordinates(transform.box, 24))[inner].abs().max()
    assert error < 1


@settings(max_examples=50, deadline=None)
@given(height=st.integers(300, 420), width=st.integers(300, 420), seed=st.integers(0, 2**31 - 1))
def test_the_box_before_the_jitter_has_the_drawn_share_and_ratio(height: int, width: int, seed: int) -> None:
    transform = RandGridRegion(cell=8, region=18, margin=1, area=(0.5, 0.7)).set_random_state(seed)
    transform.randomize((height, width))
    h, w = ((stop - start) * 19 / 18 for start, stop in transform.box)
    assert 0.5 * 0.98 <= h * w / (height * width) <= 0.7 * 1.02
    assert 0.75 * 0.98 <= w / h <= 4 / 3 * 1.02


def test_the_ratios_are_log_uniform_so_that_wide_is_as_likely_as_tall() -> None:
    transform = RandGridRegion(cell=8, area=(0.3, 0.3)).set_random_state(0)
    logs = []
    for _ in range(2000):
        transform.randomize((2000, 2000))
        (top, bottom), (left, right) = transform.box
        logs.append(np.log((right - left) / (bottom - top)))
    edge = np.log(4 / 3)
    assert abs(np.mean(logs)) < 0.015
    assert np.std(logs) == pytest.approx(2 * edge / np.sqrt(12), rel=0.05)
    assert max(map(abs, logs)) < edge + 0.01


def test_the_jitter_covers_each_pixel_of_a_cell_and_moves_the_box_by_it() -> None:
    transform = RandGridRegion(cell=4, region=6, margin=1, area=(1, 1), aspect=(1, 1)).set_random_state(0)
    seen = set()
    for _ in range(300):
        transform.randomize((56, 56))
        seen.add(transform.jitter)
        for j, (start, stop) in zip(transform.jitter, transform.box, strict=True):
            assert start == pytest.approx(2 * j)  # 28 px of region and margin over 56 px of the source
            assert stop - start == pytest.approx(48)
    assert seen == {(y, x) for y in range(4) for x in range(4)}


def test_without_a_margin_there_is_no_jitter() -> None:
    transform = RandGridRegion(cell=4, region=6, margin=0, area=(1, 1), aspect=(1, 1)).set_random_state(0)
    transform.randomize((30, 30))
    assert transform.jitter == (0, 0)
    assert transform.box == ((0, 30), (0, 30))


@pytest.mark.parametrize(
    ("shape", "box"),
    [((100, 400), (100, 400 / 3)), ((400, 120), (160, 120)), ((60, 300, 60), (60, 80, 60))],
)
def test_an_elongated_image_gives_its_largest_allowed_centred_box(
    shape: tuple[int, ...], box: tuple[float, ...]
) -> None:
    transform = RandGridRegion(cell=4, region=6, margin=0).set_random_state(0)
    transform.randomize(shape)
    for (start, stop), side, length in zip(transform.box, shape, box, strict=True):
        assert stop - start == pytest.approx(length)
        assert start + stop == pytest.approx(side)


def test_an_image_smaller_than_the_region_is_enlarged() -> None:
    out = RandGridRegion(cell=8, region=6).set_random_state(0)(torch.rand(1, 5, 7))
    assert out.shape == (1, 48, 48)
    assert torch.isfinite(out).all()


def test_the_image_is_interpolated_exactly_once_along_each_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    true = resample_module.F.embedding_bag
    monkeypatch.setattr(resample_module.F, "embedding_bag", lambda *a, **k: calls.append(1) or true(*a, **k))
    RandGridRegion(cell=4, region=6).set_random_state(0)(torch.rand(1, 50, 60))
    assert len(calls) == 2


def test_one_seed_gives_one_region_and_randomize_false_repeats_it() -> None:
    img = torch.rand(1, 60, 50)
    first, second = (RandGridRegion(cell=4, region=6).set_random_state(3) for _ in range(2))
    out = first(img)
    assert torch.equal(out, second(img))
    assert torch.equal(out, first(img, randomize=False))
    assert not torch.equal(out, first(img))


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, MetaTensor])
def test_arrays_tensors_and_metatensors_give_the_same_plain_tensor(kind: type) -> None:
    img = np.random.RandomState(0).rand(1, 40, 40).astype(np.float32)
    out = RandGridRegion(cell=4, region=6).set_random_state(0)(kind(img))
    assert type(out) is torch.Tensor
    assert torch.equal(out, RandGridRegion(cell=4, region=6).set_random_state(0)(img))


def test_the_deterministic_region_is_the_centred_square_at_the_scale_of_training() -> None:
    transform = GridRegion(cell=4, region=18, margin=1)
    out = transform(coordinates((190, 250)))
    assert out.shape == (2, 72, 72)
    assert np.asarray(transform.box) == pytest.approx(np.array([[5, 185], [35, 215]]))
    random = RandGridRegion(cell=4).set_random_state(0)
    lengths = []
    for _ in range(500):
        random.randomize((190, 190))
        lengths += [stop - start for start, stop in random.box]
    assert np.mean(lengths) == pytest.approx(180, rel=0.06)


def test_the_deterministic_region_without_margin_keeps_the_whole_short_side_in_3d() -> None:
    transform = GridRegion(cell=4, region=6, margin=0)
    assert transform(torch.rand(1, 30, 40, 50)).shape == (1, 24, 24, 24)
    assert transform.box == ((0, 30), (5, 35), (10, 40))


def test_the_dictionary_form_gives_all_keys_the_same_place() -> None:
    grid = coordinates((60, 70))
    transform = RandGridRegiond(["image", "label"], cell=4, region=6, mode=["bilinear", "nearest-exact"])
    out = transform.set_random_state(5)({"image": grid, "label": (grid > 30).float(), "name": "a"})
    assert out["name"] == "a"
    assert set(out["label"].unique().tolist()) <= {0.0, 1.0}
    inside = (out["image"] - 30).abs() > 3
    assert torch.equal((out["image"] > 30)[inside], (out["label"] > 0.5)[inside])
    array = RandGridRegion(cell=4, region=6, mode="bilinear").set_random_state(5)
    assert torch.equal(out["image"], array(grid))


def test_the_deterministic_dictionary_form_agrees_with_the_array_form() -> None:
    img = torch.rand(1, 40, 50)
    out = GridRegiond("image", cell=4, region=6)({"image": img})
    assert torch.equal(out["image"], GridRegion(cell=4, region=6)(img))


def test_absent_keys_are_skipped_when_allowed() -> None:
    for transform in (
        RandGridRegiond(["image", "label"], cell=4, region=6, allow_missing_keys=True),
        GridRegiond(["image", "label"], cell=4, region=6, allow_missing_keys=True),
    ):
        assert set(transform({"image": torch.rand(1, 40, 40)})) == {"image"}
        assert transform({}) == {}


def test_keys_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="all keys must have one spatial shape"):
        RandGridRegiond(["a", "b"], cell=4)({"a": torch.rand(1, 40, 40), "b": torch.rand(1, 41, 40)})


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="region must be >= 1 and margin >= 0"):
        RandGridRegion(cell=4, region=0)
    with pytest.raises(ValueError, match="cell must be a positive whole number"):
        GridRegion(cell=0)
    for area in ((0.0, 1.0), (0.9, 0.8), (0.5, 1.1)):
        with pytest.raises(ValueError, match="area must be"):
            RandGridRegion(cell=4, area=area)
    for aspect in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="aspect must be"):
            RandGridRegion(cell=4, aspect=aspect)
    with pytest.raises(ValueError, match="mode must be one of"):
        RandGridRegiond("image", cell=4, mode="lanczos")


def test_repeating_before_anything_was_drawn_or_in_other_dimensions_is_refused() -> None:
    transform = RandGridRegion(cell=4, region=6)
    with pytest.raises(RuntimeError, match="no box has been drawn yet"):
        transform(torch.rand(1, 40, 40), randomize=False)
    transform(torch.rand(1, 40, 40))
    with pytest.raises(ValueError, match="the box has 2 axes"):
        transform(torch.rand(1, 40, 40, 40), randomize=False)


def test_the_aliases_of_every_dictionary_transform_are_the_transform() -> None:
    names = [name[:-1] for name in transforms.__all__ if name.endswith("D")]
    assert "RandGridRegion" in names
    for name in names:
        for alias in ("D", "Dict"):
            assert getattr(transforms, name + alias) is getattr(transforms, name + "d")
