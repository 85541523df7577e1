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

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from monai_lamps.data import load_datalist
from monai_lamps.data.cache import ArrayCache, CacheError, estimate
from monai_lamps.data.cache import build as building
from monai_lamps.data.rejects import RejectLog

Make = Callable[..., Any]

_KILLED = """
import os, signal, sys
from monai_lamps.data import atomic
from monai_lamps.data.cache import build_cache
replace = os.replace
def die(source, target):
    if str(target).endswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = die
build_cache(sys.argv[1], sys.argv[2], 48, workers=0, images_per_part=4, progress=False)
"""


@pytest.mark.parametrize("at", ["part-00001.bin", "part-00001.npy", "datalist.json", "cache.json"])
def test_a_killed_build_goes_on_to_the_same_bytes(
    datalist: Path, cache: Path, tmp_path: Path, build: Make, files: Make, at: str
) -> None:
    out = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(datalist), str(out), at], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert any(name.endswith(".tmp") for name in files(out))
    if at.startswith("part"):
        assert "part-00000.npy" in files(out)
        assert "part-00001.npy" not in files(out)
    for path in out.iterdir():
        os.utime(path, (0, 0))
    build(datalist, out)
    assert files(out) == files(cache)


def test_a_full_disk_leaves_whole_parts_and_says_how_to_go_on(
    datalist: Path, cache: Path, tmp_path: Path, build: Make, files: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "full"
    write_records = building.write_part.__globals__["_write_records"]

    def number_of(names: Any) -> int:
        return int(names[0][-6:-4]) // 4

    def full(file: IO[bytes], table: Any, names: Any, images: Any) -> None:
        write_records(file, table, names, images)
        if number_of(names) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(building.write_part.__globals__, "_write_records", full)
    message = (
        r"the disk of '.*full' is full. 2 of 3 parts are written and stay, the others take about 0.0 MB; nothing "
        r"half-written stays. Free space and run the same command again to go on, or delete '.*full' and give a "
        r"smaller --size, --dtype uint8 or another --out"
    )
    with pytest.raises(OSError, match=message) as caught:
        build(datalist, out)
    assert caught.value.errno == errno.ENOSPC
    assert not any(name.startswith(".") or name.startswith("part-00002") for name in files(out))
    monkeypatch.undo()
    assert files(build(datalist, out)) == files(cache)


@pytest.mark.parametrize(
    ("calls", "message"),
    [(0, "is full. No part is written yet"), (2, "is full. None of 3 parts is written yet; nothing half-written")],
)
def test_a_disk_that_is_full_from_the_start_is_named_too(
    datalist: Path, tmp_path: Path, build: Make, monkeypatch: pytest.MonkeyPatch, calls: int, message: str
) -> None:
    fsync, left = os.fsync, [calls * 2]  # every file flushes itself and its folder

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=message):
        build(datalist, tmp_path / "full")
    assert not list((tmp_path / "full").glob(".*.tmp"))


def test_other_errors_of_the_disk_are_left_as_they_are(
    datalist: Path, tmp_path: Path, build: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"^\[Errno 5\] Input/output error$"):
        build(datalist, tmp_path / "out")


def test_a_cache_that_will_not_fit_is_refused_before_it_is_built(
    datalist: Path, tmp_path: Path, build: Make, monkeypatch: pytest.MonkeyPatch, files: Make
) -> None:
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9000, 1000))
    message = (
        r"the cache '.*out' needs about 21.1 kB more, but only 1 kB are free: about 20.1 kB are missing. Free space, "
        r"or give another --out, a smaller --size or --dtype uint8"
    )
    with pytest.raises(OSError, match=message):
        build(datalist, tmp_path / "out")
    assert not any(name.startswith("part") for name in files(tmp_path / "out"))


def test_too_many_unreadable_images_stop_the_build_which_can_be_resumed(
    datalist: Path, tmp_path: Path, build: Make
) -> None:
    for name in ("p0/01.png", "p2/09.png"):
        (tmp_path / "films" / name).write_bytes(b"")
    message = (
        r"2 of 11 images cannot be read, more than the allowed 10% \(first: .*01.png: empty file .*; .*09.png: empty"
        r".*\). '.*rejected.csv' lists them: mend them or take them out of the datalist, or raise max_reject."
    )
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            build(datalist, tmp_path / "out", max_reject=0.1)
        assert len(RejectLog(tmp_path / "out" / "rejected.csv")) == 2
        assert (tmp_path / "out" / "part-00000.npy").exists()
    assert len(load_datalist(build(datalist, tmp_path / "out", max_reject=0.2) / "datalist.json")) == 7


def test_unreadable_images_of_finished_parts_count_when_a_build_goes_on(
    datalist: Path, tmp_path: Path, build: Make
) -> None:
    (tmp_path / "films" / "p0" / "01.png").write_bytes(b"")
    build(datalist, tmp_path / "out", max_reject=0.1)
    with pytest.raises(ValueError, match=r"1 of 11 images cannot be read, more than the allowed 0%"):
        build(datalist, tmp_path / "out", max_reject=0.0)


def test_a_file_that_ends_its_process_is_set_aside(
    datalist: Path, tmp_path: Path, build: Make, monkeypatch: pytest.MonkeyPatch, make_film: Make
) -> None:
    crash = tmp_path / "crashing.py"
    crash.write_text(
        "import os\nfrom monai_lamps.data.cache.encode import encode_image\n"
        "def encode(path, size, dtype):\n"
        "    return os._exit(9) if '05.png' in path else encode_image(path, size, dtype)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(building, "announce_build", lambda *arguments: 0)
    monkeypatch.setattr(building, "encode_image", __import__("crashing").encode)
    out = build(datalist, tmp_path / "out", max_reject=0.2, workers=2)
    ((file, reason),) = RejectLog(out / "rejected.csv").rows()
    assert file.endswith("05.png")
    assert reason == "reading it ended the process (exit status 9); remove it"


def test_where_no_process_can_be_started_the_images_are_read_in_this_one(
    datalist: Path, cache: Path, tmp_path: Path, build: Make, files: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "")
    assert files(build(datalist, tmp_path / "out", workers=2)) == files(cache)


@pytest.mark.parametrize("name", ["part-00001.bin", "part-00001.npy", "rejected.csv", "datalist.json", "cache.json"])
def test_whatever_file_is_missing_is_made_anew(
    datalist: Path, cache: Path, build: Make, files: Make, name: str
) -> None:
    before = files(cache)
    (cache / name).unlink()
    assert files(build(datalist, cache)) == before


def test_a_second_build_of_the_same_shard_is_kept_out(
    datalist: Path, tmp_path: Path, build: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = building._Build.run

    def twice(self: Any, workers: int, progress: bool) -> None:
        monkeypatch.setattr(building._Build, "run", make)
        with pytest.raises(CacheError, match=r"another process is building shard 0/1 of '.*out'; wait for it or stop"):
            build(datalist, tmp_path / "out")
        make(self, workers, progress)

    monkeypatch.setattr(building._Build, "run", twice)
    ArrayCache(build(datalist, tmp_path / "out"))
