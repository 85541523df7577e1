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

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from monai_lamps.data import RadiographDataset, RadiographError, RejectLog, load_datalist, read_radiograph
from monai_lamps.data.cache import ArrayCache, CacheError, array_cache
from monai_lamps.data.cache.part import PartFile
from monai_lamps.transforms import LoadRadiographd

Make = Callable[..., Any]


def images(datalist: Path) -> list[str]:
    return [item["image"] for key in ("training", "validation") for item in load_datalist(datalist, key)]


def test_8_bit_pictures_come_back_bit_for_bit(cache: Path, datalist: Path) -> None:
    opened = ArrayCache(cache)
    assert len(opened) == 11
    for file in images(datalist):
        pixels, meta = opened.read(file)
        expected, _ = read_radiograph(file)
        assert pixels.dtype == np.float32
        assert pixels.flags.c_contiguous
        assert pixels.flags.writeable
        np.testing.assert_array_equal(pixels, expected)
        assert meta == {"format": "cache", "bits": 8, "photometric": "grey", "height": 40, "width": 48}


def test_the_caches_own_datalist_is_enough_and_may_be_moved(cache: Path, datalist: Path, tmp_path: Path) -> None:
    expected = [read_radiograph(file)[0] for file in images(datalist)]
    moved = tmp_path / "elsewhere" / "moved"
    shutil.copytree(cache, moved)
    shutil.rmtree(tmp_path / "films")
    shutil.rmtree(cache)
    opened = ArrayCache(moved)
    for file, pixels in zip(images(opened.datalist), expected, strict=True):
        np.testing.assert_array_equal(opened.read(file)[0], pixels)


def test_originals_that_moved_are_found_below_another_base(cache: Path, datalist: Path) -> None:
    opened = ArrayCache(cache, base="/other/disk")
    pixels, _ = opened.read("/other/disk/films/p0/01.png")
    np.testing.assert_array_equal(pixels, ArrayCache(cache).read(images(datalist)[1])[0])
    assert images(datalist)[1] not in opened


