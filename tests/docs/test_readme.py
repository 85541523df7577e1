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
import re
import shlex
from pathlib import Path

import pytest

DOCUMENTS = [
    "README.md",
    "bundles/lamps_pretraining/docs/README.md",
    "bundles/adam_pretraining/docs/README.md",
    "bundles/coda_pretraining/docs/README.md",
    "bundles/radlas_pretraining/docs/README.md",
    "bundles/anatomy_evaluation/docs/README.md",
    "bundles/radiograph_segmentation/docs/README.md",
    "bundles/radiograph_classification/docs/README.md",
]


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def _configs(command: str) -> list[str]:
    words = shlex.split(command)
    value = words[words.index("--config_file") + 1]
    return re.findall(r"[^\[\]',\s]+", value)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_examples_run(root: Path, document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = _blocks((root / document).read_text(), "python")
    for block in blocks:
        exec(compile(block, document, "exec"), {})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_bundle_commands_name_files_and_options_that_exist(root: Path, document: str) -> None:
    commands = [line for block in _blocks((root / document).read_text(), "bash") for line in block.splitlines()]
    commands = [line for line in commands if "monai.bundle run" in line]
    assert commands
    for command in commands:
        files = [root / name for name in _configs(command)]
        known = {"config_file", "bundle_root"}
        for file in files:
            known |= {re.split("#|::", key.lstrip("+"))[0] for key in json.loads(file.read_text())}
        used = set(re.findall(r"\s--(\w+)", command.split("monai.bundle run", 1)[1]))
        assert used <= known, f"{used - known} in: {command}"


def test_ci_runs_the_test_command_of_the_readme(root: Path) -> None:
    readme = (root / "README.md").read_text()
    command = re.search(r"<!-- test command -->\n```bash\n(.*?)\n```", readme)
    assert command is not None
    assert "pytest" in command[1]
    assert "<!-- test command -->" in (root / ".ci" / "run").read_text()


def test_options_of_the_readme_are_ids_of_the_bundle(root: Path) -> None:
    readme = (root / "README.md").read_text()
    known = set(json.loads((root / "bundles/lamps_pretraining/configs/train.json").read_text()))
    table = readme[readme.index("| option |") : readme.index("A misspelt option")]
    options = set(re.findall(r"--(\w+)", table)) - {"dataset_dir"}
    assert options
    assert options <= known
