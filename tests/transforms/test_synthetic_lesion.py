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

from monai_lamps.data.phantom import ThoraxPhantom
from monai_lamps.transforms import (
    ForeignTexture,
    RandSyntheticLesion,
    RandSyntheticLesionD,
    RandSyntheticLesiond,
    RandSyntheticLesionDict,
    body_region,
)


def thorax(index: int = 0, size: int = 96) -> torch.Tensor:
    return ThoraxPhantom(length=index + 1, size=size)[index]["image"]


def grey(*shape: int) -> torch.Tensor:
    return 0.3 + 0.2 * torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    three=st.booleans(),
    channels=st.integers(1, 2),
    kind=st.sampled_from(["self", "opacity", "noise", "foreign"]),
    share=st.floats(0.05, 0.9),
)
def test_outside_of_the_mask_nothing_changes_and_the_mask_lies_in_the_region(
    seed: int, three: bool, channels: int, kind: str, share: float
) -> None:
    random = np.random.RandomState(seed)
    shape = (channels, 12, 14, 10) if three else (channels, 30, 26)
    image, region = random.rand(*shape).astype(np.float32), random.rand(*shape[1:]) < share
    region.flat[0] = True
    texture = ForeignTexture([random.rand(*shape)]) if kind == "foreign" else kind
    result = RandSyntheticLesion([texture]).set_random_state(seed)(image, region)
    assert torch.equal(result.healthy, torch.from_numpy(image))
    assert result.lesioned.shape == shape
    assert result.mask.shape == (1, *shape[1:])
    assert result.lesioned.min() >= 0
    assert result.lesioned.max() <= 1
    assert result.mask.min() >= 0
    assert result.mask.max() <= 1
    outside = (result.mask == 0).expand(shape)
    assert torch.equal(result.lesioned[outside], result.healthy[outside])
    assert not result.mask[0][~torch.from_numpy(region)].any()


@pytest.mark.parametrize("kind", ["self", "opacity", "noise"])
def test_a_lesion_on_a_chest_can_be_seen_and_lies_in_the_body(kind: str) -> None:
    transform, image = RandSyntheticLesion([kind], count=(1, 1)).set_random_state(0), thorax()
    body = body_region(image)
    for _ in range(10):
        result = transform(image)
        core = result.mask > result.mask.max() / 2
        assert core.any()
        assert float((result.lesioned - result.healthy).abs()[core].mean()) >= 0.02
        assert not result.mask[0][~body].any()


def test_centres_prefer_the_lucent_part_as_much_as_asked() -> None:
    item = ThoraxPhantom(length=1, size=96, annotations=True)[0]
    lungs = item["masks"][[n for n, name in enumerate(ThoraxPhantom.structures) if "lung" in name]].amax(0) > 0
    found = {}
    for lucent in (0.0, 1.0):
        transform = RandSyntheticLesion(count=(1, 1), size=(0.07, 0.1), lucent=lucent).set_random_state(0)
        masks = torch.stack([transform(item["image"]).mask[0] for _ in range(20)])
        found[lucent] = float((masks * lungs).sum() / masks.sum())
    assert found[0.0] < 0.6 < 0.7 < found[1.0]


def test_the_same_seed_gives_the_same_lesions_and_another_others() -> None:
    image = thorax()
    first, second, third = (RandSyntheticLesion().set_random_state(seed) for seed in (7, 7, 8))
    one = first(image)
    assert torch.equal(one.lesioned, second(image).lesioned)
    assert not torch.equal(one.lesioned, third(image).lesioned)
    again = first(image, randomize=False)
    assert torch.equal(one.lesioned, again.lesioned)
    assert torch.equal(one.mask, again.mask)
    assert not torch.equal(one.lesioned, first(image).lesioned)


def test_global_random_states_do_not_matter() -> None:
    image, results = thorax(), []
    for seed in (0, 1):
        np.random.seed(seed)
        torch.manual_seed(seed)
        results.append(RandSyntheticLesion().set_random_state(3)(image).lesioned)
    assert torch.equal(*results)


def test_number_size_and_kinds_are_drawn_from_their_ranges() -> None:
    transform = RandSyntheticLesion(["self", "opacity"], count=(2, 4), size=(0.1, 0.5)).set_random_state(0)
    counts, longest, kinds = [], [], []
    for _ in range(200):
        transform.randomize((100, 140))
        assert transform.plans is not None
        counts.append(len(transform.plans))
        longest += [max(plan.shape.sides) for plan in transform.plans]
        kinds += [plan.texture for plan in transform.plans]
        assert all(min(plan.shape.sides) >= max(plan.shape.sides) / 2 for plan in transform.plans)
    assert set(counts) == {2, 3, 4}
    assert 10 <= min(longest) < 11
    assert 45 < max(longest) <= 50
    assert np.median(longest) == pytest.approx(10 * 5**0.5, rel=0.15)  # log-uniform
    assert np.mean(kinds) == pytest.approx(0.5, abs=0.1)


