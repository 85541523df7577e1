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
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data import load_datalist
from monai_lamps.data.cache import ArrayCache, CacheError, estimate
from monai_lamps.data.rejects import RejectLog

Make = Callable[..., Any]


def test_a_cache_is_its_description_its_parts_and_a_datalist(cache: Path, datalist: Path, files: Make) -> None:
    parts = {f"part-{n:05d}.{suffix}" for n in range(3) for suffix in ("bin", "npy")}
    assert set(files(cache)) == parts | {"cache.json", "datalist.json", "rejected.csv"}
    for section in ("training", "validation"):
        own, original = load_datalist(cache / "datalist.json", section), load_datalist(datalist, section)
        assert [item["label"] for item in own] == [item["label"] for item in original]
        for a, b in zip(own, original, strict=True):
            assert os.path.relpath(a["image"], cache) == os.path.relpath(b["image"], datalist.parent)
    assert json.loads((cache / "datalist.json").read_text())["name"] == "films"


def test_the_bytes_do_not_depend_on_the_number_of_processes(
    datalist: Path, cache: Path, tmp_path: Path, build: Make, files: Make
) -> None:
    assert files(build(datalist, tmp_path / "other", workers=2)) == files(cache)


def test_shards_that_are_put_together_are_one_build_byte_for_byte(
    datalist: Path, cache: Path, tmp_path: Path, build: Make, files: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shards = [build(datalist, tmp_path / f"shard{i}", shard=(i, 2)) for i in range(2)]
    assert "1 of 3 parts are left to other shards" in caplog.text
    assert "2 of 3 parts are left to other shards" in caplog.text
    with pytest.raises(CacheError, match=r"1 of 3 parts missing or damaged \(part-00001.npy is missing\); this makes"):
        ArrayCache(shards[0])
    for path in shards[1].iterdir():
        shutil.copy(path, shards[0] / path.name)
    ArrayCache(shards[0])
    assert files(build(datalist, shards[0])) == files(cache)


def test_shards_may_be_built_into_one_folder(
    datalist: Path, cache: Path, tmp_path: Path, build: Make, files: Make
) -> None:
    for i in (2, 0, 1):
        build(datalist, tmp_path / "together", shard=(i, 3))
    assert files(tmp_path / "together") == files(cache)


def test_a_finished_cache_is_not_read_again(
    datalist: Path, cache: Path, build: Make, files: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(cache)
    shutil.rmtree(datalist.parent / "films")
    build(datalist, cache)
    assert files(cache) == before


def test_size_and_time_are_estimated_from_samples(
    datalist: Path, tmp_path: Path, build: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    build(datalist, tmp_path / "out", workers=2)
    assert f"11 images in 3 parts of '{tmp_path / 'out'}' are to be made: about 21.1 kB and" in caplog.text
    assert "with 2 processes; " in caplog.text
    assert f"11 images in 3 parts, 0 unreadable -> {tmp_path / 'out'}" in caplog.text


def test_amounts_are_written_in_units_that_a_person_reads() -> None:
    assert [estimate._bytes(n) for n in (5, 1500, 2.5e7, 4.6e10, 3e12)] == ["5 B", "1.5 kB", "25 MB", "46 GB", "3 TB"]
    assert [estimate._duration(s) for s in (0.1, 60, 600, 7200)] == ["1 s", "60 s", "10 min", "2.0 h"]


def test_an_unreadable_image_is_set_aside_and_left_out_of_the_datalist(
    datalist: Path, tmp_path: Path, build: Make, files: Make
) -> None:
    bad = tmp_path / "films" / "p1" / "05.png"
    bad.write_bytes(b"")
    out = build(datalist, tmp_path / "out", max_reject=0.2, workers=2)
    ((file, reason),) = RejectLog(out / "rejected.csv").rows()
    assert file == str(bad)
    assert reason.startswith("empty file (0 bytes)")
    assert len(load_datalist(out / "datalist.json")) == 7
    assert "05.png" not in (out / "datalist.json").read_text()
    before = files(out)
    assert files(build(datalist, out, max_reject=0.2)) == before
    shards = [build(datalist, tmp_path / f"shard{i}", shard=(i, 2), max_reject=0.3) for i in range(2)]
    for path in shards[0].iterdir():
        shutil.copy(path, shards[1] / path.name)
    assert files(build(datalist, shards[1], max_reject=0.2)) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 40}, r"holds a cache with size 48 \(now 40\); give another --out, the same datalist and settings"),
        ({"dtype": "uint16"}, r"holds a cache with dtype 'auto' \(now 'uint16'\)"),
        ({"images_per_part": 5}, r"holds a cache with images_per_part 4 \(now 5\)"),
    ],
)
def test_other_settings_are_refused(
    datalist: Path, cache: Path, build: Make, files: Make, options: dict[str, Any], message: str
) -> None:
    before = files(cache)
    with pytest.raises(CacheError, match=message):
        build(datalist, cache, **options)
    assert files(cache) == before


def test_a_cache_goes_on_with_the_size_of_parts_that_it_was_begun_with(
    datalist: Path, cache: Path, build: Make, files: Make
) -> None:
    before = files(cache)
    (cache / "part-00001.npy").unlink()
    assert files(build(datalist, cache, images_per_part=None)) == before


def test_a_folder_with_other_files_is_refused(datalist: Path, tmp_path: Path, build: Make, files: Make) -> None:
    before = files(tmp_path / "films" / "p0")
    with pytest.raises(
        CacheError, match=r"p0' holds other files, such as '00.png', and would be mixed with them; give"
    ):
        build(datalist, tmp_path / "films" / "p0")
    assert files(tmp_path / "films" / "p0") == before
    (tmp_path / "index").mkdir()
    shutil.copy(datalist, tmp_path / "index" / "datalist.json")
    with pytest.raises(CacheError, match=r"holds other files, such as 'datalist.json'"):
        build(datalist, tmp_path / "index")


def test_the_caches_own_datalist_is_refused(cache: Path, build: Make) -> None:
    with pytest.raises(
        CacheError, match=r"datalist.json' is the cache's own datalist; give the one that the cache was"
    ):
        build(cache / "datalist.json", cache)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 31}, "size must be at least 32 px, got 31; 640 suits"),
        ({"shard": (2, 2)}, r"shard must be i/n with i from 0 to n - 1, got 2/2; of two they are 0/2 and 1/2"),
        ({"shard": (0, 0)}, "got 0/0"),
        ({"shard": (-1, 2)}, "got -1/2"),
        ({"dtype": "float32"}, "unknown dtype 'float32', valid values are auto, uint8, uint16"),
        ({"max_reject": 5}, r"max_reject must be a share in \[0, 1\], got 5"),
        ({"datalist": "none.json"}, "datalist 'none.json' does not exist"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_made(
    datalist: Path, tmp_path: Path, build: Make, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        build(**{"datalist": datalist, "out": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()
