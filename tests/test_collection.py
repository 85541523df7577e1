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
import subprocess
import sys
from pathlib import Path

import pytest

from monai_lamps.__main__ import main
from monai_lamps.collection import CARRIED, bundle_names, bundle_title, collection_root, copy_collection


def _files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_all_bundles_of_the_checkout_are_known_with_their_titles(root: Path) -> None:
    folders = sorted(path.name for path in (root / "bundles").iterdir() if (path / "configs").is_dir())
    assert bundle_names() == folders
    assert bundle_title("lamps_pretraining") == "Lamps pretraining on chest radiographs"


def test_everything_is_copied_as_it_lies_in_the_repository(root: Path, tmp_path: Path) -> None:
    files = copy_collection(tmp_path / "mine")
    copied = _files(tmp_path / "mine")
    assert {file.relative_to(tmp_path / "mine").as_posix() for file in files} == copied
    expected = {file.relative_to(root).as_posix() for pattern in CARRIED for file in root.glob(pattern)}
    assert copied == expected
    assert {"configs/protocols/few_shot.json", "comparisons/jsrt_few_shot.json"} <= copied
    for name in copied:
        assert (tmp_path / "mine" / name).read_bytes() == (root / name).read_bytes()


def test_one_bundle_comes_with_all_presets(tmp_path: Path) -> None:
    copy_collection(tmp_path, ["radiograph_segmentation"])
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["radiograph_segmentation"]
    assert (tmp_path / "configs" / "encoders" / "swin_tiny.json").is_file()
    assert (tmp_path / "bundles" / "radiograph_segmentation" / "LICENSE").is_file()


def test_what_was_edited_is_kept_and_nothing_is_copied_beside_it(tmp_path: Path) -> None:
    copy_collection(tmp_path, ["lamps_pretraining"])
    edited = tmp_path / "bundles" / "lamps_pretraining" / "configs" / "quickstart.json"
    edited.write_text("{}")
    with pytest.raises(FileExistsError, match=r"quickstart\.json' would be overwritten.* take another folder, or"):
        copy_collection(tmp_path)
    assert edited.read_text() == "{}"
    assert not (tmp_path / "bundles" / "adam_pretraining").exists()
    copy_collection(tmp_path, replace=True)
    assert json.loads(edited.read_text())["phantoms"] > 0
    assert (tmp_path / "bundles" / "adam_pretraining").is_dir()


def test_several_edited_files_are_counted(tmp_path: Path) -> None:
    for file in copy_collection(tmp_path, ["lamps_pretraining"])[:3]:
        file.write_text("mine")
    with pytest.raises(FileExistsError, match="and 2 more would be overwritten"):
        copy_collection(tmp_path)


def test_copying_again_changes_nothing(tmp_path: Path) -> None:
    first = copy_collection(tmp_path, ["adam_pretraining"])
    times = [file.stat().st_mtime_ns for file in first]
    assert copy_collection(tmp_path, ["adam_pretraining"]) == first
    assert [file.stat().st_mtime_ns for file in first] == times


def test_a_misspelt_bundle_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no bundle 'lamp_pretraining'; did you mean 'lamps_pretraining'\? There are: "
    ):
        copy_collection(tmp_path, ["lamp_pretraining"])
    with pytest.raises(ValueError, match=r"no bundle 'xyz'\. There are: adam_pretraining, "):
        copy_collection(tmp_path, ["xyz"])
    assert not _files(tmp_path)


def test_the_copies_in_an_installed_package_come_first(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "monai_lamps"
    with pytest.raises(FileNotFoundError, match=r"no bundles in '.*_collection' and none beside the package"):
        collection_root(package)
    for root in (tmp_path / "site-packages", package / "_collection"):
        copy_collection(root, ["lamps_pretraining"])
        assert collection_root(package) == root


def test_the_commands_list_and_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == bundle_names()
    assert main(["copy", "anatomy_evaluation", "--to", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "anatomy_evaluation, presets and comparison plans: " in said
    command = said.splitlines()[-1]
    assert "'bundles/anatomy_evaluation/configs/evaluate.json'" in command
    assert (tmp_path / "bundles/anatomy_evaluation/configs/quickstart.json").is_file()


def test_every_bundle_has_the_quickstart_that_the_command_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in bundle_names():
        assert main(["copy", name, "--to", str(tmp_path)]) == 0
        files = capsys.readouterr().out.splitlines()[-1].split('"')[1].strip("[]").replace("'", "").split(",")
        assert all((tmp_path / file).is_file() for file in files)


def test_errors_of_use_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "xyz", "--to", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: there is no bundle 'xyz'.")
    (tmp_path / "file").write_text("")
    assert main(["copy", "--to", str(tmp_path / "file")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_command_answers_without_torch_and_monai() -> None:
    program = (
        "import sys, monai_lamps.__main__ as m; m.main(['bundles']); "
        "print([name for name in ('torch', 'monai', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
