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
"""What a contributor's tools say agrees: one version of ruff, one changelog, one licence, forms that can be read."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monai_lamps import __version__


@pytest.fixture
def hooks(root: Path) -> dict[str, dict[str, Any]]:
    """The hooks of pre-commit by their name."""
    config = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())
    return {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}


def _pinned(root: Path) -> dict[str, str]:
    return dict(line.split("==") for line in (root / "constraints.txt").read_text().splitlines() if "==" in line)


def test_hooks_have_the_version_of_ruff_that_the_tests_are_run_with(
    root: Path, hooks: dict[str, dict[str, Any]]
) -> None:
    for name in ("ruff", "ruff-format"):
        assert hooks[name]["additional_dependencies"] == [f"ruff=={_pinned(root)['ruff']}"]


def test_hooks_lint_what_ci_lints(root: Path, hooks: dict[str, dict[str, Any]]) -> None:
    ci = (root / ".ci" / "run").read_text()
    for name, command in {"ruff": "ruff check", "ruff-format": "ruff format", "mypy": "mypy monai_lamps"}.items():
        assert hooks[name]["entry"].startswith(command)
        assert f".venv/bin/{command}" in ci


def test_every_hook_that_installs_something_says_which_version(hooks: dict[str, dict[str, Any]]) -> None:
    installed = [
        need for hook in hooks.values() if hook["language"] == "python" for need in hook["additional_dependencies"]
    ]
    assert installed
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", need) for need in installed)


def test_the_changelog_begins_with_this_version_and_has_nothing_empty(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## (\S+)", text, flags=re.MULTILINE)
    assert sections[0] == __version__
    assert len(set(sections)) == len(sections)
    bodies = re.split(r"^#{2,3} .*$", text, flags=re.MULTILINE)[1:]
    assert all(body.strip() for body in bodies)


def test_every_bundle_has_its_version_in_its_changelog(root: Path) -> None:
    files = sorted(root.glob("bundles/*/configs/metadata.json"))
    assert files
    for file in files:
        metadata = json.loads(file.read_text())
        assert metadata["version"] in metadata["changelog"]


def test_the_citation_names_this_version_and_the_papers_of_all_methods(root: Path) -> None:
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == "Apache-2.0"
    methods = {path.name for path in (root / "monai_lamps" / "methods").iterdir() if (path / "__init__.py").is_file()}
    cited = {paper["notes"].lower().replace("-", "_") for paper in citation["references"]}
    assert methods <= cited
    for paper in citation["references"]:
        assert paper["title"]
        assert all(author["family-names"] and author["given-names"] for author in paper["authors"])


def test_forms_ask_something_and_warn_of_patients_data(root: Path) -> None:
    forms = [file for file in (root / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if file.name != "config.yml"]
    assert len(forms) == 3
    for file in forms:
        form = yaml.safe_load(file.read_text())
        assert {"name", "description", "body"} <= form.keys()
        fields = [part for part in form["body"] if part["type"] != "markdown"]
        assert all(part["id"] and part["attributes"]["label"] for part in fields)
        assert any(part.get("validations", {}).get("required") for part in fields)
        if file.name != "idea.yml":
            assert "no radiographs of patients" in " ".join(file.read_text().split())
    assert "no radiographs of patients" in (root / ".github" / "pull_request_template.md").read_text()


def test_links_of_the_contributors_documents_lead_somewhere(root: Path) -> None:
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", (root / name).read_text()) if "://" not in link]
        assert not [link for link in links if not (root / link).exists()]


def test_every_python_file_begins_with_the_licence(root: Path) -> None:
    header = "# Copyright (c) monai_lamps contributors\n# Licensed under the Apache License, Version 2.0"
    folders = ("monai_lamps", "tests", "benchmarks", "docs", "release", "tutorials")
    files = [root / "setup.py", *(file for folder in folders for file in (root / folder).rglob("*.py"))]
    assert len(files) > 300
    assert not [str(file.relative_to(root)) for file in files if not file.read_text().startswith(header)]


def test_no_file_is_larger_than_the_hook_allows(root: Path, hooks: dict[str, dict[str, Any]]) -> None:
    if not (root / ".git").exists():
        pytest.skip("what belongs to the repository is what git knows, and this is no git checkout")
    limit = re.search(r"--maxkb=(\d+)", hooks["check-added-large-files"]["entry"])
    assert limit is not None
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    files = [root / name for name in listed.split("\0") if name and (root / name).is_file()]
    assert files
    assert not [file.name for file in files if file.stat().st_size > int(limit[1]) * 1024]
