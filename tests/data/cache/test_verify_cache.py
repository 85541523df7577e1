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

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data.__main__ import main
from monai_lamps.data.cache import ArrayCache, verify_cache

Make = Callable[..., Any]


def verify(cache: Path, repair: bool = False) -> dict[str, str]:
    return verify_cache(cache, repair=repair, workers=2, progress=False)


def test_a_sound_cache_has_no_damage_and_is_not_changed(cache: Path, files: Make) -> None:
    before, times = files(cache), [path.stat().st_mtime_ns for path in sorted(cache.iterdir())]
    assert verify(cache) == {}
    assert verify(cache, repair=True) == {}
    assert files(cache) == before
    assert [path.stat().st_mtime_ns for path in sorted(cache.iterdir())] == times


def test_damage_is_named_and_stays_until_it_is_repaired_and_made_anew(
    cache: Path, datalist: Path, build: Make, files: Make, flip: Make
) -> None:
    before = files(cache)
    flip(cache / "part-00000.bin", 100)
    flip(cache / "part-00000.bin", 200)
    os.truncate(cache / "part-00001.bin", 64)
    flip(cache / "part-00002.npy", 150)
    damaged = files(cache)
    expected = {
        "part-00000": "1 of 4 records of part-00000.bin fail their checksum",
        "part-00001": "part-00001.bin has 64 bytes, expected 7680",
        "part-00002": "part-00002.npy is damaged or of another cache",
    }
    assert verify(cache) == expected
    assert files(cache) == damaged
    assert verify(cache, repair=True) == expected
    assert not list(cache.glob("part-*"))
    assert files(build(datalist, cache)) == before


def test_a_disk_that_cannot_be_read_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    assert verify(cache)["part-00002"] == "part-00002.bin cannot be read (Input/output error)"


def test_a_table_that_cannot_be_read_is_named(cache: Path) -> None:
    (cache / "part-00001.npy").unlink()
    (cache / "part-00001.npy").mkdir()
    assert verify(cache) == {"part-00001": "part-00001.npy cannot be read (Is a directory)"}


def test_the_reason_of_an_unreadable_image_is_verified_too(
    datalist: Path, tmp_path: Path, build: Make, flip: Make, files: Make
) -> None:
    bad = tmp_path / "films" / "p0" / "00.png"
    bad.write_bytes(b"")
    cache = build(datalist, tmp_path / "out", max_reject=0.2)
    before = files(cache)
    flip(cache / "part-00000.bin", 20)
    assert verify(cache) == {"part-00000": "1 of 4 records of part-00000.bin fail their checksum"}
    assert files(build(datalist, cache, max_reject=0.2)) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "datalist.json"),
        (lambda path: path.write_text("{"), "datalist.json is damaged"),
        (lambda path: path.write_text("[]"), "datalist.json is damaged"),
        (lambda path: path.write_text('{"training": [{"label": 1}]}'), "datalist.json is damaged"),
        (
            lambda path: path.write_text(path.read_text().replace("p0/00.png", "p0/xx.png")),
            "datalist.json names 1 images that are not in the cache, such as '.*/films/p0/xx.png'",
        ),
    ],
)
def test_a_damaged_datalist_is_named_and_made_anew(
    cache: Path, datalist: Path, build: Make, files: Make, damage: Make, message: str
) -> None:
    before = files(cache)
    damage(cache / "datalist.json")
    found = verify(cache, repair=True)
    assert list(found) == ["datalist.json"]
    assert re.search(message, found["datalist.json"])
    assert not (cache / "datalist.json").exists()
    assert files(build(datalist, cache)) == before


def test_shards_that_are_put_together_are_finished(datalist: Path, tmp_path: Path, build: Make, files: Make) -> None:
    (tmp_path / "films" / "p1" / "05.png").write_bytes(b"")
    whole = build(datalist, tmp_path / "whole", max_reject=0.3)
    shards = [build(datalist, tmp_path / f"shard{i}", shard=(i, 2), max_reject=0.3) for i in range(2)]
    for path in shards[0].iterdir():
        shutil.copy(path, shards[1] / path.name)
    shutil.rmtree(tmp_path / "films")
    assert verify(shards[1]) == {}
    assert files(shards[1]) == files(whole)


def test_the_commands_make_verify_and_mend_a_cache(
    datalist: Path, tmp_path: Path, flip: Make, files: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    shard = ["cache", str(datalist), "--out", str(cache), "--size", "48", "--workers", "0", "--quiet"]
    assert main([*shard, "--shard", "0/1", "--dtype", "uint16", "--max-reject", "0", "--base", str(tmp_path)]) == 0
    assert ArrayCache(cache).description.dtype == "uint16"
    before = files(cache)
    assert main(["verify", str(cache), "--quiet"]) == 0
    flip(cache / "part-00000.bin", 7)
    capsys.readouterr()
    assert main(["verify", str(cache), "--workers", "1", "--quiet"]) == 1
    make = f"python -m monai_lamps.data cache {datalist} --size 48 --dtype uint16 --base {tmp_path} --out {cache}"
    assert capsys.readouterr().out == (
        "part-00000: 1 of 11 records of part-00000.bin fail their checksum\n"
        f"1 damaged or missing; this makes them anew: python -m monai_lamps.data verify {cache} --repair && {make}\n"
    )
    assert main(["verify", str(cache), "--repair", "--quiet"]) == 1
    assert capsys.readouterr().out.endswith(f"1 damaged or missing; this makes them anew: {make}\n")
    assert main([*make.split()[3:], "--quiet", "--workers", "0"]) == 0
    assert files(cache) == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["cache", "{}/none.json", "--out", "{}/o"], "error: datalist '{}/none.json' does not exist"),
        (["cache", "{}/datalist.json", "--out", "{}/o", "--size", "8"], "error: size must be at least 32 px, got 8"),
        (["cache", "{}/datalist.json", "--out", "{}/films"], "error: '{}/films' holds other files, such as 'p0'"),
        (["verify", "{}/films"], "error: '{}/films' is not a cache, it has no cache.json; make one"),
    ],
)
def test_errors_of_use_are_one_line_and_status_2(
    datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main([argument.format(tmp_path) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(text.format(tmp_path))
    assert error.count("\n") == 1


@pytest.mark.parametrize("shard", ["1", "a/b", "1/2/3"])
def test_a_shard_that_is_none_is_refused(datalist: Path, capsys: pytest.CaptureFixture[str], shard: str) -> None:
    with pytest.raises(SystemExit):
        main(["cache", str(datalist), "--out", "o", "--shard", shard])
    assert f"expected i/n such as 0/4, got '{shard}'" in capsys.readouterr().err