def test_names_are_absolute_or_relative_to_the_working_folder_and_need_no_tidy_form(
    cache: Path, datalist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(datalist.parent)
    opened = ArrayCache("cache")
    assert Path("films/p0/01.png") in opened
    assert "films/p1/../p0/./01.png" in opened
    assert "films/p0" not in opened
    assert "p0/01.png" not in opened


def test_other_images_are_refused_and_listed(cache: Path, datalist: Path, tmp_path: Path) -> None:
    opened = ArrayCache(cache)
    stranger = str(tmp_path / "others" / "p0" / "01.png")
    message = r"others/p0/01.png: not among the 11 images of cache '.*cache', which were below '.*'; make another cache"
    with pytest.raises(RadiographError, match=message):
        opened.read(stranger)
    assert opened.missing([*images(datalist), stranger, "/"]) == [stranger, "/"]
    assert opened.missing([]) == []


def test_many_names_are_looked_up_in_pieces(cache: Path, datalist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_cache, "_CHUNK", 3)
    names = images(datalist)
    assert ArrayCache(cache).missing(iter([*names, "/x.png", *names, "/y.png"])) == ["/x.png", "/y.png"]


@pytest.mark.parametrize("at", [0, 999, 40 * 48 - 1])
def test_a_flipped_byte_is_never_returned_as_pixels(cache: Path, datalist: Path, flip: Make, at: int) -> None:
    opened = ArrayCache(cache)
    victim = datalist.parent / "films" / "p1" / "05.png"  # the second record of part 1
    flip(cache / "part-00001.bin", 1920 + at)
    message = (
        rf"05.png: its record in part-00001.bin of cache '{cache}' fails its checksum; run: python -m monai_lamps.data "
        rf"verify {cache} --repair; then: python -m monai_lamps.data cache {datalist} --size 48 --out {cache}"
    )
    for _ in range(2):
        with pytest.raises(RadiographError, match=message) as caught:
            opened.read(victim)
    assert caught.value.file == str(victim)
    opened.read(victim.with_name("04.png"))


def test_a_part_that_is_truncated_while_it_is_open_is_an_error_and_not_a_crash(cache: Path, datalist: Path) -> None:
    opened = ArrayCache(cache)
    opened.read(images(datalist)[0])
    os.truncate(cache / "part-00000.bin", 3000)
    opened.read(images(datalist)[0])
    with pytest.raises(RadiographError, match=r"01.png: its record in part-00000.bin of cache .* fails its checksum"):
        opened.read(images(datalist)[1])


def test_an_error_of_the_disk_is_an_error_of_the_image(
    cache: Path, datalist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> bytes:
        raise OSError(5, "Input/output error")

    opened = ArrayCache(cache)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(
        RadiographError, match=r"part-00000.bin of cache '.*' cannot be read \(Input/output error\); run"
    ):
        opened.read(images(datalist)[0])


def test_a_part_that_vanishes_is_an_error_of_the_image(cache: Path, datalist: Path) -> None:
    opened = ArrayCache(cache)
    (cache / "part-00000.bin").unlink()
    with pytest.raises(RadiographError, match=r"part-00000.bin of cache '.*' cannot be read \(No such file"):
        opened.read(images(datalist)[0])


def test_a_read_that_comes_in_pieces_is_put_together(
    cache: Path, datalist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, pread = ArrayCache(cache), os.pread
    expected = opened.read(images(datalist)[1])[0]
    monkeypatch.setattr(os, "pread", lambda handle, length, offset: pread(handle, min(length, 700), offset))
    np.testing.assert_array_equal(opened.read(images(datalist)[1])[0], expected)


def test_training_sets_a_damaged_record_aside_and_goes_on(
    cache: Path, datalist: Path, tmp_path: Path, flip: Make
) -> None:
    flip(cache / "part-00000.bin", 10)
    rejects = RejectLog(tmp_path / "rejected.csv")
    load = LoadRadiographd("image", reader=ArrayCache(cache).read)
    dataset = RadiographDataset(load_datalist(cache / "datalist.json"), [load], rejects=rejects, max_reject=0.2)
    used = [dataset[(0, number)]["index"] for number in range(len(dataset))]
    assert used[0] != 0
    assert used[1:] == list(range(1, 8))
    ((file, reason),) = rejects.rows()
    assert file == str(cache / "films" / "p0" / "00.png")
    assert "part-00000.bin" in reason
    assert f"verify {cache} --repair" in reason


def test_an_image_that_could_not_be_cached_says_why(datalist: Path, tmp_path: Path, build: Make) -> None:
    bad = tmp_path / "films" / "p1" / "05.png"
    bad.write_bytes(b"")
    opened = ArrayCache(build(datalist, tmp_path / "out", max_reject=0.2))
    assert opened.missing(images(datalist)) == []
    message = (
        r"05.png: could not be read when cache '.*out' was made \(empty file \(0 bytes\); copy it again from its "
        r"source\); mend it, delete part-00001.npy there, and run: python -m monai_lamps.data cache .* --out .*out$"
    )
    with pytest.raises(RadiographError, match=message):
        opened.read(bad)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("part-00001.npy", lambda p: p.unlink(), "part-00001.npy is missing"),
        ("part-00001.bin", lambda p: p.unlink(), "part-00001.bin is missing"),
        ("part-00001.bin", lambda p: os.truncate(p, 5000), "part-00001.bin has 5000 bytes, expected 7680"),
        (
            "part-00001.bin",
            lambda p: p.write_bytes(p.read_bytes() + b"x"),
            "part-00001.bin has 7681 bytes, expected",
        ),
        ("part-00001.npy", lambda p: os.truncate(p, 100), "part-00001.npy is damaged or of another cache"),
        ("part-00001.npy", lambda p: os.truncate(p, 0), "part-00001.npy is damaged or of another cache"),
        (
            "part-00001.npy",
            lambda p: shutil.copy(p.with_name("part-00000.npy"), p),
            "part-00001.npy is damaged or of another",
        ),
    ],
)
def test_a_missing_or_damaged_part_is_named_when_the_cache_is_opened_and_made_anew_by_its_command(
    cache: Path, datalist: Path, build: Make, files: Make, name: str, damage: Make, message: str
) -> None:
    before = files(cache)
    damage(cache / name)
    command = f"python -m monai_lamps.data cache {datalist} --size 48 --out {cache}"
    with pytest.raises(
        CacheError, match=rf"has 1 of 3 parts missing or damaged \({message}.*this makes them: {command}"
    ):
        ArrayCache(cache)
    assert files(build(datalist, cache)) == before


@pytest.mark.parametrize("position", [12, 130, 200, -1, -16])
def test_a_flipped_byte_in_a_table_is_noticed(
    cache: Path, datalist: Path, build: Make, files: Make, flip: Make, position: int
) -> None:
    before = files(cache)
    table = cache / "part-00001.npy"
    flip(table, position % table.stat().st_size)
    with pytest.raises(CacheError, match=r"part-00001.npy is damaged or of another cache"):
        ArrayCache(cache)
    assert files(build(datalist, cache)) == before


def test_a_part_of_another_cache_is_noticed(cache: Path, datalist: Path, tmp_path: Path, build: Make) -> None:
    other = build(datalist, tmp_path / "other", size=40)
    for suffix in (".npy", ".bin"):
        shutil.copy((other / "part-00001").with_suffix(suffix), (cache / "part-00001").with_suffix(suffix))
    with pytest.raises(CacheError, match=r"part-00001.npy is damaged or of another cache"):
        ArrayCache(cache)
    shutil.copy(other / "cache.json", cache / "cache.json")
    with pytest.raises(CacheError, match="has 2 of 3 parts missing or damaged"):
        ArrayCache(cache)


def test_a_table_can_be_read_with_numpy_alone(cache: Path, datalist: Path) -> None:
    table = np.load(cache / "part-00000.npy")
    assert table["offset"].tolist() == [0, 1920, 3840, 5760]
    assert not (table["offset"] % 64).any()
    pixels = np.memmap(cache / "part-00000.bin", np.uint8, "r", int(table["offset"][2]), (40, 48))
    np.testing.assert_array_equal(pixels / np.float32(255), read_radiograph(images(datalist)[2])[0])
    assert table["digest"][2] == hashlib.blake2b(b"films/p0/02.png", digest_size=16).digest()


def test_records_start_at_multiples_of_64_bytes(tmp_path: Path, build: Make, make_film: Make) -> None:
    for number in range(3):
        make_film(tmp_path / f"{number}.png", number, (33, 35))
    (tmp_path / "d.json").write_text(json.dumps({"training": [f"{number}.png" for number in range(3)]}))
    table = np.load(build(tmp_path / "d.json", tmp_path / "out") / "part-00000.npy")
    assert table["offset"].tolist() == [0, 1216, 2432]


def test_a_pickled_cache_is_its_path_and_opens_anew(cache: Path, datalist: Path) -> None:
    opened = ArrayCache(cache)
    opened.read(images(datalist)[0])
    data = pickle.dumps(opened.read)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data)(images(datalist)[3])[0], opened.read(images(datalist)[3])[0])
    assert repr(pickle.loads(pickle.dumps(opened))) == repr(opened) == f"ArrayCache('{cache}', base='{cache.parent}')"


