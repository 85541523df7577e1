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
"""The documentation site builds without warnings, and what it says of commands, options and messages is so."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from docutils import nodes

import monai_lamps.transforms

EXTENSIONS = ["api_pages", "command_pages", "configuration_pages", "mathml", "option_texts", "repository_text"]


@pytest.fixture(scope="module")
def extensions(root: Path) -> Iterator[dict[str, ModuleType]]:
    """The modules that make the pages, as docs/conf.py finds them."""
    sys.path.insert(0, str(root / "docs" / "extensions"))
    try:
        yield {name: __import__(name) for name in EXTENSIONS}
    finally:
        sys.path.remove(str(root / "docs" / "extensions"))


class Page(HTMLParser):
    """What a page refers to: ids it has, links, and what a browser loads with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.math = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given["id"]} if "id" in given else set()
        self.math += tag == "math"
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("img", "script", "source", "iframe") and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.append(given["href"])


def _pages(folder: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}


def _broken(pages: dict[Path, Page]) -> list[str]:
    """Links and files of pages that lead nowhere, and files that are loaded from elsewhere."""
    found = []
    resolved = {path.resolve(): page for path, page in pages.items()}
    for path, page in pages.items():
        for target in [*page.links, *page.loaded]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if target in page.loaded:
                    found.append(f"{path.name} loads {target}")
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            known = resolved.get(file)
            if not file.exists() or (known and parts.fragment and unquote(parts.fragment) not in known.ids):
                found.append(f"{path.name}: {target}")
    return found


