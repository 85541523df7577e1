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

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from monai_lamps.data import verify
from monai_lamps.data.verify import verify_file, verify_files

Make = Callable[..., Any]


def film(path: Path, seed: int) -> Path:
    """A small radiograph unlike those of other seeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (34, 40), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that inherit what a test has patched, and end at a file named deadly."""
    read = verify.read_radiograph

    def deadly(path: Any) -> Any:
        if "deadly" in str(path):
            os._exit(11)
        if "greedy" in str(path):
            raise MemoryError
        return read(path)

    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(context, "set_forkserver_preload", lambda modules: None)
    monkeypatch.setattr(verify.multiprocessing, "get_context", lambda name: context)
    monkeypatch.setattr(verify, "read_radiograph", deadly)


def test_a_file_that_ends_its_process_is_named_and_the_others_are_read(tmp_path: Path, forked: None) -> None:
    files = [film(tmp_path / f"{number:02d}.png", number) for number in range(40)]
    for number in (3, 37):
        files[number] = files[number].rename(tmp_path / f"{number}_deadly.png")
    results = verify_files(files, workers=2, progress=False)
    assert [path for path, _ in results] == files
    bad = {path.name: result["reason"] for path, result in results if "reason" in result}
    assert set(bad) == {"3_deadly.png", "37_deadly.png"}
    assert all("reading it ended the process" in reason for reason in bad.values())


def test_a_file_that_needs_too_much_memory_is_set_aside(tmp_path: Path, forked: None) -> None:
    assert "does not fit into memory" in verify_file(film(tmp_path / "greedy.png", 0))["reason"]


def test_where_no_process_can_start_this_one_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = [film(tmp_path / f"{number:02d}.png", number) for number in range(20)]
    context = multiprocessing.get_context("fork")
    dying = partial(ProcessPoolExecutor, mp_context=context, initializer=os._exit, initargs=(1,))
    monkeypatch.setattr(verify, "_pool", dying)
    results = verify_files(files, workers=2, progress=False)
    assert len(results) == 20
    assert not any("reason" in result for _, result in results)
    assert "no further processes can be started" in caplog.text
