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

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_lamps.data import load_datalist
from monai_lamps.data.cache import ArrayCache, CacheError

Make = Callable[..., Any]


def test_a_changed_split_or_label_is_taken_over_and_nothing_is_read_again(
    datalist: Path, cache: Path, build: Make, files: Make
) -> None:
    before = files(cache)
    listed = json.loads(datalist.read_text())
    listed["training"], listed["test"] = [{"image": listed["training"][0]["image"], "label": 7}], listed["training"][1:]
    datalist.write_text(json.dumps(listed))
    shutil.rmtree(datalist.parent / "films")
    after = files(build(datalist, cache))
    assert [item["label"] for item in load_datalist(cache / "datalist.json")] == [7]
    assert len(load_datalist(cache / "datalist.json", "test")) == 7
    del before["datalist.json"], after["datalist.json"]
    assert after == before


def test_another_list_of_images_is_refused(
    datalist: Path, cache: Path, build: Make, files: Make, make_film: Make
) -> None:
    before = files(cache)
    make_film(datalist.parent / "films" / "new.png", 99)
    listed = json.loads(datalist.read_text())
    listed["training"].append("films/new.png")
    datalist.write_text(json.dumps(listed))
    with pytest.raises(
        CacheError, match=r"cache with images 11 \(now 12\), other images; give another --out, the same"
    ):
        build(datalist, cache)
    listed["training"].pop(0)
    datalist.write_text(json.dumps(listed))
    with pytest.raises(CacheError, match=r"holds a cache with other images; give another --out"):
        build(datalist, cache)
    assert files(cache) == before


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"training": [{"image": 3}]}, r"training\[0\]: expected a path or {'image': PATH}, got {'image': 3}"),
        ({"training": ["a.png"], "test": [["a.png"]]}, r"test\[0\]: expected a path"),
        ({"training": [], "extra": [{"image": ["a.png", "b.png"]}]}, r"extra\[0\]: expected a path"),
        ({"training": []}, "lists no image; a cache needs at least one"),
        ({"validation": ["a.png"]}, "has no section 'training'"),
    ],
)
def test_a_bad_datalist_is_refused(tmp_path: Path, build: Make, listed: dict[str, Any], message: str) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(listed))
    with pytest.raises(ValueError, match=message):
        build(tmp_path / "bad.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_listed_twice_is_cached_once_and_every_section_is(
    tmp_path: Path, build: Make, make_film: Make
) -> None:
    for number in range(4):
        make_film(tmp_path / f"{number}.png", number)
    listed = {
        "training": ["0.png", {"image": "./0.png"}, "x/../1.png"],
        "testing": ["2.png"],
        "folds": [{"image": "3.png"}, {"image": "0.png"}],
        "classes": ["normal", "opacity"],
    }
    (tmp_path / "d.json").write_text(json.dumps(listed))
    cache = ArrayCache(build(tmp_path / "d.json", tmp_path / "out"))
    assert len(cache) == 4
    assert cache.missing(tmp_path / f"{number}.png" for number in range(4)) == []
    own = json.loads(cache.datalist.read_text())
    assert [item["image"] for item in own["training"]] == ["0.png", "0.png", "1.png"]
    assert own["classes"] == ["normal", "opacity"]


def test_images_outside_the_base_folder_are_named_below_their_common_folder(
    tmp_path: Path, build: Make, make_film: Make
) -> None:
    names = ["a/1.png", "a/b/2.png"]
    for seed, name in enumerate(names):
        make_film(tmp_path / "films" / name, seed)
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "d.json").write_text(json.dumps({"training": [f"../films/{name}" for name in names]}))
    out = build(tmp_path / "index" / "d.json", tmp_path / "out")
    assert [item["image"] for item in json.loads((out / "datalist.json").read_text())["training"]] == [
        "1.png",
        "b/2.png",
    ]
    cache = ArrayCache(out)
    for name, own in zip(names, load_datalist(out / "datalist.json")):
        np.testing.assert_array_equal(cache.read(tmp_path / "films" / name)[0], cache.read(own["image"])[0])
    (tmp_path / "index" / "one.json").write_text(json.dumps({"training": ["../films/a/b/2.png"]}))
    assert ArrayCache(build(tmp_path / "index" / "one.json", tmp_path / "one")).base == str(tmp_path / "films/a/b")


def test_the_base_folder_can_be_given(datalist: Path, tmp_path: Path, build: Make) -> None:
    (tmp_path / "lists").mkdir()
    shutil.move(datalist, tmp_path / "lists" / "d.json")
    cache = ArrayCache(build(tmp_path / "lists" / "d.json", tmp_path / "out", base_dir=tmp_path))
    assert cache.base == str(tmp_path)
    assert cache.description.made_by.endswith(f"--size 48 --base {tmp_path}")
