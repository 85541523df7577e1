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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from monai_lamps.data import verify
from monai_lamps.data.datalist import load_datalist
from monai_lamps.data.index import find_files, index_folder
from monai_lamps.data.rejects import RejectLog

Make = Callable[..., Any]


def everything(datalist: Path) -> list[dict[str, Any]]:
    return [item for key in ("training", "validation", "test") for item in load_datalist(datalist, key)]


def names(items: list[dict[str, Any]]) -> list[str]:
    return sorted(os.path.basename(item["image"]) for item in items)


def test_good_files_are_listed_and_bad_ones_set_aside_with_their_reason(
    films: Path, tmp_path: Path, save_dicom: Make, picture: Make, index: Make, film: Make
) -> None:
    bad = {
        "empty.png": b"",
        "web.jpg": b"<html>404</html>",
        "corrupt.png": b"\x89PNG\r\n\x1a\n" + bytes(99),
        "truncated.jpg": None,
        "unknown": b"no picture at all",
    }
    Image.fromarray(picture()).save(films / "truncated.jpg")
    bad["truncated.jpg"] = (films / "truncated.jpg").read_bytes()[:300]
    for name, content in bad.items():
        (films / name).write_bytes(content or b"")
    frames = [Image.fromarray(picture()), Image.fromarray(255 - picture())]
    frames[0].save(films / "frames.gif", save_all=True, append_images=frames[1:])
    colours = np.stack(np.broadcast_arrays(np.arange(64)[:, None] * 4, np.arange(64) * 4, 99), axis=-1)
    Image.fromarray(colours.astype(np.uint8)).save(films / "photo.png")
    Image.fromarray(np.full((40, 40), 9, np.uint8)).save(films / "constant.png")
    Image.fromarray(np.full((40, 40), np.nan, np.float32)).save(films / "nan.tif")
    Image.fromarray(picture()[:20]).save(films / "small.png")
    (films / "gone.png").symlink_to(films / "nowhere.png")
    film(films / "p0" / "zz copy of 00.png", 0)
    datalist = index(films, tmp_path / "out", max_reject=1.0)
    assert names(everything(datalist)) == [f"{n:02d}.png" for n in range(12)]
    expected = {
        **{
            "empty.png": "empty file (0 bytes)",
            "web.jpg": "a web page",
            "corrupt.png": "raster file that cannot be decoded",
        },
        **{"truncated.jpg": "cannot be decoded", "unknown": "unknown content", "frames.gif": "GIF with 2 frames"},
        **{"photo.png": "a colour picture", "constant.png": "the same value", "nan.tif": "NaN or infinite"},
        **{"small.png": "must be at least 32", "gone.png": "no such file"},
        "zz copy of 00.png": f"exact duplicate of {films}/p0/00.png",
    }
    rows = {os.path.basename(file): reason for file, reason in RejectLog(tmp_path / "out" / "rejected.csv").rows()}
    assert set(rows) == set(expected)
    for name, reason in expected.items():
        assert reason in rows[name], name
    assert all(os.path.isabs(file) for file in RejectLog(tmp_path / "out" / "rejected.csv").files())
    assert "11 unreadable, 1 duplicates" in json.loads(datalist.read_text())["description"]


def test_the_datalist_has_sizes_sources_and_relative_paths(films: Path, tmp_path: Path, index: Make) -> None:
    datalist = index(films, tmp_path / "out", seed=5)
    content = json.loads(datalist.read_text())
    assert (datalist.name, content["name"], content["source"], content["settings"]["seed"]) == (
        "datalist.json",
        "films",
        str(films),
        5,
    )
    item = content["training"][0]
    assert (item["width"], item["height"], item["image"][:9]) == (40, 34, "../films/")
    assert all(Path(item["image"]).is_file() for item in everything(datalist))
    assert (tmp_path / "out" / "rejected.csv").read_text() == "file,reason\n"


