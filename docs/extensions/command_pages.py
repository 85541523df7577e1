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
"""The command reference: what ``--help`` says, of every command and its subcommands."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from repository_text import ROOT, write_if_changed
from sphinx.application import Sphinx

__all__ = ["help_text", "setup", "write_command_page"]

PLAIN = {"COLUMNS": "110", "NO_COLOR": "1"}


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", lambda app: write_command_page(Path(app.srcdir)))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def commands() -> list[str]:
    """Packages that are commands: ``python -m NAME``."""
    found = (ROOT / "monai_lamps").rglob("__main__.py")
    return sorted(path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in found)


def help_text(command: str, *words: str) -> str:
    """What ``python -m COMMAND WORDS --help`` prints."""
    module = importlib.import_module(f"{command}.__main__")
    printed = io.StringIO()
    with mock.patch.dict(os.environ, PLAIN), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        module.main([*words, "--help"])
    return printed.getvalue().strip()


def write_command_page(docs: Path) -> None:
    """Write docs/commands.md."""
    parts = ["# Commands\n", "What `--help` says. Bundles are run by MONAI: `python -m monai.bundle run`, see\n"]
    parts[-1] += "[configuration](configuration/index.md).\n"
    for command in commands():
        for words, text in _with_subcommands(command):
            level = "##" if not words else "###"
            parts.append(f"{level} python -m {' '.join([command, *words])}\n\n```text\n{text}\n```\n")
    write_if_changed(docs / "commands.md", "\n".join(parts))


def _with_subcommands(command: str) -> Iterator[tuple[tuple[str, ...], str]]:
    text = help_text(command)
    yield (), text
    choices = re.search(r"\{([a-z_,]+)\}\s*\.\.\.", text)
    for word in choices[1].split(",") if choices else ():
        yield (word,), help_text(command, word)
