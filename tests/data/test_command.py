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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data.__main__ import main

Make = Callable[..., Any]


def test_the_command_indexes_a_folder(
    films: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, index: Make, film: Make
) -> None:
    film(films / "masks" / "m.png", 99)
    arguments = [
        "index",
        str(films),
        "--out",
        str(tmp_path / "out"),
        "--workers",
        "0",
        "--quiet",
        "--exclude",
        "masks/*",
    ]
    caplog.set_level("INFO")
    assert (
        main([*arguments, "--validation", "0.3", "--test", "0.3", "--seed", "2", "--patient-pattern", r"(p\d)/"]) == 0
    )
    direct = index(films, tmp_path / "direct", validation=0.3, test=0.3, seed=2, pattern=r"(p\d)/", exclude=["masks/*"])
    assert (tmp_path / "out" / "datalist.json").read_bytes() == direct.read_bytes()
    assert "12 PNG" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["index", "{}/none"], "error: '{}/none' is not a folder; give the folder that holds the radiographs.\n"),
        (
            ["index", "{}/films", "--validation", "2"],
            "error: validation and test must be shares with a sum below 1, got 2.0",
        ),
        (["index", "{}/films", "--patients", "{}/n.csv"], "error: table of patients '{}/n.csv' does not exist.\n"),
        (["list", "{}/none.txt"], "error: list file '{}/none.txt' does not exist.\n"),
    ],
)
def test_errors_of_use_are_one_line_and_status_2(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main([argument.format(tmp_path) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(text.format(tmp_path))
    assert error.count("\n") == 1


def test_options_may_be_written_as_the_bundles_write_them(films: Path, tmp_path: Path) -> None:
    def patients(option: str, out: Path) -> set[str]:
        assert (
            main(["index", str(films), "--out", str(out), "--workers", "0", "--quiet", option, "--max_reject=1"]) == 0
        )
        items = json.loads((out / "datalist.json").read_text())
        return {item["patient"] for section in ("training", "validation") for item in items[section]}

    hyphens = patients(r"--patient-pattern=(p\d)/", tmp_path / "a")
    assert len(hyphens) > 1
    assert patients(r"--patient_pattern=(p\d)/", tmp_path / "b") == hyphens


def test_too_many_bad_files_are_one_line_of_the_command(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        (films / f"bad{number}.png").write_bytes(b"x")
    assert main(["index", str(films), "--out", str(tmp_path / "out"), "--workers", "0", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: 5 of 17 files")
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["index"], ["indx", "x"], ["index", "x", "--sed", "1"]])
def test_wrong_arguments_end_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m monai_lamps.data" in capsys.readouterr().err
