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
"""Texts of the repository on the site: whole documents as pages, sections of them in pages.

The README, the model cards of the bundles and the notes of the benchmarks are written once, where they lie. Their links
lead from file to file; on the site they lead from page to page, and to a plain file name where there is no page.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

__all__ = ["ROOT", "document_pages", "passage", "remove_stale", "setup", "write_document_pages", "write_if_changed"]

ROOT = Path(__file__).resolve().parents[2]
"""The repository, above docs/."""

SAID_ON = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "licences.md",
    "bundles": "bundles/index.md",
}
"""Documents and folders that are no pages, and the page where a link to them leads."""

OWN = {
    "benchmarks/README.md": "benchmarks.md",
    "tutorials/README.md": "guide/tutorials.md",
    "CHANGELOG.md": "changelog.md",
}
"""Documents that are a page each, beside the cards of the bundles."""

PICTURES = {".png", ".svg", ".jpg"}
PASSAGE = re.compile(r"^<!-- passage (?P<file>\S+): (?P<heading>.+?) -->$", flags=re.MULTILINE)
FENCE = re.compile(r"^(```.*?^```[^\S\n]*$)", flags=re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+)[^\S\n]+(.+?)[^\S\n]*$", flags=re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def document_pages() -> dict[str, str]:
    """The documents that are pages of their own: file, relative to the repository, to page, relative to docs/."""
    cards = sorted((ROOT / "bundles").glob("*/docs/README.md"))
    pages = {card.relative_to(ROOT).as_posix(): f"bundles/{card.parent.parent.name}.md" for card in cards}
    return pages | OWN


def write_document_pages(docs: Path) -> None:
    """Write the page of every document, and the list of them; their pictures lie beside the pages.

    Args:
        docs: the folder of the site's sources. Pages that did not change are not touched, so that a second build is
            quick.
    """
    for file, page in document_pages().items():
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.startswith("bundles/"):
            text = f"# {_title(file)}\n\n" + _shift(text, 1)
        write_if_changed(docs / page, adapted(text, file, page, docs))
    entries = "\n".join(
        sorted(page.removesuffix(".md") for page in document_pages().values() if page.startswith("bundles/"))
    ).replace("bundles/", "")
    text = (
        "# Bundles\n\nWhat each one is for, how it is trained, what was measured, and its limits: the documents that"
        " lie beside\nthe bundles. Their options are in the [configuration reference](../configuration/index.md).\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
    )
    write_if_changed(docs / "bundles" / "index.md", text)
    remove_stale(
        docs / "bundles", {docs / page for page in document_pages().values()} | {docs / "bundles" / "index.md"}
    )


def passage(file: str, heading: str, page: str, docs: Path) -> str:
    """What stands under a heading of a document, without the heading itself, as a part of a page.

    Args:
        file: the document, relative to the repository.
        heading: its text; deeper headings below it become headings of the third level.
        page: the page that the passage is for, relative to `docs`, with its suffix.
        docs: the folder of the site's sources.

    Raises:
        ExtensionError: if there is no such document, or no such heading in it.
    """
    if not (ROOT / file).is_file():
        raise ExtensionError(f"{page}: there is no document {file} to take a passage from")
    text = (ROOT / file).read_text(encoding="utf-8")
    headings = [(found, len(found[1]), found[2]) for found in _headings(text)]
    titles = [title for _, _, title in headings]
    if heading not in titles:
        raise ExtensionError(f"{page}: {file} has no heading '{heading}'; it has: {', '.join(titles)}")
    number = titles.index(heading)
    found, level, _ = headings[number]
    end = next((later.start() for later, other, _ in headings[number + 1 :] if other <= level), len(text))
    body = text[found.end() : end].strip("\n")
    return adapted(_shift(body, 2 - level), file, page, docs)


def adapted(text: str, file: str, page: str, docs: Path) -> str:
    """A text of `file` as it stands on `page`: links lead to pages, pictures are copied into docs/figures/copied."""
    pages = SAID_ON | document_pages()
    here = posixpath.dirname(file)

    def replace(found: re.Match[str]) -> str:
        mark, words, target = found.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        name = posixpath.normpath(posixpath.join(here, target.partition("#")[0]))
        if here.startswith("docs") and name.startswith("docs/"):
            return found[0]
        if name in pages:
            return f"{mark}[{words}]({_relative(pages[name], page)})"
        if name.startswith("docs/") and (ROOT / name).is_file():
            return f"{mark}[{words}]({_relative(name.removeprefix('docs/'), page)})"
        if Path(name).suffix in PICTURES and (ROOT / name).is_file():
            copy = Path("figures") / "copied" / name.replace("/", "_")
            _copy_if_changed(ROOT / name, docs / copy)
            return f"{mark}[{words}]({_relative(copy.as_posix(), page)})"
        return words if f"`{name}`" in words else f"{words} (`{name}`)"

    return _outside_code(text, lambda part: LINK.sub(replace, part))


def write_if_changed(path: Path, text: str) -> None:
    """Write a text file, unless it holds the text already."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def remove_stale(folder: Path, kept: set[Path]) -> None:
    """Delete the generated pages of a folder that an earlier build has left and nothing is behind any more."""
    for path in set(folder.glob("*.*")) - kept:
        path.unlink()


def expand_passages(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the passages in where a page asks for them: `<!-- passage README.md: Its heading -->` on a line of its own.

    Links of the page to pictures and documents outside of docs/ are adapted, too.
    """
    page = f"{name}.md"
    if Path(app.env.doc2path(name)).suffix != ".md":
        return

    def text_of(found: re.Match[str]) -> str:
        app.env.note_dependency(str(ROOT / found["file"]), docname=name)
        return passage(found["file"], found["heading"], page, Path(app.srcdir))

    source[0] = adapted(PASSAGE.sub(text_of, source[0]), f"docs/{page}", page, Path(app.srcdir))


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", lambda app: write_document_pages(Path(app.srcdir)))
    app.connect("source-read", expand_passages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _title(card: str) -> str:
    metadata = ROOT / card.replace("docs/README.md", "configs/metadata.json")
    return str(json.loads(metadata.read_text(encoding="utf-8"))["name"])


def _headings(text: str) -> list[re.Match[str]]:
    code = [(found.start(), found.end()) for found in FENCE.finditer(text)]
    return [found for found in HEADING.finditer(text) if not any(start <= found.start() < end for start, end in code)]


def _shift(text: str, by: int) -> str:
    return _outside_code(text, lambda part: HEADING.sub(lambda found: f"{'#' * (len(found[1]) + by)} {found[2]}", part))


def _outside_code(text: str, change: Any) -> str:
    return "".join(part if FENCE.fullmatch(part) else change(part) for part in FENCE.split(text))


def _relative(target: str, page: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def _copy_if_changed(source: Path, target: Path) -> None:
    if not target.exists() or target.read_bytes() != source.read_bytes():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
