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
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_lamps.bundle import radiograph_datalist
from monai_lamps.data.datalist import load_datalist


def make_folder(path: Path, count: int = 6) -> Path:
    path.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"p{number // 2}_{number}.png")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "films")


def names(datalist: Path, key: str = "training") -> list[str]:
    return [os.path.basename(item["image"]) for item in load_datalist(datalist, key)]


def test_a_folder_is_indexed_into_the_output_folder(folder: Path, tmp_path: Path) -> None:
    found = radiograph_datalist(str(folder), "", str(tmp_path / "out"), validation=0.3, workers=0)
    assert found == tmp_path / "out" / "datalist.json"
    assert sorted(names(found) + names(found, "validation")) == sorted(os.listdir(folder))
    assert names(found, "validation")
    assert all(Path(item["image"]).is_file() for item in load_datalist(found))


def test_patients_that_the_pattern_finds_are_not_split(folder: Path, tmp_path: Path) -> None:
    found = radiograph_datalist(folder, None, tmp_path / "out", validation=0.3, workers=0, patient_pattern=r"(p\d)_")
    training, validation = ({name[:2] for name in names(found, key)} for key in ("training", "validation"))
    assert training | validation == {"p0", "p1", "p2"}
    assert not training & validation
    assert {item["patient"] for item in load_datalist(found)} == training


def test_share_and_seed_reach_the_split(folder: Path, tmp_path: Path) -> None:
    splits = set()
    for seed in range(4):
        found = radiograph_datalist(folder, None, tmp_path / f"out{seed}", validation=0.5, seed=seed, workers=0)
        splits.add(tuple(names(found)))
    assert len(splits) > 1
    whole = radiograph_datalist(folder, None, tmp_path / "whole", validation=0.0, workers=0)
    assert len(names(whole)) == 6


def test_a_second_run_keeps_the_index_even_when_the_folder_has_grown(folder: Path, tmp_path: Path) -> None:
    first = radiograph_datalist(folder, None, tmp_path / "out", workers=0)
    before = first.read_bytes()
    Image.fromarray(np.eye(40, dtype=np.uint8)).save(folder / "new.png")
    again = radiograph_datalist(os.path.relpath(folder), None, tmp_path / "out", workers=0)
    assert again == first
    assert first.read_bytes() == before


def test_the_index_of_another_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    index = radiograph_datalist(folder, None, tmp_path / "out", workers=0)
    other = make_folder(tmp_path / "others")
    with pytest.raises(ValueError, match="is an index of") as caught:
        radiograph_datalist(other, None, tmp_path / "out", workers=0)
    assert str(caught.value) == (
        f"'{index}' is an index of '{folder}', but dataset_dir is '{other}'; give another --output_dir, or --datalist "
        f"'{index}' to use it all the same, or delete it to index the folder anew."
    )


def test_a_datalist_that_is_no_index_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "datalist.json").write_text(json.dumps({"training": ["films/p0_0.png"]}))
    with pytest.raises(ValueError, match=r"datalist\.json' is no index of a folder, but dataset_dir is '.*films'"):
        radiograph_datalist(folder, None, tmp_path, workers=0)


def test_a_damaged_index_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "datalist.json").write_text("{")
    with pytest.raises(ValueError, match=r"datalist '.*datalist\.json' is not valid JSON"):
        radiograph_datalist(folder, None, tmp_path, workers=0)


def test_a_given_datalist_takes_precedence_and_no_folder_is_scanned(folder: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"training": ["p0_0.png"]}))
    assert radiograph_datalist(folder, given, tmp_path / "out") == given
    assert not (tmp_path / "out").exists()


def test_without_folder_and_datalist_both_options_are_named(tmp_path: Path) -> None:
    message = r"no data: give --dataset_dir FOLDER with radiographs, or --datalist FILE, or --cache CACHE\."
    with pytest.raises(ValueError, match=message):
        radiograph_datalist("", "", tmp_path)


def test_a_missing_datalist_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"datalist '.*/no\.json' does not exist; give --datalist an existing"):
        radiograph_datalist(folder, tmp_path / "no.json", tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset_dir '.*/nowhere' is not a folder; give --dataset_dir"):
        radiograph_datalist(tmp_path / "nowhere", None, tmp_path / "out")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"'.*/empty' holds no image file; give a folder with PNG, JPEG") as caught:
        radiograph_datalist(tmp_path / "empty", None, tmp_path / "out", workers=0)
    assert "\n" not in str(caught.value)


def test_too_many_bad_files_are_refused_and_more_can_be_allowed(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    with pytest.raises(ValueError, match=r"1 of 7 files in '.*films' cannot be used, more than the allowed 5%"):
        radiograph_datalist(folder, None, tmp_path / "out", workers=0)
    assert not (tmp_path / "out" / "datalist.json").exists()
    found = radiograph_datalist(folder, None, tmp_path / "out", validation=0, workers=0, max_reject=0.2)
    assert len(names(found)) == 6
