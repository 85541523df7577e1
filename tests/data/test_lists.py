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
from pathlib import Path

import pytest

from monai_lamps.data.__main__ import main
from monai_lamps.data.datalist import load_datalist
from monai_lamps.data.lists import LIST_KINDS, XRAY14_CLASSES, read_list_file


def films(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"film")
    return folder


def listed(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_there_are_fourteen_classes_in_the_published_order() -> None:
    assert len(XRAY14_CLASSES) == len(set(XRAY14_CLASSES)) == LIST_KINDS["xray14"] == 14
    assert (XRAY14_CLASSES[0], XRAY14_CLASSES[6], XRAY14_CLASSES[13]) == ("Atelectasis", "Pneumonia", "Hernia")


def test_xray14_has_fourteen_labels_after_spaces(tmp_path: Path) -> None:
    films(tmp_path, "00000001_000.png", "00000002_000.png")
    one, two = "0 1 0 0 0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0 0 0 0 1"
    items = read_list_file(listed(tmp_path, f"00000001_000.png {one}\n00000002_000.png {two}"), tmp_path, "xray14")
    assert items == [
        {
            "image": str(tmp_path / f"{patient}_000.png"),
            "label": label,
            "labels": dict(zip(XRAY14_CLASSES, label, strict=True)),
            "patient": patient,
        }
        for patient, label in (("00000001", [0, 1] + [0] * 12), ("00000002", [0] * 13 + [1]))
    ]


def test_images_of_one_patient_of_xray14_stay_in_one_section(tmp_path: Path) -> None:
    names = [f"{patient:08}_{number:03}.png" for patient in range(10) for number in range(4)]
    films(tmp_path / "films", *names)
    path, out = listed(tmp_path, "\n".join(f"{name} " + " ".join("0" * 14) for name in names)), tmp_path / "o.json"
    assert main(["list", str(path), "--kind", "xray14", "--base", str(tmp_path / "films"), "--out", str(out)]) == 0
    sections = json.loads(out.read_text())
    training, validation = ({item["patient"] for item in sections[name]} for name in ("training", "validation"))
    assert (len(training), len(validation)) == (9, 1)
    assert not training & validation


def test_shenzhen_has_a_label_after_a_comma(tmp_path: Path) -> None:
    films(tmp_path, "CHNCXR_0001_0.png", "CHNCXR_0330_1.png")
    items = read_list_file(listed(tmp_path, "CHNCXR_0001_0.png,0\nCHNCXR_0330_1.png,1\n"), tmp_path, "shenzhen")
    assert [item["label"] for item in items] == [[0], [1]]
    assert [item["labels"] for item in items] == [{"tuberculosis": 0}, {"tuberculosis": 1}]
    assert items[1]["image"] == str(tmp_path / "CHNCXR_0330_1.png")


def test_rsna_has_uuids_and_three_classes(tmp_path: Path) -> None:
    name = "0004cfab-14fd-4e49-80ba-63a80b6bddd6.png"
    films(tmp_path, name)
    assert read_list_file(listed(tmp_path, f"{name} 2"), tmp_path, "rsna") == [
        {"image": str(tmp_path / name), "label": [2]}
    ]


@pytest.mark.parametrize(("kind", "count"), [("vindr", 6), ("vindr_local", 22)])
def test_vindr_has_no_extension_but_carriage_returns_and_trailing_spaces(tmp_path: Path, kind: str, count: int) -> None:
    films(
        tmp_path, "train_jpeg/000434271f63a053c4128a0ba6352c7f.jpg", "train_jpeg/00053190460d56c53cc3e57321387478.jpeg"
    )
    labels = " ".join("1" if n == 2 else "0" for n in range(count))
    stems = ("000434271f63a053c4128a0ba6352c7f", "00053190460d56c53cc3e57321387478")
    text = "".join(f"train_jpeg/{stem} {labels} \r\n" for stem in stems)
    items = read_list_file(listed(tmp_path, text), tmp_path, kind)
    assert [Path(item["image"]).suffix for item in items] == [".jpg", ".jpeg"]
    assert items[0]["label"] == [1 if n == 2 else 0 for n in range(count)]


def test_paths_drop_labels_and_complete_extensions(tmp_path: Path) -> None:
    films(tmp_path, "a.png", "siim/1.2.3.dcm", "plco/b.tif", "c.jpg", "v.nii.gz")
    text = "a.png 0 1 0\r\nsiim/1.2.3.dcm\r\n\r\nplco/b,1,0\nc 0.5 -1\nv"
    items = read_list_file(listed(tmp_path, text), str(tmp_path))
    assert [Path(item["image"]).name for item in items] == ["a.png", "1.2.3.dcm", "b.tif", "c.jpg", "v.nii.gz"]
    assert all(set(item) == {"image"} for item in items)


def test_file_names_with_spaces_digits_and_commas_are_kept(tmp_path: Path) -> None:
    names = ["my film 12.png", "scan 3.png", "scan 3 1.png", "a,b.png"]
    films(tmp_path, *names, "series 7", "series 7 2.png")
    assert [Path(i["image"]).name for i in read_list_file(listed(tmp_path, "\n".join(names)), tmp_path)] == names
    items = read_list_file(listed(tmp_path, "\n".join(f"{name} 1" for name in names)), tmp_path, "rsna")
    assert [(Path(item["image"]).name, item["label"]) for item in items] == [(name, [1]) for name in names]
    items = read_list_file(listed(tmp_path, "series 7 1\nseries 7 2 0\n"), tmp_path, "shenzhen")
    assert [(Path(i["image"]).name, i["label"]) for i in items] == [("series 7", [1]), ("series 7 2.png", [0])]
    items = read_list_file(listed(tmp_path, "series 7\nseries 7 2\n"), tmp_path)
    assert [Path(i["image"]).name for i in items] == ["series 7", "series 7 2.png"]


def test_a_byte_order_mark_and_latin_names_are_read(tmp_path: Path) -> None:
    films(tmp_path, "ü.png")
    assert len(read_list_file(listed(tmp_path, b"\xef\xbb\xbf\xc3\xbc.png\r\n"), tmp_path)) == 1


def test_without_check_paths_are_taken_as_they_are(tmp_path: Path) -> None:
    items = read_list_file(listed(tmp_path, "none.png 1\n"), "/films", "rsna", check=False)
    assert items == [{"image": "/films/none.png", "label": [1]}]


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ("a.png 0 1\n", "xray14", r"line 1: expected 14 labels for 'xray14', got 2: 'a.png 0 1'"),
        ("a.png 1\na.png 1 0\n", "rsna", r"line 2: expected 1 labels for 'rsna', got 2"),
        (
            "a.png\n",
            "shenzhen",
            r"line 1: expected 1 labels for 'shenzhen', got 0: 'a.png'; a list of names alone is 'paths'",
        ),
        (" \r\n\n", "paths", "is empty"),
        ("a.png", "chexpert", r"unknown kind of list 'chexpert', valid kinds are paths, xray14"),
    ],
)
def test_bad_lists_are_refused_by_line(tmp_path: Path, content: str, kind: str, message: str) -> None:
    films(tmp_path, "a.png")
    with pytest.raises(ValueError, match=message):
        read_list_file(listed(tmp_path, content), tmp_path, kind)


