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

import math
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data import processes
from monai_lamps.data.processes import default_workers, map_in_processes

READER = """
import os, sys

def read(value):
    if value == "dies":
        os._exit(7)
    if value == "killed":
        os.kill(os.getpid(), 9)
    if value == "raises":
        raise ValueError("unforeseen")
    print("a decoder that talks")
    if value == "modules":
        return [name for name in ("torch", "monai", "pytest", "__mp_main__") if name in sys.modules]
    return os.getpid() if value == "process" else [value] * 2
"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function of a module that a fresh process finds on this one's path only."""
    (tmp_path / "talking_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("talking_reader").read
    del sys.modules["talking_reader"]


def lost(value: str, status: str) -> str:
    return f"{value}: {status}"


def test_answers_come_in_order_from_other_processes_without_torch(read: Any) -> None:
    chunks = [[f"{chunk}-{number}" for number in range(chunk % 3)] for chunk in range(20)]
    assert list(map_in_processes(read, chunks, 3, lost)) == [[[value] * 2 for value in chunk] for chunk in chunks]
    ((found, process),) = map_in_processes(read, [["modules", "process"]], 1, lost)
    assert found == []
    assert process != os.getpid()


def test_a_value_that_ends_its_process_is_named_and_the_others_are_answered(
    read: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = list(map_in_processes(read, [["a", "dies", "b"], ["killed"], ["c", "raises"]], 2, lost))
    assert answers == [
        [["a"] * 2, "dies: exit status 7", ["b"] * 2],
        ["killed: signal 9"],
        [["c"] * 2, "raises: exit status 1"],
    ]
    assert "ValueError: unforeseen" in capfd.readouterr().err


def test_chunks_are_taken_a_few_ahead_and_stopping_early_leaves_no_thread(read: Any) -> None:
    taken: list[int] = []

    def chunks() -> Iterator[list[int]]:
        for number in range(1000):
            taken.append(number)
            yield [number]

    before = threading.active_count()
    answers = map_in_processes(read, chunks(), 2, lost)
    assert [next(answers) for _ in range(3)] == [[[number] * 2] for number in range(3)]
    assert len(taken) < 20
    answers.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_process_that_cannot_start_or_import_the_function_is_an_error(
    read: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert list(map_in_processes(math.sqrt, [[4.0]], 1, lost)) == [[2.0]]
    sys.path.pop(0)
    with pytest.raises(OSError, match=r"a reading process did not start \(exit status 1\)"):
        list(map_in_processes(read, [["a"]], 1, lost))
    assert "No module named 'talking_reader'" in capfd.readouterr().err
    monkeypatch.setattr(processes.sys, "executable", "")
    with pytest.raises(OSError, match="does not know its own executable"):
        list(map_in_processes(math.sqrt, [[4.0]], 1, lost))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="not on this system")
def test_no_more_processes_load_data_than_there_are_cores_or_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})
    assert default_workers() == 2
    assert default_workers(most=1) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(64)))
    assert default_workers() == 4
