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
"""What runs the notebooks: tutorials/run.py."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat.v4 import new_code_cell, new_notebook

#: a PNG file of one pixel
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
DRAW = f"from base64 import b64decode\nfrom IPython.display import Image\nImage(b64decode('{DOT}'))"


def _write(folder: Path, *sources: str, tags: tuple[str, ...] = (), name: str = "01_some.ipynb") -> Path:
    cells = [new_code_cell(source, metadata={"tags": list(tags)}) for source in sources]
    path = folder / name
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_notebook_runs_in_its_own_folder_with_the_running_interpreter(runner: ModuleType, tmp_path: Path) -> None:
    path = _write(tmp_path, "import os, sys\nprint(sys.executable, os.getcwd(), sep='\\n')")
    before = path.read_bytes()
    executed = runner.execute(path)
    assert executed.cells[0].outputs[0].text.split() == [sys.executable, str(tmp_path)]
    assert path.read_bytes() == before


def test_error_of_a_cell_is_raised_with_its_text(runner: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="the mend is this"):
        runner.execute(_write(tmp_path, "1 + 1", "raise ValueError('the mend is this')"))


def test_time_limit_holds_for_all_cells_together(runner: ModuleType, tmp_path: Path) -> None:
    path = _write(tmp_path, "import time\ntime.sleep(2)", "time.sleep(60)")
    with pytest.raises(CellTimeoutError):
        runner.execute(path, seconds=4)


def test_figure_is_the_picture_of_its_tagged_cell(runner: ModuleType, tmp_path: Path) -> None:
    executed = runner.execute(_write(tmp_path, DRAW, tags=("figure:dot",)))
    drawn = runner.figures(executed)
    assert list(drawn) == ["dot"]
    assert drawn["dot"].startswith(b"\x89PNG")


def test_figures_of_matplotlib_come_whatever_backend_the_shell_has(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    path = _write(tmp_path, "import matplotlib.pyplot as plt\nplt.figure()\nplt.plot([0, 1])", tags=("figure:line",))
    assert runner.figures(runner.execute(path))["line"].startswith(b"\x89PNG")


def test_tagged_cell_without_a_picture_is_an_error(runner: ModuleType, tmp_path: Path) -> None:
    executed = nbformat.read(_write(tmp_path, "1 + 1", tags=("figure:none",)), as_version=4)
    with pytest.raises(ValueError, match="the cell of the figure 'none' has drawn nothing"):
        runner.figures(executed)


def test_notebooks_are_found_by_the_beginning_of_their_names(runner: ModuleType, tmp_path: Path) -> None:
    second, first = (_write(tmp_path, "1", name=name) for name in ("02_b.ipynb", "01_a.ipynb"))
    assert runner.notebooks(tmp_path) == [first, second]
    assert runner.notebooks(tmp_path, ["02"]) == [second]
    with pytest.raises(ValueError, match=r"no notebook begins with '07'; there are 01_a.ipynb, 02_b.ipynb\."):
        runner.notebooks(tmp_path, ["07"])


def test_command_runs_notebooks_and_writes_their_figures(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path, DRAW, tags=("figure:dot",))
    (tmp_path / "figures").mkdir()
    monkeypatch.setattr(runner, "FOLDER", tmp_path)
    assert runner.main(["01", "--figures"]) == 0
    assert "01_some.ipynb: " in capsys.readouterr().out
    assert (tmp_path / "figures" / "dot.png").read_bytes().startswith(b"\x89PNG")