def test_by_default_the_index_goes_to_the_current_folder(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert index_folder("films", workers=0, progress=False) == Path("films_index/datalist.json")
    assert all(Path(item["image"]).is_file() for item in everything(tmp_path / "films_index" / "datalist.json"))
    monkeypatch.chdir(films)
    assert index_folder(".", workers=0, progress=False) == Path("films_index/datalist.json")


def test_the_output_is_the_same_every_time_and_everywhere(films: Path, tmp_path: Path, index: Make) -> None:
    first, again = index(films, tmp_path / "a"), index(films, tmp_path / "b")
    assert first.read_bytes() == again.read_bytes()
    far = index(films, tmp_path / "x" / "y" / "z" / "out", validation=0.3)
    near = index(films, tmp_path / "out", validation=0.3)
    for key in ("training", "validation"):
        assert load_datalist(far, key) == load_datalist(near, key)


def test_parallel_equals_serial(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Make, film: Make
) -> None:
    monkeypatch.setattr(verify, "_WORTH", 1)
    for number in range(12, 40):
        film(films / "more" / f"{number}.png", number)
    (films / "more" / "bad.png").write_bytes(b"bad")
    serial = index(films, tmp_path / "serial", pattern=r"^(\w+)/")
    parallel = index(films, tmp_path / "parallel", pattern=r"^(\w+)/", workers=2)
    assert parallel.read_bytes() == serial.read_bytes()
    assert (
        RejectLog(tmp_path / "parallel" / "rejected.csv").rows()
        == RejectLog(tmp_path / "serial" / "rejected.csv").rows()
    )


def patients(datalist: Path) -> dict[str, set[str]]:
    return {key: {i["patient"] for i in load_datalist(datalist, key)} for key in ("training", "validation", "test")}


def test_patients_of_a_pattern_are_never_split(films: Path, tmp_path: Path, index: Make) -> None:
    for seed in range(5):
        found = patients(index(films, tmp_path / f"{seed}", pattern=r"(p\d)/", validation=0.3, test=0.3, seed=seed))
        assert sorted(p for section in found.values() for p in section) == ["p0", "p1", "p2", "p3"]
        assert all(found.values())
    whole = index(films, tmp_path / "whole", pattern=r"^p\d")
    assert {item["patient"] for item in everything(whole)} == {"p0", "p1", "p2", "p3"}


def test_a_table_gives_patients_and_splits_by_path_or_name(films: Path, tmp_path: Path, index: Make) -> None:
    table = tmp_path / "patients.csv"
    table.write_text("\ufefffile,patient,split\np0/00.png,A,test\n01.png,A,\n02.png, B ,val\n09.png,,train\n")
    datalist = index(films, tmp_path / "out", patients_csv=table, pattern=r"(p\d)/", validation=0.0)
    assert names(load_datalist(datalist, "test")) == ["00.png", "01.png"]
    assert names(load_datalist(datalist, "validation")) == ["02.png"]
    facts = {os.path.basename(item["image"]): item["patient"] for item in everything(datalist)}
    assert [facts[f"{n:02d}.png"] for n in (0, 1, 2, 3, 9)] == ["A", "A", "B", "p1", "p3"]
    assert not any("split" in item for item in everything(datalist))


def test_dicom_headers_give_patients_unless_a_pattern_does(tmp_path: Path, save_dicom: Make, index: Make) -> None:
    (tmp_path / "films").mkdir()
    for number in range(6):
        stored = np.random.default_rng(number).integers(0, 255, (40, 40), dtype=np.uint8)
        save_dicom(tmp_path / "films" / f"s{number}.dcm", stored, PatientID=f"P{number % 2}")
    found = patients(index(tmp_path / "films", tmp_path / "out"))
    assert set.union(*found.values()) == {"P0", "P1"}
    found = patients(index(tmp_path / "films", tmp_path / "own", pattern=r"s(\d)"))
    assert set.union(*found.values()) == set("012345")


def test_dicom_objects_without_an_image_do_not_count_as_unreadable(
    films: Path, tmp_path: Path, save_dicom: Make, picture: Make, index: Make
) -> None:
    dataset = pydicom.dcmread(save_dicom(films / "report.dcm", picture()))
    for name in ("PixelData", "Rows", "Columns"):
        delattr(dataset, name)
    dataset.save_as(films / "report.dcm")
    datalist = index(films, tmp_path / "out", max_reject=0.0)
    assert len(everything(datalist)) == 12
    assert "without an image" in RejectLog(tmp_path / "out" / "rejected.csv").rows()[0][1]
    assert "0 unreadable, 1 duplicates or without an image" in json.loads(datalist.read_text())["description"]


def test_side_files_hidden_files_and_excluded_ones_are_passed_over(films: Path, film: Make) -> None:
    for name in (
        "labels.csv",
        "README",
        "notes.TXT",
        ".hidden.png",
        "DICOMDIR",
        "Thumbs.db",
        "masks.npz",
        ".git/a.png",
    ):
        (films / name).parent.mkdir(exist_ok=True)
        (films / name).write_bytes(b"x")
    (films / "volume.nii.gz").write_bytes(b"x")
    film(films / "masks" / "m.png", 99)
    found = find_files(films)
    assert found == sorted(found)
    assert len(found) == 14
    assert {"masks/m.png", "volume.nii.gz"} < set(found)
    assert len(find_files(films, ["masks/*", "*.gz", "p0/*"])) == 9


def test_links_to_folders_are_followed_once(films: Path, tmp_path: Path, film: Make) -> None:
    (films / "loop").symlink_to(films)
    film(tmp_path / "elsewhere" / "x.png", 50)
    (films / "linked").symlink_to(tmp_path / "elsewhere")
    assert len(find_files(films)) == 13
    assert "linked/x.png" in find_files(films)


def test_too_many_unreadable_files_stop_with_the_reason(films: Path, tmp_path: Path, index: Make, film: Make) -> None:
    (films / "bad.png").write_bytes(b"")
    message = (
        r"1 of 13 files in '.*films' cannot be used, more than the allowed 5% \(first: .*films/bad.png: empty file "
        r"\(0 bytes\); copy it again.*\). '.*rejected.csv' lists them all: remove or mend them, or raise max_reject"
    )
    with pytest.raises(ValueError, match=message):
        index(films, tmp_path / "out")
    assert len(RejectLog(tmp_path / "out" / "rejected.csv")) == 1
    assert not (tmp_path / "out" / "datalist.json").exists()
    film(films / "bad.png", 77)
    assert len(everything(index(films, tmp_path / "out"))) == 13
    assert len(RejectLog(tmp_path / "out" / "rejected.csv")) == 0


def test_what_cannot_work_is_refused_before_anything_is_read(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Make
) -> None:
    monkeypatch.setattr(verify, "read_radiograph", lambda path: pytest.fail("a file was read"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "t.csv").write_text("name,id\na,b\n")
    (tmp_path / "other.csv").write_text("file,patient\nx.png,A\n")
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (FileNotFoundError, r"none' is not a folder; give the folder", {"folder": tmp_path / "none"}),
        (FileNotFoundError, r"file' is not a folder", {"folder": tmp_path / "file"}),
        (ValueError, r"empty' holds no image file; give a folder with PNG", {"folder": tmp_path / "empty"}),
        (ValueError, r"must be shares with a sum below 1, got 1.0", {"validation": 1.0}),
        (ValueError, r"max_reject must be a share in \[0, 1\], got 5", {"max_reject": 5}),
        (ValueError, r"pattern '\(' is not a regular expression", {"pattern": "("}),
        (ValueError, r"pattern 'q\(\.\)' fits none of the 12 files, such as 'p0/00.png'", {"pattern": "q(.)"}),
        (FileNotFoundError, r"table of patients '.*n.csv' does not exist", {"patients_csv": tmp_path / "n.csv"}),
        (ValueError, r"needs the columns file and patient, got name, id", {"patients_csv": tmp_path / "t.csv"}),
        (ValueError, r"needs the columns file and patient, got none", {"patients_csv": tmp_path / "file"}),
        (ValueError, r"has none of the 12 files, such as 'p0/00.png'", {"patients_csv": tmp_path / "other.csv"}),
        (FileExistsError, r"file", {"out": tmp_path / "file"}),
    ]
    (tmp_path / "file").write_bytes(b"")
    for error, message, options in cases:
        with pytest.raises(error, match=message):
            index(**{"folder": films, "out": tmp_path / "out", **options})


def test_a_folder_without_any_readable_radiograph_says_where_the_reasons_are(tmp_path: Path, index: Make) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds no readable radiograph; '.*rejected.csv' gives the reason"):
        index(tmp_path / "films", tmp_path / "out", max_reject=1.0)
