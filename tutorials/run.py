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
"""Runs the notebooks of this folder from their first cell to the last, as a reader would, and keeps their figures.

    python tutorials/run.py                # all notebooks
    python tutorials/run.py 01 03          # those that begin so
    python tutorials/run.py 01 --figures   # and write tutorials/figures/NAME.png

A cell with the tag ``figure:NAME`` draws the figure ``NAME``. The notebooks themselves are never written.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

__all__ = ["execute", "figure_names", "figures", "main", "notebooks"]

FOLDER = Path(__file__).resolve().parent
_TAG = "figure:"
_INLINE = "module://matplotlib_inline.backend_inline"  # pictures go into the notebook, whatever the shell says


class _ThisPython(AsyncKernelManager):
    """Starts the kernel with the interpreter that runs this, whichever kernels are installed on the machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


def notebooks(folder: Path = FOLDER, names: Sequence[str] = ()) -> list[Path]:
    """The notebooks of a folder in their reading order.

    Args:
        folder: where they lie.
        names: beginnings of file names; none for all.

    Raises:
        ValueError: when no notebook begins with one of the names.
    """
    found = sorted(folder.glob("*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in found):
            raise ValueError(f"no notebook begins with '{name}'; there are {', '.join(p.name for p in found)}.")
    return [path for path in found if not names or path.name.startswith(tuple(names))]


def execute(path: Path, seconds: int = 300) -> NotebookNode:
    """Run a notebook in its own folder with a fresh kernel of the running interpreter.

    Args:
        path: the notebook; it is not changed.
        seconds: limit for all cells together.

    Returns:
        the notebook with outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: at the first cell that fails, with its traceback.
        nbclient.exceptions.CellTimeoutError: when the limit is reached.
    """
    notebook = nbformat.read(path, as_version=4)
    end = time.monotonic() + seconds
    client = NotebookClient(
        notebook,
        kernel_manager_class=_ThisPython,
        timeout_func=lambda _cell: max(1, round(end - time.monotonic())),
        startup_timeout=120,
        resources={"metadata": {"path": str(path.parent)}},
    )
    return client.execute(env={**os.environ, "MPLBACKEND": _INLINE})


def figure_names(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The figures that a notebook keeps: their names, and the cells that draw them."""
    return {
        tag.removeprefix(_TAG): cell
        for cell in notebook.cells
        for tag in cell.metadata.get("tags", [])
        if tag.startswith(_TAG)
    }


def figures(notebook: NotebookNode) -> dict[str, bytes]:
    """The figures of an executed notebook as PNG files, by name: the last picture of each tagged cell.

    Raises:
        ValueError: when a tagged cell has drawn nothing.
    """
    drawn = {}
    for name, cell in figure_names(notebook).items():
        pictures = list(_pictures(cell))
        if not pictures:
            raise ValueError(f"the cell of the figure '{name}' has drawn nothing; end it with a picture.")
        drawn[name] = pictures[-1]
    return drawn


def _pictures(cell: NotebookNode) -> Iterator[bytes]:
    for output in cell.outputs:
        picture = output.get("data", {}).get("image/png")
        if picture is not None:
            yield base64.b64decode(picture)


def _with_fewer_colours(picture: bytes) -> bytes:
    """A PNG file of 256 colours, which for greys and a few lines is as good and a third as large."""
    smaller = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256).save(smaller, format="PNG", optimize=True)
    return smaller.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run notebooks and say how long each took.

    Returns:
        0; a failing cell raises.
    """
    parser = argparse.ArgumentParser(description="Run the notebooks of this folder.")
    parser.add_argument("names", nargs="*", help="beginnings of file names; none for all")
    parser.add_argument("--figures", action="store_true", help="write the figures of the tagged cells to figures/")
    parser.add_argument("--seconds", type=int, default=300, help="limit for each notebook")
    options = parser.parse_args(arguments)
    for path in notebooks(FOLDER, options.names):
        started = time.monotonic()
        executed = execute(path, options.seconds)
        print(f"{path.name}: {time.monotonic() - started:.0f} s", flush=True)
        if options.figures:
            for name, picture in figures(executed).items():
                (FOLDER / "figures" / f"{name}.png").write_bytes(_with_fewer_colours(picture))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
