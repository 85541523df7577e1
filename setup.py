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
"""How a wheel gets its bundles; all else stands in setup.cfg.

``bundles/``, ``configs/`` and ``comparisons/`` lie beside the package. A wheel carries copies of them in it, which
``python -m monai_lamps copy`` hands out (``monai_lamps.collection``). An editable install finds the originals.
"""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def _carried_patterns() -> tuple[str, ...]:
    """``monai_lamps.collection.CARRIED``, read without importing the package and what it needs."""
    module = ast.parse((ROOT / "monai_lamps" / "collection.py").read_text(encoding="utf-8"))
    (value,) = [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["CARRIED"]
    ]
    return tuple(ast.literal_eval(value))


class BuildWithCollection(build_py):
    """Builds the package, and copies what comes with it into it."""

    def run(self) -> None:
        """Build; in an editable install nothing is copied."""
        super().run()
        if self.editable_mode:
            return
        shutil.rmtree(self._folder, ignore_errors=True)  # what an earlier build left
        for source, target in self._carried().items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """The files that are built."""
        files: list[str] = super().get_outputs(include_bytecode)
        return files if self.editable_mode else files + [str(target) for target in self._carried().values()]

    @property
    def _folder(self) -> Path:
        return Path(self.build_lib) / "monai_lamps" / "_collection"

    def _carried(self) -> dict[Path, Path]:
        files = [file for pattern in _carried_patterns() for file in sorted(ROOT.glob(pattern))]
        return {file: self._folder / file.relative_to(ROOT) for file in files if file.is_file()}


setup(cmdclass={"build_py": BuildWithCollection})