def test_with_probability_one_half_about_half_stay_healthy() -> None:
    transform, image, healthy = RandSyntheticLesion(prob=0.5).set_random_state(0), grey(1, 16, 16), 0
    for _ in range(60):
        result = transform(image)
        healthy += int(torch.equal(result.lesioned, image))
        assert bool(result.mask.any()) == (not torch.equal(result.lesioned, image))
    assert 18 <= healthy <= 42


def test_what_could_not_be_seen_is_put_elsewhere_or_left_out() -> None:
    white = RandSyntheticLesion().set_random_state(0)(torch.ones(1, 32, 32))
    assert torch.equal(white.lesioned, white.healthy)
    assert not white.mask.any()
    image = torch.ones(1, 64, 64)
    image[:, :, :16] = 0.3  # a quarter that takes lesions
    everywhere = torch.ones(64, 64)
    transform = RandSyntheticLesion(["opacity"], count=(1, 1), size=(0.1, 0.15)).set_random_state(0)
    for _ in range(10):
        result = transform(image, everywhere)
        assert result.mask.any()
        assert float((result.mask[0, :, :16] > 0).sum()) > 0
        assert not torch.equal(result.lesioned, image)


def test_the_image_that_is_given_is_not_changed() -> None:
    image = grey(1, 24, 24)
    before = image.clone()
    result = RandSyntheticLesion().set_random_state(0)(image)
    assert torch.equal(image, before)
    assert result.lesioned.data_ptr() != image.data_ptr()


def test_an_empty_region_leaves_the_image_healthy_and_warns() -> None:
    image = grey(1, 16, 16)
    with pytest.warns(UserWarning, match="region for lesions is empty: the image stays healthy"):
        result = RandSyntheticLesion().set_random_state(0)(image, torch.zeros(1, 16, 16))
    assert torch.equal(result.lesioned, image)
    assert not result.mask.any()


def test_the_dictionary_form_is_the_array_form_with_the_healthy_image_and_the_mask() -> None:
    image, region = thorax(), torch.ones(96, 96)
    region[:48] = 0
    out = RandSyntheticLesiond("image", region_key="lungs", count=(2, 2)).set_random_state(5)(
        {"image": image, "lungs": region, "name": "a"}
    )
    array = RandSyntheticLesion(count=(2, 2)).set_random_state(5)(image, region)
    assert torch.equal(out["image"], array.lesioned)
    assert torch.equal(out["healthy"], image)
    assert torch.equal(out["lesion"], array.mask)
    assert out["name"] == "a"
    named = RandSyntheticLesiond("image", mask_key="m", healthy_key="h").set_random_state(5)({"image": image})
    assert set(named) == {"image", "m", "h"}
    assert RandSyntheticLesionD is RandSyntheticLesionDict is RandSyntheticLesiond


def test_a_missing_image_may_be_skipped_and_a_missing_region_is_an_error() -> None:
    assert RandSyntheticLesiond("image", allow_missing_keys=True)({"other": 1}) == {"other": 1}
    with pytest.raises(KeyError, match="image"):
        RandSyntheticLesiond("image")({"other": 1})
    with pytest.raises(KeyError, match="lungs"):
        RandSyntheticLesiond("image", region_key="lungs")({"image": grey(1, 8, 8)})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"kinds": ["mass"]}, r"unknown kind of lesion 'mass', expected one of \['self', 'opacity', 'noise'\]"),
        ({"kinds": ["foreign"]}, r"'foreign'.*pass ForeignTexture\(donors\)"),
        ({"kinds": "self"}, r"kinds must be a list of at least one kind, .*got 'self'"),
        ({"kinds": []}, r"at least one kind, .*got \[\]"),
        ({"count": (0, 2)}, r"count must be whole numbers .*got \(0, 2\)"),
        ({"count": (1, 2.5)}, r"count must be whole numbers .*got \(1, 2.5\)"),
        ({"size": (0.5, 0.2)}, r"size must be shares .*got \(0.5, 0.2\)"),
        ({"prob": 1.5}, r"prob must lie in \[0, 1\], got 1.5"),
        ({"lucent": -0.1}, r"lucent must lie in \[0, 1\], got -0.1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandSyntheticLesion(**kwargs)


def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 0 to 255; scale the image first"):
        RandSyntheticLesion()(torch.linspace(0, 255, 64).view(1, 8, 8))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got nan"):
        RandSyntheticLesion()(torch.full((1, 8, 8), torch.nan))
    with pytest.raises(ValueError, match=r"region must be \(8, 8\) or \(1, 8, 8\), as the image, got \(4, 4\)"):
        RandSyntheticLesion()(grey(1, 8, 8), torch.ones(4, 4))
    with pytest.raises(RuntimeError, match="no lesions have been drawn yet"):
        RandSyntheticLesion()(grey(1, 8, 8), randomize=False)
    with pytest.raises(ValueError, match=r"keys must be one image, .*got \('a', 'b'\)"):
        RandSyntheticLesiond(["a", "b"])