def test_the_site_builds_without_a_warning_and_all_its_links_and_pictures_are_there(root: Path, tmp_path: Path) -> None:
    html = tmp_path / "html"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "trees")]
    built = subprocess.run([*command, str(root / "docs"), str(html)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-6000:]

    pages = _pages(html)
    assert _broken(pages) == []
    names = {path.relative_to(html).as_posix() for path in pages}
    bundles = [path.name for path in (root / "bundles").iterdir() if (path / "docs" / "README.md").exists()]
    assert {f"bundles/{name}.html" for name in bundles} <= names
    assert {f"configuration/{name}.html" for name in bundles} <= names
    methods = [path for path in (root / "docs" / "methods").glob("*.md") if path.stem != "index"]
    for path in methods:
        page = pages[html / "methods" / f"{path.stem}.html"]
        assert page.math, f"{path.name} shows no equation"
        assert any("_images" in name for name in page.loaded), f"{path.name} shows no picture"


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    text = '<a id="here" href="#here"></a><a href="#gone"></a><a href="b.html"></a><img src="https://x.org/a.png">'
    (tmp_path / "a.html").write_text(text)
    assert _broken(_pages(tmp_path)) == ["a.html: #gone", "a.html: b.html", "a.html loads https://x.org/a.png"]


def test_every_option_of_every_bundle_is_described_and_nothing_else(root: Path, extensions: dict[str, Any]) -> None:
    texts = extensions["option_texts"].OptionTexts(root / "docs" / "options.toml")
    assert texts.missing() == [], "describe these in docs/options.toml"
    assert texts.unused() == [], "no bundle has these: take them out of docs/options.toml"


def test_the_special_meaning_of_an_option_precedes_the_general_one(extensions: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    path.write_text('[all]\na = "1"\nb = "1"\nc = "1"\n[x]\na = "2"\nb = "2"\n["x/train"]\na = "3"\n')
    texts = extensions["option_texts"].OptionTexts(path)
    assert [texts.text("x", "train", name) for name in "abcd"] == ["3", "2", "1", None]
    assert texts.text("y", "train", "a") == "1"


def test_presets_are_listed_where_they_fit(root: Path, extensions: dict[str, Any]) -> None:
    def fitting(bundle: str) -> set[str]:
        files = (root / "bundles" / bundle / "configs").glob("*.json")
        contents = {path.stem: json.loads(path.read_text()) for path in files if path.stem != "metadata"}
        return {Path(path).stem for path in extensions["configuration_pages"].presets(bundle, contents)}

    lamps, segmentation = fitting("lamps_pretraining"), fitting("radiograph_segmentation")
    assert {"quickstart", "multi_gpu_train", "small_machine", "swin_tiny", "released_lamps"} <= lamps
    assert {"quickstart", "few_shot", "linear_probe", "single_gpu"} <= segmentation
    assert not lamps & {"few_shot", "small_machine_adam", "train", "inference"}
    assert "small_machine" not in segmentation


def test_the_reference_shows_defaults_presets_and_meaning(
    root: Path, extensions: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "options.toml").write_text((root / "docs" / "options.toml").read_text())
    extensions["configuration_pages"].write_configuration_pages(tmp_path)
    page = (tmp_path / "configuration" / "lamps_pretraining.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| `epochs` |"))
    assert "| `302` | Passes over the training images." in row
    assert "quickstart" in row
    assert "`--phantoms`: Built-in drawn radiographs" in page
    assert "{py:obj}`monai_lamps.methods.Lamps`" in page


def test_every_public_name_is_described_once_and_has_a_docstring(extensions: dict[str, Any]) -> None:
    api = extensions["api_pages"]
    names = api.public_names()
    paths = [f"{entry.home}.{entry.name}" for entry in names]
    assert len(paths) == len(set(paths))
    described = [entry for entry in names if inspect.isclass(entry.value) or inspect.isfunction(entry.value)]
    assert [f"{entry.home}.{entry.name}" for entry in described if not inspect.getdoc(entry.value)] == []
    region = next(entry for entry in names if entry.name == "GridRegiond")
    assert (region.home, sorted(region.aliases)) == ("monai_lamps.transforms", ["GridRegionD", "GridRegionDict"])
    own = {(entry.home, name) for entry in names for name in [entry.name, *entry.aliases]}
    for package in api.packages():
        for name in package.__all__:
            value = getattr(package, name)
            known = (package.__name__, name) in own or isinstance(value, ModuleType)
            assert known or any(package.__name__ in entry.also for entry in names if entry.value is value), name


def test_dictionary_transforms_are_shown_with_their_own_arguments(extensions: dict[str, Any]) -> None:
    def shown(value: Any, signature: str) -> Any:
        return extensions["api_pages"].own_signature(None, "class", "name", value, None, signature, None)[0]

    assert shown(monai_lamps.transforms.Decomposed, "(*args, **kwargs)").startswith("(keys")
    assert shown(monai_lamps.transforms.Decompose, "(own: int)") == "(own: int)"


def test_docstrings_keep_stars_and_bars_but_not_in_code(extensions: dict[str, Any]) -> None:
    lines = [
        "Shape (B, *) and |x|, in ``(B, *)``::",
        "",
        "    f(*a)",
        "",
        "Returns:",
        "    - first (*): one",
        "  >>> g(*b)",
        "* bullet *",
    ]
    extensions["api_pages"].plain_docstrings(None, "function", "f", None, None, lines)
    assert lines[0] == r"Shape (B, \*) and \|x\|, in ``(B, *)``::"
    assert lines[2] == "    f(*a)"
    assert lines[4:] == [":returns:", "", r"    - first (\*): one", "  >>> g(*b)", r"* bullet \*"]


def test_a_passage_is_what_stands_under_its_heading(
    extensions: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = extensions["repository_text"]
    monkeypatch.setattr(text, "ROOT", tmp_path)
    (tmp_path / "bundles" / "a" / "docs").mkdir(parents=True)
    (tmp_path / "bundles" / "a" / "docs" / "README.md").write_text("# A")
    (tmp_path / "picture.png").write_bytes(b"png")
    (tmp_path / "NOTES.md").write_text(
        "# Notes\n\n## Use\n\n[A](bundles/a/docs/README.md), [code](setup.py), [start](README.md) ![p](picture.png)\n\n"
        "```bash\n## no heading [A](bundles/a/docs/README.md)\n```\n\n### More\n\n## Next\n"
    )
    passage = text.passage("NOTES.md", "Use", "guide/use.md", tmp_path / "docs")
    assert passage.startswith(
        "[A](../bundles/a.md), code (`setup.py`), [start](../index.md) ![p](../figures/copied/picture.png)"
    )
    assert "## no heading [A](bundles/a/docs/README.md)" in passage
    assert passage.endswith("### More")
    assert (tmp_path / "docs" / "figures" / "copied" / "picture.png").read_bytes() == b"png"
    with pytest.raises(
        Exception, match=r"guide/use.md: NOTES.md has no heading 'Usage'; it has: Notes, Use, More, Next"
    ):
        text.passage("NOTES.md", "Usage", "guide/use.md", tmp_path / "docs")
    with pytest.raises(Exception, match=r"guide/use.md: there is no document GONE.md to take a passage from"):
        text.passage("GONE.md", "Use", "guide/use.md", tmp_path / "docs")


def test_equations_are_mathml(extensions: dict[str, Any]) -> None:
    class Writer:
        body: list[str] = []

    for visit in (extensions["mathml"].inline, extensions["mathml"].display):
        with pytest.raises(nodes.SkipNode):
            visit(Writer, nodes.math("", r"\frac{a}{b}"))
    assert all("<mfrac>" in text for text in Writer.body)
    assert 'display="block"' in Writer.body[1]


def _documents(root: Path) -> list[Path]:
    docs = root / "docs"
    return [
        docs / "index.md",
        docs / "contributing.md",
        *sorted((docs / "guide").glob("*.md")),
        *docs.glob("methods/*.md"),
    ]


def _blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_commands_of_the_pages_name_files_and_options_that_exist(root: Path, extensions: dict[str, Any]) -> None:
    lines = [
        (path.name, line) for path in _documents(root) for text in _blocks(path, "bash") for line in text.splitlines()
    ]
    bundle = [(name, line) for name, line in lines if "monai.bundle run" in line]
    assert len(bundle) > 10
    for name, line in bundle:
        words = shlex.split(line)
        known = {"config_file", "bundle_root"}
        for file in re.findall(r"[^\[\]',\s]+", words[words.index("--config_file") + 1]):
            known |= {re.split("#|::", key)[0] for key in json.loads((root / file).read_text())}
        used = set(re.findall(r"\s--(\w+)", line.split("monai.bundle run", 1)[1]))
        assert used <= known, f"{name}: {used - known} in: {line}"
    for name, line in lines:
        if found := re.match(r"python -m (monai_lamps(?:\.\w+)?) (.+)", line):
            words = shlex.split(found[2])
            help_text = extensions["command_pages"].help_text(found[1])
            choices = re.search(r"\{([a-z,]+)\}", help_text)
            if choices and words[0] in choices[1].split(","):
                help_text = extensions["command_pages"].help_text(found[1], words[0])
            options = {word for word in words if word.startswith("--")}
            assert all(option in help_text for option in options), f"{name}: {line}"


def test_python_examples_of_the_pages_run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in _documents(root):
        for block in _blocks(path, "python"):
            exec(compile(block, str(path), "exec"), {})


def _templates(root: Path) -> Iterator[tuple[int, re.Pattern[str]]]:
    """Texts of the source as patterns, with the number of their own characters; what is filled in matches anything."""
    for path in (root / "monai_lamps").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            values = node.values if isinstance(node, ast.JoinedStr) else [node]
            parts = [value.value if isinstance(value, ast.Constant) else None for value in values]
            parts = [part for part in parts if part is None or isinstance(part, str)]
            own = sum(len(part) for part in parts if part)
            if own >= 15 and len(parts) == len(values):
                yield own, re.compile("".join(".*?" if part is None else re.escape(part) for part in parts))


def test_every_message_that_is_quoted_exists_in_the_source(root: Path) -> None:
    quoted = [" ".join(text.split()) for text in _blocks(root / "docs" / "guide" / "troubleshooting.md", "text")]
    assert len(quoted) > 15
    templates = list(_templates(root))
    for message in quoted:
        found = any(own > 0.35 * len(message) and pattern.search(message) for own, pattern in templates)
        assert found, f"no text of the source gives: {message}"
