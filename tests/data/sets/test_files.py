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

from pathlib import Path

import pytest

from monai_lamps.data.sets.files import find, index_files, locate, read_table


def test_a_set_may_lie_two_folders_below(tmp_path: Path) -> None:
    assert find(tmp_path, ["train.csv"]) is None
    deep = tmp_path / "a" / "b" / "train.csv"
    deep.parent.mkdir(parents=True)
    deep.touch()
    assert find(tmp_path, ["train.csv"]) == deep
    near = tmp_path / "train.csv"
    near.touch()
    assert find(tmp_path, ["train.csv"]) == near


def test_the_first_name_is_preferred(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).touch()
    assert find(tmp_path, ["two.csv", "one.csv"]) == tmp_path / "two.csv"


def test_two_copies_of_a_set_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.csv").touch()
    with pytest.raises(
        ValueError, match=r"holds several 'train.csv': .*a/train.csv, .*b/train.csv; give the folder of the"
    ):
        find(tmp_path, ["train.csv"])


def test_what_is_not_there_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"has no 'a.csv' or 'b.csv' \(the table\), nor has any folder up to two below it"
    ):
        locate(tmp_path, ["a.csv", "b.csv"], "the table")
    with pytest.raises(
        FileNotFoundError, match=r"'.*nowhere' is not a folder; give the folder that the set was unpacked"
    ):
        locate(tmp_path / "nowhere", ["a.csv"], "the table")


def test_files_are_indexed_by_name_hidden_ones_left_out_and_formats_preferred(tmp_path: Path) -> None:
    for name in ("a/x.PNG", "b/y.png", "b/y.jpg", ".hidden/z.png", "b/._y.png", "c/y.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = index_files([tmp_path], [".jpg", ".png"], lambda path: path.stem)
    assert found == {"x": tmp_path / "a/x.PNG", "y": tmp_path / "b/y.jpg"}
    found = index_files([tmp_path], [".png", ".jpg"], lambda path: path.stem)
    assert found["y"] == tmp_path / "b/y.png"


def test_two_files_of_a_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").touch()
    with pytest.raises(
        ValueError, match=r"'x.png' lies both at '.*a/x.png' and at '.*b/x.png'; move one of the copies"
    ):
        index_files([tmp_path], [".png"])


def test_names_and_values_of_a_table_lose_their_spaces_and_the_mark_of_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfImageId, EncodedPixels\r\na, -1\r\n\r\n"b,c", 1 2\r\n')
    assert read_table(path, ["ImageId", "EncodedPixels"]) == [
        {"ImageId": "a", "EncodedPixels": "-1"},
        {"ImageId": "b,c", "EncodedPixels": "1 2"},
    ]


def test_a_table_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(FileNotFoundError, match=r"table '.*t.csv' does not exist; download it with the set"):
        read_table(path, ["a"])
    path.write_text("")
    with pytest.raises(ValueError, match=r"t.csv' has no column 'a'; it has none"):
        read_table(path, ["a"])
    path.write_text("a,b\n")
    with pytest.raises(ValueError, match=r"t.csv' has no rows; download it again"):
        read_table(path, ["a"])
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(ValueError, match=r"t.csv' has fewer values than columns in row 3; download it again"):
        read_table(path, ["a", "b"])
