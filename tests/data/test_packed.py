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

import gc
import json
import os
import pickle
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.data.dataset import RadiographDataset
from monai_lamps.data.packed import PackedItems
from monai_lamps.data.sampler import ResumableBatchSampler

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=9)


def films(number: int) -> list[dict[str, Any]]:
    return [{"image": f"/films/{index:07d}.png", "width": 1024, "label": [0, 1.5]} for index in range(number)]


@settings(max_examples=100, deadline=None)
@given(ITEMS, st.slices(9))
def test_items_slices_and_pickles_are_those_of_the_list(items: list[dict[str, Any]], part: slice) -> None:
    packed = PackedItems(items)
    assert len(packed) == len(items)
    assert list(packed) == items
    assert [packed[-1 - index] for index in range(len(items))] == items[::-1]
    assert isinstance(packed[part], PackedItems)
    assert list(packed[part]) == items[part]
    assert list(packed[part][::-1]) == items[part][::-1]
    assert list(pickle.loads(pickle.dumps(packed[part]))) == items[part]


def test_file_names_that_are_no_utf8_and_floats_without_a_number_come_back() -> None:
    item = PackedItems([{"image": os.fsdecode(b"r\xf6ntgen.png"), "spacing": float("nan"), "dose": float("inf")}])[0]
    assert os.fsencode(item["image"]) == b"r\xf6ntgen.png"
    assert np.isnan(item["spacing"])
    assert item["dose"] == float("inf")


def test_any_mapping_is_taken_and_a_dictionary_of_its_own_given() -> None:
    packed = PackedItems(OrderedDict(image=f"{index}.png") for index in range(2))
    packed[0]["image"] = "changed"
    assert packed[0] == {"image": "0.png"}
    assert type(packed[np.int64(1)]) is dict
    assert not PackedItems()
    assert repr(packed) == f"PackedItems(2 items, {packed.nbytes} bytes)"


def test_an_index_out_of_range_is_refused() -> None:
    for number in (3, -4):
        with pytest.raises(IndexError, match=f"index got {number}, expected one below 3, the number of items"):
            PackedItems(films(3))[number]
    with pytest.raises(TypeError):
        PackedItems(films(3))["image"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("a.png", r"items\[1\] got a str, expected a mapping such as {'image': PATH}"),
        ({3: "a.png"}, r"items\[1\] got the key 3 of type int, expected a string"),
        ({"image": np.zeros(2)}, r"items\[1\]\['image'\] got a ndarray, expected what JSON gives back.*a plain list"),
        ({"image": Path("a.png")}, r"items\[1\]\['image'\] got a \w+Path"),
        ({"label": (0, 1)}, r"items\[1\]\['label'\] got a tuple"),
        ({"label": [0, [np.int64(1)]]}, r"items\[1\]\['label'\] got a int64"),
        ({"facts": {"a": {1: 2}}}, r"items\[1\]\['facts'\] got a dictionary with the key 1"),
        ({"facts": {"a": {2.5}}}, r"items\[1\]\['facts'\] got a set"),
    ],
)
def test_what_would_not_come_back_is_refused_with_item_and_key(item: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        PackedItems([{"image": "0.png"}, item])


def objects(value: Any) -> int:
    """Number of objects that hang on one, itself included, without classes and modules."""
    seen, waiting = set(), [value]
    while waiting:
        found = waiting.pop()
        if id(found) not in seen and not isinstance(found, type):
            seen.add(id(found))
            waiting += gc.get_referents(found)
    return len(seen)


def test_the_number_of_objects_does_not_depend_on_the_number_of_items() -> None:
    small, large = PackedItems(films(10)), PackedItems(films(5000))
    assert objects(large) == objects(small) < 20
    assert objects(films(5000)) > 5000
    assert large.nbytes < 5000 * (len(json.dumps(films(1)[0])) + 8) + 8


def test_neither_a_slice_nor_a_dataset_copies_the_items() -> None:
    packed = PackedItems(films(5000))
    dataset = RadiographDataset(packed, None)
    assert dataset.data is packed
    tracemalloc.start()
    kept = packed[1000:4000], dataset[1000:4000]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept[0]) == len(kept[1]) == 3000
    assert size < packed.nbytes / 50
    assert len(pickle.dumps(packed[10:20])) < 2000


def test_an_epoch_of_batches_takes_memory_for_their_order_only() -> None:
    dataset = RadiographDataset(PackedItems(films(20000)), lambda item: item)
    sampler = ResumableBatchSampler(len(dataset), 100, total_epochs=2)
    batches = iter(sampler)
    tracemalloc.start()
    for keys in batches:
        for key in keys[:2]:
            assert dataset[key]["image"]
    last, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert last < 60_000
    assert peak < 150_000  # the order, 8 bytes a sample, is torch's; a list of 20000 pointers would be 160 kB alone
