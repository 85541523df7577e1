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

import csv
import multiprocessing
import pickle
from pathlib import Path

import pytest

from monai_lamps.data import rejects
from monai_lamps.data.rejects import RejectLog


def test_a_file_is_recorded_once_with_its_first_reason(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "out" / "rejected.csv")
    assert len(log) == 0
    assert not log.path.exists()
    assert log.add("a.png", "first\n  reason")
    assert not log.add("a.png", "second")
    assert log.add(Path("b.png"), 'with, comma and "quotes"')
    assert log.rows() == [("a.png", "first reason"), ("b.png", 'with, comma and "quotes"')]
    assert (log.files(), len(log)) == ({"a.png", "b.png"}, 2)
    with open(log.path, newline="") as handle:
        assert next(csv.reader(handle)) == ["file", "reason"]


def test_what_another_process_adds_is_seen_and_what_was_read_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = RejectLog(tmp_path / "r.csv"), RejectLog(tmp_path / "r.csv")
    mine.extend((f"{number}.png", "x") for number in range(1000))
    assert len(other) == 1000
    parsed: list[int] = []
    parse = rejects._rows
    monkeypatch.setattr(rejects, "_rows", lambda content, start: parsed.append(len(content)) or parse(content, start))
    assert mine.add("late.png", "y")
    assert other.rows(start=1000) == [("late.png", "y")]
    assert not other.add("late.png", "z")
    assert sum(parsed) < 20_000  # of the 12 kB each of the two would read at every call
    assert max(parsed[1:]) < 20


def test_a_list_that_was_made_anew_is_not_mistaken_for_the_one_read_before(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "r.csv")
    for content in ("file,reason\na.png,x\n", "file,reason\nb.png,y\n", "c.png,z\n", "file,reason\nd.png,cut sho", ""):
        log.path.write_text(content)
        expected = [tuple(line.split(",")) for line in content.splitlines() if line != "file,reason"]
        assert log.rows() == expected
        assert log.files() == {file for file, _ in expected}
    log.path.unlink()
    assert log.rows() == []
    assert log.add("file", "a file may be called that")
    assert log.rows() == [("file", "a file may be called that")]


def test_a_resumed_run_knows_what_was_recorded_before(tmp_path: Path) -> None:
    RejectLog(tmp_path / "r.csv").add("a.png", "x")
    again = RejectLog(str(tmp_path / "r.csv"))
    assert not again.add("a.png", "y")
    assert again.extend([("a.png", "z"), ("b.png", "z"), ("b.png", "twice")]) == 1
    assert again.rows() == [("a.png", "x"), ("b.png", "z")]


def test_replace_forgets_what_was_there(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "r.csv")
    log.extend([("a.png", "x"), ("b.png", "y")])
    assert log.replace([("c.png", "z")]) == 1
    assert log.rows() == [("c.png", "z")]
    assert log.replace([]) == 0
    assert log.path.read_text() == "file,reason\n"


@pytest.mark.parametrize("name", ["with, comma.png", 'quo"te.png', "line\nbreak.png", "Röntgen.png", "lone\udcff.png"])
def test_odd_names_come_back_unchanged(tmp_path: Path, name: str) -> None:
    log = RejectLog(tmp_path / "r.csv")
    log.add(name, "x")
    log.add("next.png", "y")
    assert log.rows() == [(name, "x"), ("next.png", "y")]
    assert not log.add(name, "again")


def test_a_line_that_a_crash_left_unfinished_does_not_swallow_the_next(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "r.csv")
    log.add("a.png", "x")
    with open(log.path, "ab") as handle:
        handle.write(b"b.png,half of a rea")
    assert log.add("c.png", "y")
    assert log.files() == {"a.png", "b.png", "c.png"}
    assert log.rows()[-1] == ("c.png", "y")


def test_a_quoted_entry_that_a_crash_left_open_does_not_swallow_the_next(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "r.csv")
    log.add("a.png", "x")
    with open(log.path, "ab") as handle:
        handle.write(b'b.png,"half of, a rea')
    assert log.add("c.png", "y")
    assert not log.add("c.png", "y")
    assert log.rows()[-1] == ("c.png", "y")


def test_it_travels_into_workers(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "r.csv")
    log.add("a.png", "x")
    again = pickle.loads(pickle.dumps(log))
    assert again.files() == {"a.png"}
    assert repr(again) == f"RejectLog({str(tmp_path / 'r.csv')!r})"


def write(log: RejectLog, worker: int) -> None:
    for number in range(20):
        log.add(f"shared{number}.png", f"by {worker}")
        log.add(f"own{worker}_{number}.png", "x" * 500)


def test_many_processes_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "r.csv")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write, args=(log, worker)) for worker in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    rows = log.rows()
    assert len(rows) == len(log) == 20 + 6 * 20
    assert log.path.read_text().count("file,reason") == 1


def test_a_list_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.csv").mkdir()
    with pytest.raises(OSError, match=r"r\.csv"):
        RejectLog(tmp_path / "r.csv").add("a.png", "x")
