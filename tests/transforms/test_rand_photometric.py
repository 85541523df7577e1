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
from monai.data import MetaTensor
from monai.transforms import Compose

from monai_lamps.transforms import PhotometricAugment, RandPhotometric, RandPhotometricd

ALWAYS = {"brightness_prob": 1.0, "blur_prob": 1.0, "elastic_prob": 1.0}


@pytest.mark.parametrize("shape", [(1, 24, 20), (2, 12, 10, 14)])
def test_one_image_is_augmented_as_the_batched_module_does_with_its_key(shape: tuple[int, ...]) -> None:
    img = np.random.RandomState(0).rand(*shape).astype(np.float32)
    transform = RandPhotometric(cell=16, **ALWAYS).set_random_state(0)
    out = transform(img)
    batch = PhotometricAugment(16, **ALWAYS)(torch.as_tensor(img)[None], torch.tensor([transform.key]))
    assert torch.equal(out.as_subclass(torch.Tensor), batch[0])
    assert torch.equal(out, transform(img, randomize=False))
    assert torch.equal(out, RandPhotometric(cell=16, **ALWAYS).set_random_state(0)(img))
    assert not torch.equal(out, transform(img))


def test_with_probability_0_the_image_stays() -> None:
    img = torch.rand(1, 16, 16)
    assert torch.equal(RandPhotometric(cell=16, prob=0.0, **ALWAYS)(img), img)


def test_a_metatensor_keeps_its_affine() -> None:
    img = MetaTensor(torch.rand(1, 16, 16), affine=torch.diag(torch.tensor([2.0, 3.0, 1.0])))
    out = RandPhotometric(cell=16, **ALWAYS).set_random_state(0)(img)
    assert isinstance(out, MetaTensor)
    assert torch.equal(out.affine, img.affine)


def test_the_dictionary_form_augments_all_keys_alike_inside_a_compose() -> None:
    img = torch.rand(1, 24, 24)
    compose = Compose([RandPhotometricd(["a", "b"], cell=16, **ALWAYS)])
    first = compose.set_random_state(1)({"a": img, "b": img.clone(), "c": 0})
    assert torch.equal(first["a"], first["b"])
    assert not torch.equal(first["a"], img)
    again = compose.set_random_state(1)({"a": img, "b": img, "c": 0})
    assert torch.equal(first["a"], again["a"])
    assert first["c"] == 0


def test_repeating_before_anything_was_drawn_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no key has been drawn yet"):
        RandPhotometric(cell=16)(torch.rand(1, 16, 16), randomize=False)


def test_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="channel-first without batch"):
        RandPhotometric(cell=16)(torch.rand(1, 1, 1, 16, 16))
