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
"""What is released works: the wheel, built from the sdist, in an environment of its own and outside the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest


def test_the_wheel_hands_out_the_bundles_and_runs_the_quickstart_outside_the_repository(
    root: Path, tmp_path: Path
) -> None:
    if not (root / ".git").exists():
        pytest.skip("what is released is what git knows, and this is no git checkout")
    command = [sys.executable, str(root / "release" / "check.py"), "--dependencies", "borrow", "--quick"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "release: running the quickstart of the README in an empty folder" in lines
    assert lines[-1] == "release: fit to be released"

    (sdist,), (wheel,) = tmp_path.glob("*.tar.gz"), tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = json.loads(archive.read("monai_lamps/_collection/bundles/lamps_pretraining/configs/metadata.json"))
    assert metadata == json.loads((root / "bundles/lamps_pretraining/configs/metadata.json").read_text())
    assert "monai_lamps/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "bundles/", "configs/"))]
    with tarfile.open(sdist) as archive:
        files = [name.split("/", 1)[-1] for name in archive.getnames()]
    assert {"tests/release/test_wheel.py", ".ci/run", "constraints.txt", "bundles/lamps_pretraining/LICENSE"} <= {
        *files
    }


def _small_checkout(folder: Path, version: str = "1.2.3") -> Path:
    files = {
        "monai_lamps/version.py": f'__version__ = "{version}"\n',
        "monai_lamps/data/x.py": "",
        "CITATION.cff": "cff-version: 1.2.0\nversion: 1.2.3\n",
        "CHANGELOG.md": "# Changelog\n\n## 1.2.3\n\n## 1.2.2\n",
        "bundles/a/configs/metadata.json": '{"required_packages_version": {"monai_lamps": "1.2.3"}}',
        "configs/b.json": "{}",
        "README.md": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_version_that_stands_somewhere_else_is_found(check: ModuleType, tmp_path: Path) -> None:
    assert check.version_findings(_small_checkout(tmp_path)) == []
    _small_checkout(tmp_path, "1.3.0")
    (tmp_path / "CITATION.cff").unlink()
    assert check.version_findings(tmp_path) == [
        "CITATION.cff says version nothing, it is missing, monai_lamps/version.py 1.3.0",
        "CHANGELOG.md (first section) says version 1.2.3, monai_lamps/version.py 1.3.0",
        "bundles/a/configs/metadata.json says version 1.2.3, monai_lamps/version.py 1.3.0",
    ]


def test_what_a_wheel_lacks_and_what_does_not_belong_into_it_is_found(check: ModuleType, tmp_path: Path) -> None:
    files = {"monai_lamps/version.py", "monai_lamps/data/x.py", "bundles/a/configs/metadata.json", "README.md"}
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        for name in ("monai_lamps/version.py", "monai_lamps/data/x.py", "tests/y.py", "monai_lamps-1.dist-info/RECORD"):
            archive.writestr(name, "")
    assert check.wheel_findings(tmp_path / "a.whl", files) == [
        "the wheel lacks monai_lamps/_collection/bundles/a/configs/metadata.json",
        "the wheel has tests/y.py, which is not in the checkout",
    ]


def test_what_an_sdist_lacks_is_found(check: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "README.md", "monai_lamps-1/README.md")
    assert check.sdist_findings(tmp_path / "a.tar.gz", {"README.md", "tests/x.py"}) == ["the sdist lacks tests/x.py"]


def test_only_what_git_knows_or_would_take_up_is_built(check: ModuleType, tmp_path: Path) -> None:
    source = _small_checkout(tmp_path / "source")
    with pytest.raises(RuntimeError, match=r"is no git checkout .* clone the repository and try there"):
        check.copied_checkout(source, tmp_path / "no")
    subprocess.run(["git", "init", "--quiet", str(source)], check=True)
    (source / ".gitignore").write_text("*.bin\n")
    (source / "weights.bin").write_text("")
    subprocess.run(["git", "-C", str(source), "add", "README.md", "configs"], check=True)
    (source / "configs" / "b.json").unlink()
    copy = check.copied_checkout(source, tmp_path / "copy")
    assert (copy / "monai_lamps" / "data" / "x.py").is_file()
    assert not (copy / "weights.bin").exists()
    assert not (copy / "configs").exists()


def test_the_quickstart_is_the_command_of_the_readme(check: ModuleType, root: Path) -> None:
    command = check.quickstart_command((root / "README.md").read_text())
    assert command[:3] == ["-m", "monai.bundle", "run"]
    assert "--output_dir" in command
    with pytest.raises(ValueError, match=r"README\.md needs one 'python -m monai\.bundle run' in the block after"):
        check.quickstart_command("# A README without it")


def test_a_package_from_elsewhere_is_not_taken_for_the_wheel(check: ModuleType, root: Path, tmp_path: Path) -> None:
    program = tmp_path / "environment" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho /elsewhere/monai_lamps/__init__.py\n")
    program.chmod(0o755)
    (found,) = check.quickstart_findings(program, tmp_path / "run", root, True)
    assert found == "the environment imports monai_lamps from '/elsewhere/monai_lamps/__init__.py', not from the wheel"


def test_a_command_that_fails_ends_the_check_with_what_it_said(check: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError, match=r"(?s)No module named build_of_nothing.*ended with 1: .* -m build_of_nothing"
    ):
        check._run([sys.executable, "-m", "build_of_nothing"])


def test_findings_are_told_a_line_each_and_the_status_is_1(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "_check", lambda work, options: ["the sdist lacks a", "the sdist lacks b"])
    assert check.main([]) == 1
    said = capsys.readouterr()
    assert said.err == "release: the sdist lacks a\nrelease: the sdist lacks b\n"
    assert said.out == "release: not fit to be released\n"


def test_what_stops_the_check_is_a_finding_too(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "ROOT", tmp_path)
    assert check.main([]) == 1
    assert "is no git checkout" in capsys.readouterr().err
