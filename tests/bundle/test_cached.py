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
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_lamps.bundle import cache_identity, cached_reader, inference_datalist, radiograph_datalist
from monai_lamps.data import CacheError, build_cache, read_radiograph


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    for number in range(4):
        (tmp_path / "films").mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 48), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "films" / f"{number}.png")
    path = tmp_path / "films.json"
    path.write_text(
        json.dumps({"training": [f"films/{n}.png" for n in range(3)], "validation": [{"image": "films/3.png"}]})
    )
    return path


@pytest.fixture
def cache(datalist: Path, tmp_path: Path) -> Path:
    return build_cache(datalist, tmp_path / "cache", 40, workers=0, progress=False)


def test_without_a_cache_files_are_read_as_ever() -> None:
    assert cached_reader("", 10_000) is read_radiograph
    assert cache_identity("") == ""


def test_with_a_cache_its_records_are_read(cache: Path, tmp_path: Path) -> None:
    read = cached_reader(str(cache), 40)
    file = tmp_path / "films" / "1.png"
    np.testing.assert_array_equal(read(file)[0], read_radiograph(file)[0])
    assert read(file)[1]["format"] == "cache"


def test_a_cache_of_too_small_images_is_refused(cache: Path, datalist: Path) -> None:
    message = (
        rf"cache '{cache}' holds images whose short side has at most 40 px, but the region that views are cut from "
        r"needs 48 px; make another with --size 48 or more, in place of --size 40: python -m monai_lamps.data cache "
        rf"{datalist} --size 40 --out OTHER"
    )
    with pytest.raises(CacheError, match=message):
        cached_reader(cache, 48)


def test_a_run_with_other_pixels_has_another_identity(cache: Path, datalist: Path, tmp_path: Path) -> None:
    other = build_cache(datalist, tmp_path / "other", 32, workers=0, progress=False)
    copy = shutil.copytree(cache, tmp_path / "copy")
    assert cache_identity(cache) == cache_identity(copy) != cache_identity(other)


def test_a_cache_alone_gives_its_own_datalist(cache: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "films")
    for find in (radiograph_datalist, inference_datalist):
        assert find("", "", tmp_path / "out", cache=str(cache)) == cache / "datalist.json"
    assert not (tmp_path / "out").exists()


def test_a_given_datalist_and_an_indexed_folder_may_be_read_from_the_cache(
    cache: Path, datalist: Path, tmp_path: Path
) -> None:
    assert radiograph_datalist("", datalist, tmp_path / "out", cache=cache) == datalist
    assert inference_datalist(None, datalist, tmp_path / "out", cache=cache) == datalist
    films = str(tmp_path / "films")
    assert (
        radiograph_datalist(films, "", tmp_path / "out", workers=0, cache=cache) == tmp_path / "out" / "datalist.json"
    )
    inference_datalist(films, "", tmp_path / "out", workers=0, cache=cache)


@pytest.mark.parametrize("find", [radiograph_datalist, inference_datalist])
def test_names_in_the_cache_are_understood_by_a_datalist_elsewhere(cache: Path, tmp_path: Path, find: object) -> None:
    few = tmp_path / "few.json"
    few.write_text(json.dumps({"training": ["films/2.png"]}))
    shutil.rmtree(tmp_path / "films")
    assert callable(find)
    assert find(str(cache), few, tmp_path / "out", cache=cache) == few


def test_a_cache_of_another_datalist_is_refused(cache: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "films", tmp_path / "elsewhere" / "films")  # the same names, other images
    other = tmp_path / "elsewhere" / "other.json"
    other.write_text(json.dumps({"training": ["films/0.png"], "validation": ["films/1.png"]}))
    message = (
        rf"2 of 2 images of '{other}' are not in cache '{cache}', such as '.*elsewhere/films/0.png'. Leave --datalist "
        r"and --dataset_dir out to train on the cache's own images, or make another cache: python -m monai_lamps.data "
        rf"cache {other} --size 40 --out OTHER. If the images have been moved, give --dataset_dir '{cache}' and a "
        r"datalist with their names in it."
    )
    for find in (radiograph_datalist, inference_datalist):
        with pytest.raises(CacheError, match=message):
            find("", other, tmp_path / "out", cache=cache)
    with pytest.raises(CacheError, match=r"4 of 4 images of '.*out/datalist.json' are not in cache"):
        radiograph_datalist(tmp_path / "elsewhere" / "films", "", tmp_path / "out", workers=0, cache=cache)


def test_a_damaged_datalist_of_the_cache_is_named_with_its_mend(cache: Path, datalist: Path, tmp_path: Path) -> None:
    own = cache / "datalist.json"
    own.write_text(own.read_text().replace("films/0.png", "films/x.png"))
    message = rf"1 of 4 images of '{own}' are not in .*damaged, this mends it: python -m .* cache {datalist} --size 40"
    with pytest.raises(CacheError, match=message):
        radiograph_datalist("", "", tmp_path / "out", cache=cache)
    own.unlink()
    message = (
        rf"cache '{cache}' lacks datalist.json; make it: python -m monai_lamps.data cache {datalist} --size 40 --out"
    )
    with pytest.raises(CacheError, match=message):
        radiograph_datalist("", "", tmp_path / "out", cache=cache)


def test_a_cache_that_is_not_there_or_unfinished_is_named(cache: Path, datalist: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'.*none' is not a cache"):
        radiograph_datalist("", "", tmp_path / "out", cache=tmp_path / "none")
    (cache / "part-00000.bin").unlink()
    for given in ("", datalist):
        with pytest.raises(CacheError, match=r"part-00000.bin is missing\); this makes them"):
            radiograph_datalist("", given, tmp_path / "out", cache=cache)