def test_missing_images_and_lists_are_named(tmp_path: Path) -> None:
    films(tmp_path, "a.png")
    with pytest.raises(FileNotFoundError, match=r"line 2: no image '.*/b.png', with or without an extension"):
        read_list_file(listed(tmp_path, "a.png\nb.png\n"), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"list file '.*none.txt' does not exist"):
        read_list_file(tmp_path / "none.txt", tmp_path)


def test_the_command_writes_a_datalist_whose_split_does_not_depend_on_the_place(tmp_path: Path) -> None:
    splits = []
    for place in ("one", "two"):
        folder = films(tmp_path / place, *(f"{n}.png" for n in range(30)))
        path = listed(folder, "".join(f"{n}.png {n % 3}\n" for n in range(30)))
        out = tmp_path / f"{place}.json"
        assert main(["list", str(path), "--kind", "rsna", "--out", str(out), "--validation", "0.3"]) == 0
        training, validation = load_datalist(out), load_datalist(out, "validation")
        assert len(training) + len(validation) == 30
        assert all(Path(item["image"]).is_file() for item in training)
        assert all(item["label"] == [int(Path(item["image"]).stem) % 3] for item in training)
        splits.append({Path(item["image"]).name for item in validation})
    assert splits[0] == splits[1] != set()


def test_the_command_names_a_missing_image_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = listed(tmp_path, "none.png\n")
    assert main(["list", str(path), "--out", str(tmp_path / "o.json"), "--base", str(tmp_path / "films")]) == 2
    text = capsys.readouterr().err
    assert text == f"error: '{path}' line 1: no image '{tmp_path}/films/none.png', with or without an extension.\n"
    assert not (tmp_path / "o.json").exists()
