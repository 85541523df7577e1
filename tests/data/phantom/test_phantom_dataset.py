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

import pickle

import pytest
import torch
from monai.data import Dataset, list_data_collate

from monai_lamps.data.phantom import (
    ThoraxPhantom,
    draw_thorax,
)


def test_dataset_items_are_tensors_and_annotations_come_on_request():
    plain = ThoraxPhantom(length=3, size=40, seed=2)[1]
    assert set(plain) == {"image", "index"}
    assert plain["index"] == 1
    assert torch.equal(plain["image"], torch.from_numpy(draw_thorax(1, 40, seed=2)))
    item = ThoraxPhantom(length=3, size=40, seed=2, opacities=1.0, annotations=True)[1]
    assert set(item) == {"image", "index", "masks", "landmarks", "opacity_mask", "opacity_boxes"}
    assert item["masks"].shape == (len(ThoraxPhantom.structures), 40, 40)
    assert item["masks"].dtype == item["opacity_mask"].dtype == torch.uint8
    assert item["landmarks"]["heart"].shape == (12, 2)


def test_dataset_is_a_monai_dataset_with_length_slices_and_ends():
    data = ThoraxPhantom(length=5, size=32)
    assert isinstance(data, Dataset)
    assert len(data) == 5
    assert data[-1]["index"] == 4
    assert [item["index"] for item in data[1:3]] == [1, 2]
    with pytest.raises(IndexError):
        data[5]


def test_dataset_applies_the_transform_to_the_dictionary():
    data = ThoraxPhantom(length=2, size=32, transform=lambda item: {**item, "image": item["image"] * 0})
    assert data[1]["index"] == 1
    assert data[1]["image"].abs().sum() == 0


def test_annotated_items_collate_and_the_dataset_travels_to_workers():
    data = pickle.loads(pickle.dumps(ThoraxPhantom(length=4, size=32, opacities=0.5, annotations=True)))
    batch = next(iter(torch.utils.data.DataLoader(data, batch_size=4, collate_fn=list_data_collate)))
    assert batch["image"].shape == (4, 1, 32, 32)
    assert batch["landmarks"]["left_lung"].shape == (4, 11, 2)
    assert batch["opacity_boxes"].shape == (4, 3, 4)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"length": 0}, ValueError, "length must be at least 1 image, got 0"),
        ({"length": 2.0}, TypeError, "length must be an integer, got 2.0 of type float"),
        ({"size": 31}, ValueError, "size must be at least 32 pixels, got 31"),
        ({"size": 64.0}, TypeError, "size must be an integer, got 64.0"),
        ({"seed": -1}, ValueError, "seed must not be negative, got -1"),
        ({"seed": True}, TypeError, "seed must be an integer, got True"),
        ({"opacities": 1.5}, ValueError, r"opacities is a probability and must lie in \[0, 1\], got 1.5"),
        ({"opacities": float("nan")}, ValueError, "opacities is a probability"),
        ({"transform": 3}, TypeError, r"transform must be callable or None, got 3 \(int\)"),
    ],
)
def test_dataset_refuses_bad_arguments(kwargs, error, message):
    with pytest.raises(error, match=message):
        ThoraxPhantom(**kwargs)
