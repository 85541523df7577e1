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
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.comparison.__main__ import main
from monai_lamps.comparison.workers import STOPPED, in_workers


@pytest.fixture
def plan_file(content: dict[str, Any], tmp_path: Path) -> Callable[..., str]:
    def write(**keys: Any) -> str:
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({**content, **keys}))
        return str(path)

    return write


def test_the_command_makes_and_prints_the_table(
    plan_file: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([plan_file(shots=[1]), "--out", str(out), "--set", "common.steps=1"]) == 0
    printed = capsys.readouterr().out
    assert "comparison [6/6] lamps, 1 image, seed 2: validation/dice = 0.712" in printed
    assert "| lamps - random | +0.2 (p < 0.0001 *) |" in printed
    assert (
        f"Made by `python -m monai_lamps.comparison {tmp_path / 'plan.json'} --out {out} --set common.steps=1`"
        in printed
    )
    for name in ("table.md", "cells.csv", "runs.csv", "figure.png"):
        assert (out / name).is_file()


def test_several_plans_are_one_command_and_a_folder_each(
    plan_file: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = plan_file(shots=[1], seeds=2)
    second = str(tmp_path / "other.json")
    Path(second).write_text(Path(first).read_text().replace('"lamps"', '"adam"'))
    command = [first, second, "--out", str(tmp_path / "out"), "--set", "common.steps=1"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert printed.index("plan plan\n") < printed.index("plan other\n") < printed.index("| lamps - random |")
    assert "adam" in (tmp_path / "out" / "other" / "table.md").read_text()
    for name in ("plan", "other"):
        assert "4 of 4 runs finished" in (tmp_path / "out" / name / "table.md").read_text()
    assert main([*command, "--workers", "2"]) == 0
    assert main([*command, "--only", "encoder=random", "--table-only"]) == 0
    assert main([first, second, "--out", str(tmp_path / "new"), "--table-only"]) == 1
    capsys.readouterr()
    assert main([first, str(tmp_path / "elsewhere" / "plan.json"), "--out", str(tmp_path / "out")]) == 2
    assert "plans got" in (error := capsys.readouterr().err)
    assert "which need different names, since folders have these" in error


def test_the_status_tells_failed_runs(
    plan_file: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_file(shots=[1], seeds=2, encoders={"good": {}, "bad": {"encoder": "broken"}})
    out = ["--out", str(tmp_path / "out")]
    assert main([plan, *out, "--only", "encoder=good"]) == 0
    assert main([plan, *out]) == 1
    assert "bad, 1 image, seed 1: ValueError: encoder 'broken' is of another shape" in capsys.readouterr().out


def test_only_the_table_is_written_on_demand(plan_file: Callable[..., str], tmp_path: Path) -> None:
    assert main([plan_file(), "--out", str(tmp_path / "out"), "--table-only"]) == 1
    assert "0 of 12 runs finished" in (tmp_path / "out" / "table.md").read_text()
    assert not (tmp_path / "out" / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "baseline=moco"], "error: plan '.*': unknown baseline 'moco'"),
        (["--only", "encoder=moco"], "error: unknown encoder of --only 'moco'"),
        (["--set", "bundle=nowhere"], "error: there is no bundle in 'nowhere'"),
        (["--set", "figures=validation/iou"], "error: .* has no figure 'validation/iou'"),
    ],
)
def test_errors_of_use_end_with_one_line(
    plan_file: Callable[..., str], tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([plan_file(), "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.match(message, error)


def test_a_stopped_command_says_that_it_goes_on(
    plan_file: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [plan_file(shots=[1], seeds=2, common={"stop_at": 1}), "--out", str(tmp_path / "out")]
    assert [main(command) for _ in range(5)] == [85, 85, 85, 85, 0]
    assert capsys.readouterr().err.count("stopped by a signal; the same command goes on") == 4


def test_an_interrupt_leaves_with_its_own_status(
    plan_file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("monai_lamps.comparison.__main__.make", interrupt)
    assert main([plan_file(), "--out", str(tmp_path / "out")]) == 130


def test_workers_share_the_runs(plan_file: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([plan_file(shots=[1], search={"steps": [1, 2]}), "--out", str(out), "--workers", "2"]) == 0
    logs = [path.read_text() for path in out.rglob("steps.txt")]
    assert len(logs) == 2 * 2 * 2 + 6
    assert set(logs) == {"0\n", "0\n1\n"}  # none was made twice
    assert "6 of 6 runs finished" in (out / "table.md").read_text()


def test_what_ends_workers_is_told_once(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "import sys; print('error: no such thing', file=sys.stderr); sys.exit(2)"]
    with pytest.raises(RuntimeError, match=r"^no such thing$"):
        in_workers(failing, 2, tmp_path)
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    with pytest.raises(RuntimeError, match=r"a worker was ended by signal 9 \(out of memory\?\); see '.*worker-0.log'"):
        in_workers(killed, 1, tmp_path)
    assert in_workers([sys.executable, "-c", ""], 2, tmp_path) == 0
    assert in_workers([sys.executable, "-c", f"raise SystemExit({STOPPED})"], 2, tmp_path) == STOPPED


def test_workers_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"import os; open(r'{tmp_path}/threads', 'a').write(os.environ['OMP_NUM_THREADS'] + ' ')"
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    in_workers([sys.executable, "-c", program], 2, tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    in_workers([sys.executable, "-c", program], 1, tmp_path)
    assert (tmp_path / "threads").read_text() == "4 4 3 "


def test_a_signal_reaches_every_worker(tmp_path: Path) -> None:
    worker = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(85)); "
        f"open(r'{tmp_path}/' + str(os.getpid()), 'w').close(); time.sleep(60)"
    )
    program = (
        "import sys; from pathlib import Path; from monai_lamps.comparison.workers import in_workers; "
        f"sys.exit(in_workers([sys.executable, '-c', {worker!r}], 2, Path(r'{tmp_path}')))"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        until = time.monotonic() + 60
        while len([path for path in tmp_path.iterdir() if path.name.isdigit()]) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == STOPPED
    finally:
        process.kill()


@pytest.mark.parametrize("workers", ["0", "x"])
def test_a_wrong_number_of_workers_is_refused(
    plan_file: Callable[..., str], workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([plan_file(), "--out", "x", "--workers", workers])
    assert "--workers" in capsys.readouterr().err
