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

import argparse
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data.annotations import resolve_mask_paths
from monai_lamps.data.datalist import load_datalist
from monai_lamps.data.sets import read_set, set_names, set_options
from monai_lamps.data.sets.command import add_parser, run
from monai_lamps.transforms.load_structures import LoadStructures

Make = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, picture: Make) -> Path:
    """A Shenzhen of twenty images, half of them with a mask."""
    for number in range(1, 21):
        name = f"CHNCXR_{number:04d}_{int(number > 10)}"
        picture(tmp_path / "sz" / "CXR_png" / f"{name}.png")
        if number % 2:
            picture(tmp_path / "sz" / "mask" / f"{name}_mask.png", block=(slice(3, 20), slice(5, 40)))
    return tmp_path / "sz"


def command(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(dest="command", required=True))
    options = parser.parse_args(["set", *arguments])
    assert options.run is run
    assert run(options) == 0


def test_the_datalist_has_paths_relative_to_itself_and_says_what_it_holds(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    out = folder.parent / "lists" / "sz.json"
    command("shenzhen", str(folder), "--out", str(out), "--validation", "0.2", "--test", "0.2", "--seed", "3")
    content = json.loads(out.read_text())
    assert content["name"] == "shenzhen"
    assert content["classes"] == ["tuberculosis"]
    assert content["annotated_structures"] == ["lungs"]
    assert content["settings"] == {"validation": 0.2, "test": 0.2, "seed": 3, "max_missing": 0.05}
    images = [item["image"] for name in ("training", "validation", "test") for item in content[name]]
    assert len(images) == 20
    assert all(image.startswith("../sz/CXR_png/") for image in images)
    assert "20 images -> " in caplog.text
    assert "annotated: " in caplog.text
    assert "  tuberculosis: " in caplog.text


def test_the_masks_of_a_written_datalist_load(folder: Path) -> None:
    out = folder.parent / "sz.json"
    command("shenzhen", str(folder), "--out", str(out))
    items = [resolve_mask_paths(item, out.parent) for item in load_datalist(out)]
    loader = LoadStructures(["lungs"], missing="ignore")
    assert {bool(loader(item, (40, 48))[1]) for item in items} == {True, False}


def test_options_of_the_set_are_handed_on(folder: Path) -> None:
    out = folder.parent / "sz.json"
    (folder.parent / "none").mkdir()
    command("shenzhen", str(folder), "--out", str(out), "--option", f"masks={folder / 'mask'}")
    assert json.loads(out.read_text())["settings"]["masks"] == str(folder / "mask")
    with pytest.raises(ValueError, match=r"set 'shenzhen' has no option 'mask'; it has masks"):
        command("shenzhen", str(folder), "--option", "mask=x")
    with pytest.raises(ValueError, match=r"option 'masks' must be KEY=VALUE"):
        command("shenzhen", str(folder), "--option", "masks")


def test_a_class_that_never_occurs_in_a_section_is_pointed_at(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for path in (folder / "CXR_png").glob("*_1.png"):
        path.unlink()
    command("shenzhen", str(folder), "--out", str(folder / "sz.json"), "--validation", "0")
    assert "tuberculosis: 0 with, 10 without, 0 unknown  <- one of the two never occurs here" in caplog.text


def test_the_help_lists_all_sets_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("--help")
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in set_names())
    assert "uncertain=unknown" in text
    assert "consensus=majority" in text


def test_the_split_does_not_depend_on_where_the_set_lies(folder: Path, tmp_path: Path) -> None:
    names = [[item["patient"] for item in rows] for rows in read_set("shenzhen", folder, validation=0.3).values()]
    moved = folder.rename(tmp_path / "elsewhere")
    again = [[item["patient"] for item in rows] for rows in read_set("shenzhen", moved, validation=0.3).values()]
    assert names == again
    other = read_set("shenzhen", moved, validation=0.3, seed=1)
    assert [[item["patient"] for item in rows] for rows in other.values()] != names


def test_unknown_sets_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown set 'mimic'; known are jsrt, montgomery, shenzhen"):
        read_set("mimic", tmp_path)
    with pytest.raises(ValueError, match=r"set 'montgomery' has no option 'masks'; it has no options"):
        read_set("montgomery", tmp_path, masks="x")
    assert set_options("vindr_cxr") == {"consensus": "majority"}


def test_paths_are_absolute_from_wherever_the_set_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    item = read_set("shenzhen", "sz", masks="sz/mask", validation=0.0)["training"][0]
    assert item["image"] == str(folder / "CXR_png" / "CHNCXR_0001_0.png")
    assert item["masks"]["lungs"] == str(folder / "mask" / "CHNCXR_0001_0_mask.png")
