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
"""``python -m monai_lamps.data set NAME FOLDER``."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.annotations import count_labels, count_structures, map_mask_paths
from monai_lamps.data.datalist import save_datalist
from monai_lamps.data.sets.registry import read_set, set_names, set_options, set_title

__all__ = ["add_parser", "run"]

logger = logging.getLogger(__name__)


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the sub-parsers of ``python -m monai_lamps.data``."""
    lines = [f"  {name:13}{set_title(name)}{_options(name)}" for name in set_names()]
    parser: argparse.ArgumentParser = commands.add_parser(
        "set",
        help="turn a public set, as downloaded, into a MONAI datalist",
        description="Turn a public set, as downloaded, into a MONAI datalist with its masks or labels.",
        epilog="sets and their options:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("name", choices=set_names(), metavar="NAME", help="the set, see below")
    parser.add_argument("folder", help="where it was unpacked")
    parser.add_argument("--out", default="datalist.json", help="the datalist (default: datalist.json)")
    parser.add_argument("--validation", type=float, default=0.1, help="share of patients, where none is official")
    parser.add_argument("--test", type=float, default=0.0, help="share of patients, where none is official")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument("--max-missing", type=float, default=0.05, help="largest share of listed images not there")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of the set, repeatable")
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command; errors of use are ValueError or OSError.

    Returns:
        0, the status of the command.
    """
    extra = dict(_parse(text) for text in options.option)
    settings = {key: getattr(options, key) for key in ("validation", "test", "seed", "max_missing")}
    sections = read_set(options.name, options.folder, **settings, **extra)
    items = [item for rows in sections.values() for item in rows]
    header = {
        "name": options.name,
        "description": set_title(options.name),
        "source": str(options.folder),
        "settings": {**settings, **{key: str(value) for key, value in extra.items()}},
        "classes": list(count_labels(items)),
        "annotated_structures": list(count_structures(items)),
    }
    target = save_datalist(options.out, _relative_to(Path(options.out).parent, sections), **header)
    for line in _summary(sections):
        logger.info(line)
    logger.info(f"{len(items)} images -> {target}")
    return 0


def _options(name: str) -> str:
    options = ", ".join(f"{key}={default}" for key, default in set_options(name).items())
    return f" ({options})" if options else ""


def _parse(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"option '{text}' must be KEY=VALUE, such as views=frontal.")
    named = {"true": True, "false": False, "none": None}
    return key, named[value.lower()] if value.lower() in named else int(value) if value.isdigit() else value


def _relative_to(folder: Path, sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The sections with paths as the datalist has them: relative where the files lie below or beside it."""
    base = os.path.abspath(folder)

    def relative(path: str) -> str:
        path = os.path.abspath(path)
        shorter = os.path.relpath(path, base)
        return shorter if shorter.count("..") <= 2 else path

    return {
        name: [map_mask_paths({**item, "image": relative(item["image"])}, relative) for item in rows]
        for name, rows in sections.items()
    }


def _summary(sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterable[str]:
    """A line for each section, what it is annotated with, and what is to be known about it."""
    for name, rows in sections.items():
        structures = ", ".join(f"{number} {structure}" for structure, number in count_structures(rows).items())
        yield f"{name}: {len(rows)} images of {len({row['patient'] for row in rows})} patients"
        if structures:
            yield f"  annotated: {structures}"
        for label, count in count_labels(rows).items():
            none = "" if count["positive"] and count["negative"] else "  <- one of the two never occurs here"
            numbers = f"{count['positive']} with, {count['negative']} without, {count['unknown']} unknown"
            yield f"  {label}: {numbers}{none}"