def test_it_reads_in_loader_workers(cache: Path, datalist: Path) -> None:
    opened = ArrayCache(cache)
    opened.read(images(datalist)[0])
    dataset = RadiographDataset(load_datalist(datalist), LoadRadiographd("image", reader=opened.read))
    loader = DataLoader(dataset, batch_size=4, num_workers=2)
    loaded = torch.cat([batch["image"] for batch in loader])
    expected = np.stack([read_radiograph(item["image"])[0] for item in load_datalist(datalist)])
    np.testing.assert_array_equal(loaded[:, 0].numpy(), expected)


def test_threads_share_a_cache_that_keeps_few_files_open(
    cache: Path, datalist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_cache, "_OPEN_PARTS", 1)
    opened, names = ArrayCache(cache), images(datalist) * 20
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda name: opened.read(name)[0], names))
    for name, pixels in zip(names[:11], results[-11:]):
        np.testing.assert_array_equal(pixels, read_radiograph(name)[0])
    assert opened._file.cache_info().misses > 3


def test_a_part_file_is_closed_when_it_is_no_longer_used(cache: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("needs /proc")
    files = [PartFile(cache / "part-00000.bin") for _ in range(5)]
    assert len(os.listdir("/proc/self/fd")) == before + 5
    del files
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(FileNotFoundError):
        PartFile(cache / "none.bin")
