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
"""Every notebook of tutorials/ runs, is stored without outputs, and says how to go on with data of one's own."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"
NOTEBOOKS = sorted(path.name for path in TUTORIALS.glob("*.ipynb"))
#: a notebook is to take less than five minutes on two cores; on a busy machine it gets some more
SECONDS = 480
LAST_HEADING = "## On your own data, at full size"

every_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((TUTORIALS / name).read_text(encoding="utf-8"))
    return content


def _text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _markdown(name: str) -> str:
    return "\n".join(_text(cell) for cell in _read(name)["cells"] if cell["cell_type"] == "markdown")


def _commands(text: str) -> list[str]:
    """The lines of all bash blocks, with lines that go on joined."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@every_notebook
def test_notebook_runs_to_its_end_and_leaves_no_file_beside_it(runner: ModuleType, name: str) -> None:
    before = {path for path in TUTORIALS.rglob("*") if "__pycache__" not in path.parts}
    executed = runner.execute(TUTORIALS / name, SECONDS)
    assert {path for path in TUTORIALS.rglob("*") if "__pycache__" not in path.parts} == before
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(picture.startswith(b"\x89PNG") for picture in runner.figures(executed).values())


@every_notebook
def test_notebook_is_stored_without_outputs(name: str) -> None:
    content = _read(name)
    for cell in content["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    assert set(content["metadata"]) <= {"kernelspec", "language_info"}
    assert content["metadata"]["kernelspec"] == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    assert content["metadata"]["language_info"] == {"name": "python"}
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids)


@every_notebook
def test_notebook_has_a_title_and_ends_with_the_way_to_full_size(name: str) -> None:
    cells = _read(name)["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert _text(cells[0]).startswith("# ")
    assert cells[-1]["cell_type"] == "markdown"
    assert _text(cells[-1]).startswith(LAST_HEADING + "\n")
    assert "```" in _text(cells[-1])


@every_notebook
def test_commands_of_a_notebook_name_files_and_options_that_exist(root: Path, name: str) -> None:
    for command in _commands(_markdown(name)):
        if "monai.bundle run" not in command:
            continue
        words = shlex.split(command)
        files = [root / file for file in re.findall(r"[^\[\]',\s]+", words[words.index("--config_file") + 1])]
        known = {"config_file", "bundle_root"}
        for file in files:
            known |= {re.split("#|::", key.lstrip("+"))[0] for key in json.loads(file.read_text())}
        used = {re.split("#|::", word[2:])[0] for word in words if word.startswith("--") and "_per_node" not in word}
        assert used - {"nnodes", "standalone"} <= known, f"{used - known} in: {command}"


@every_notebook
def test_commands_of_the_package_in_a_notebook_have_their_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in _commands(_markdown(name)):
        words = shlex.split(command)
        if words[:2] != ["python", "-m"] or not words[2].startswith("monai_lamps."):
            continue
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"{words[2]}.__main__").main([words[3], "--help"])
        assert ended.value.code == 0, command
        described = capsys.readouterr().out
        assert all(word in described for word in words if word.startswith("--")), command


@every_notebook
def test_links_of_a_notebook_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", _markdown(name)):
        assert target.startswith("https://") or (TUTORIALS / target).exists(), target


def test_figures_are_those_that_the_notebooks_draw_and_small(runner: ModuleType) -> None:
    read = runner.nbformat.read
    named = [figure for name in NOTEBOOKS for figure in runner.figure_names(read(TUTORIALS / name, as_version=4))]
    assert len(set(named)) == len(named)
    kept = {path.stem: path for path in (TUTORIALS / "figures").iterdir()}
    assert set(named) == set(kept), "draw them anew: python tutorials/run.py --figures"
    assert all(path.suffix == ".png" and path.stat().st_size < 150_000 for path in kept.values())


def test_readme_of_the_folder_names_every_notebook() -> None:
    links = re.findall(r"\]\((\w+\.ipynb)\)", (TUTORIALS / "README.md").read_text(encoding="utf-8"))
    assert links == NOTEBOOKS
