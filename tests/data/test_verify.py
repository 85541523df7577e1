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

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data import processes, verify
from monai_lamps.data.verify import verify_file, verify_files

Make = Callable[..., Any]

READER = """
import os
from monai_lamps.data.verify import verify_file as verify

def verify_file(path):
    return os._exit(11) if "deadly" in str(path) else {**verify(path), "process": os.getpid()}
"""


@pytest.fixture
def worthwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the smallest file is worth a process."""
    monkeypatch.setattr(verify, "_WORTH", 1)


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worthwhile: None) -> Iterator[None]:
    """A decoder that ends its process at a file named deadly."""
    (tmp_path / "deadly_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(verify, "verify_file", __import__("deadly_reader").verify_file)
    yield
    del sys.modules["deadly_reader"]


def test_a_file_that_ends_its_process_is_named_and_the_others_are_read(
    tmp_path: Path, deadly: None, film: Make, caplog: pytest.LogCaptureFixture
) -> None:
    files = [film(tmp_path / f"{number:02d}.png", number) for number in range(40)]
    for number in (3, 37):
        files[number] = files[number].rename(tmp_path / f"{number}_deadly.png")
    results = verify_files(files, workers=2, progress=False)
    assert [path for path, _ in results] == files
    bad = {path.name: result["reason"] for path, result in results if "reason" in result}
    assert bad == dict.fromkeys(
        ["3_deadly.png", "37_deadly.png"], "reading it ended the process (exit status 11); remove it"
    )
    assert f"reading {files[3]} ended its process (exit status 11)" in caplog.text
    assert len({result["process"] for _, result in results if "process" in result}) >= 2


def test_processes_give_what_this_one_gives(tmp_path: Path, worthwhile: None, film: Make) -> None:
    files = [film(tmp_path / f"{number:02d}.png", number % 30) for number in range(40)]
    files += [tmp_path / "missing.png"]
    assert verify_files(files, workers=2, progress=False) == verify_files(files, workers=0, progress=False)


def test_a_file_that_needs_too_much_memory_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(path: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(verify, "read_radiograph", greedy)
    assert "does not fit into memory" in verify_file("greedy.png")["reason"]


def test_where_no_process_can_start_this_one_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worthwhile: None, film: Make, caplog: pytest.LogCaptureFixture
) -> None:
    files = [film(tmp_path / f"{number:02d}.png", number) for number in range(20)]
    monkeypatch.setattr(processes, "_PROGRAM", "raise SystemExit(1)")
    results = verify_files(files, workers=2, progress=False)
    assert len(results) == 20
    assert not any("reason" in result for _, result in results)
    assert "no further processes can be started (a reading process did not start (exit status 1))" in caplog.text


@pytest.mark.parametrize(("size", "most", "expected"), [(15, 8, 0), (35, 8, 1), (300, 8, 8), (300, 2, 2), (300, 0, 0)])
def test_processes_are_started_for_files_that_are_worth_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, most: int, expected: int
) -> None:
    used: list[int] = []
    monkeypatch.setattr(verify, "_WORTH", 100)
    monkeypatch.setattr(verify, "verify_file", lambda path: {"reason": path.name})
    monkeypatch.setattr(
        verify,
        "map_in_processes",
        lambda function, chunks, workers, lost: used.append(workers) or ([function(p) for p in c] for c in chunks),
    )
    files = [tmp_path / f"{number}.png" for number in range(5)]
    for file in files[:-1]:
        file.write_bytes(bytes(size))
    results = verify_files(files, workers=most, progress=False)
    assert results == [(file, {"reason": file.name}) for file in files]
    assert used == ([expected] if expected > 1 else [])
