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
"""The API reference: a page for each package, from its ``__all__`` and the docstrings; nothing is listed by hand."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from repository_text import remove_stale, write_if_changed
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.inspect import signature as inspect_signature
from sphinx.util.inspect import stringify_signature

import monai_lamps

__all__ = ["PublicName", "public_names", "setup", "write_api_pages"]

LONGEST_VALUE = 200
"""Characters of a constant that are shown."""


CODE = re.compile(r"(``.+?``|`[^`]+`)")


@dataclass
class PublicName:
    """What a package gives away under a name.

    Args:
        home: the package whose page describes it: the shortest path that leads to it.
        name: its name there.
        value: the class, function or constant.
        aliases: other names for the same thing in the same package.
        also: other packages that give it away.
    """

    home: str
    name: str
    value: Any
    aliases: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)


def packages() -> list[ModuleType]:
    """Every package below monai_lamps, imported, sorted by name."""
    found = [item.name for item in pkgutil.walk_packages(monai_lamps.__path__, "monai_lamps.") if item.ispkg]
    return [importlib.import_module(name) for name in sorted(found)]


def public_names() -> list[PublicName]:
    """Every public name once, whichever packages export it and whatever aliases it has (MONAI's ``D`` and ``Dict``)."""
    known: dict[tuple[int, str], PublicName] = {}
    for package in sorted(packages(), key=lambda module: (module.__name__.count("."), module.__name__)):
        for name in package.__all__:
            value = getattr(package, name)
            if isinstance(value, ModuleType):
                continue
            described = inspect.isclass(value) or inspect.isfunction(value)
            key = (id(value), "" if described else name)
            entry = known.setdefault(key, PublicName(package.__name__, value.__name__ if described else name, value))
            if entry.home != package.__name__:
                entry.also.append(package.__name__)
            elif name != entry.name:
                entry.aliases.append(name)
    return sorted(known.values(), key=lambda entry: (entry.home, entry.name.lower()))


def write_api_pages(docs: Path) -> None:
    """Write docs/api: the index and a page for each package; pages of packages that are gone are deleted."""
    names = public_names()
    found = packages()
    written = {docs / "api" / "index.rst"}
    for package in found:
        path = docs / "api" / f"{package.__name__}.rst"
        written.add(path)
        write_if_changed(path, _page(package, names))
    entries = "\n".join(f"   {package.__name__}" for package in found)
    write_if_changed(
        docs / "api" / "index.rst",
        _heading("API reference")
        + "Every public class and function, from its docstring. JSON paths of configurations (``_target_``) are the"
        " same names.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{entries}\n",
    )
    remove_stale(docs / "api", written)


def plain_docstrings(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain English and mean `*` and `|` as they stand: shapes (B, C, *), absolute values |x|.

    A list under "Returns:" is made a field, since napoleon would take its first line for a type.
    """
    literal: int | None = None  # indentation of the line that opened a literal block
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        if literal is None and not line.lstrip().startswith(">>>"):
            lines[number] = _escape(line)
            literal = indent if line.rstrip().endswith("::") else None
    for number, line in enumerate(lines[:-1]):
        if line == "Returns:" and lines[number + 1].lstrip().startswith("- "):
            lines[number : number + 1] = [":returns:", ""]
            break


def own_signature(
    app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """MONAI's dictionary transforms have a ``__new__(*args, **kwargs)``, which names nothing; ``__init__`` does."""
    if what != "class" or signature != "(*args, **kwargs)":
        return signature, returns
    return stringify_signature(
        inspect_signature(value.__init__, bound_method=True), show_return_annotation=False
    ), returns


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", plain_docstrings, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", own_signature)
    app.connect("builder-inited", lambda app: write_api_pages(Path(app.srcdir)))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _page(package: ModuleType, names: list[PublicName]) -> str:
    here = package.__name__
    parts = [_heading(here), f".. automodule:: {here}\n   :no-members:\n"]
    own = [entry for entry in names if entry.home == here]
    parts += [_entry(entry) for entry in own]
    elsewhere = [entry for entry in names if here in entry.also]
    if elsewhere:
        links = ", ".join(f":py:obj:`~{entry.home}.{entry.name}`" for entry in elsewhere)
        parts.append(f"Described with the package that is imported for it: {links}.\n")
    return "\n".join(parts)


def _entry(entry: PublicName) -> str:
    path = f"{entry.home}.{entry.name}"
    if inspect.isclass(entry.value):
        text = f".. autoclass:: {path}\n   :members:\n   :show-inheritance:\n"
    elif inspect.isfunction(entry.value):
        text = f".. autofunction:: {path}\n"
    else:
        shown = repr(entry.value)
        short = len(shown) <= LONGEST_VALUE and "\n" not in shown and " at 0x" not in shown
        value = f"   :value: {shown}\n" if short else ""
        said = "".join(f"   {line}\n" for line in _written_below(entry))
        kind = type(entry.value).__name__
        kind = "type alias" if kind.endswith("Alias") else kind
        text = f".. py:data:: {path}\n   :type: {kind}\n{value}\n{said}"
    if entry.aliases:
        text += "\n   Also as " + ", ".join(f"``{alias}``" for alias in sorted(entry.aliases)) + ".\n"
    return text


def _written_below(entry: PublicName) -> list[str]:
    """The docstring below the assignment of a constant, wherever in its package that is."""
    for name in sorted(sys.modules):
        if name.startswith(f"{entry.home}.") and hasattr(sys.modules[name], entry.name):
            lines = ModuleAnalyzer.for_module(name).find_attr_docs().get(("", entry.name))
            if lines:
                return [_escape(line) for line in lines]
    return []


def _escape(line: str) -> str:
    """A line in which stars and bars are meant, outside of code; a star that begins it marks an item of a list."""
    bullet = re.match(r"\s*\* ", line)
    start = bullet.end() if bullet else 0
    parts = CODE.split(line[start:])
    escaped = [part if CODE.fullmatch(part) else re.sub(r"(?<!\\)([*|])", r"\\\1", part) for part in parts]
    return line[:start] + "".join(escaped)


def _heading(title: str) -> str:
    return f"{title}\n{'=' * len(title)}\n\n"
