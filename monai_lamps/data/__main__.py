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
"""``python -m monai_lamps.data``: ``index`` a folder, turn a ``list`` or a ``set`` into a datalist, write its
``organs``, ``cache`` it, ``verify`` it."""

from __future__ import annotations

import argparse
import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from monai_lamps.data.cache import CacheDescription, build_cache, cache_command, verify_cache
from monai_lamps.data.cache.layout import DTYPES
from monai_lamps.data.datalist import save_datalist, split_by_patient
from monai_lamps.data.index import index_folder
from monai_lamps.data.lists import LIST_KINDS, read_list_file
from monai_lamps.data.organs.write import add_parser as add_organs
from monai_lamps.data.sets.command import add_parser as add_set

__all__ = ["main"]

logger = logging.getLogger(__name__)

#: an option's name; the bundles' options have underscores, so they are understood here as well
_OPTION = re.compile(r"^--[a-z]+(?:_[a-z]+)+(?==|$)")

_KINDS = (
    "what a line of the list is: a path (paths, the default; labels that follow are dropped), or a path and labels: "
    "xray14 14, shenzhen 1, rsna 1, vindr 6, vindr_local 22"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 2 for errors of use, which end with one line; 1 when ``verify`` finds damage.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args([_OPTION.sub(lambda name: name[0].replace("_", "-"), text) for text in given])
    try:
        status: int = options.run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


def _index(options: argparse.Namespace) -> int:
    index_folder(
        options.folder,
        options.out,
        validation=options.validation,
        test=options.test,
        seed=options.seed,
        workers=options.workers,
        pattern=options.patient_pattern,
        patients_csv=options.patients,
        exclude=options.exclude,
        max_reject=options.max_reject,
        progress=not options.quiet,
    )
    return 0


def _list(options: argparse.Namespace) -> int:
    base = options.base or Path(options.listfile).parent
    items = read_list_file(options.listfile, base, options.kind)
    named = [{**item, "image": os.path.relpath(item["image"], base)} for item in items]  # the same split everywhere
    sections = {
        name: [{**item, "image": str((Path(base) / item["image"]).resolve())} for item in rows]
        for name, rows in split_by_patient(named, options.validation, 0.0, options.seed).items()
    }
    target = save_datalist(options.out, sections, name=Path(options.listfile).stem, source=str(options.listfile))
    logger.info(f"{len(items)} images -> {target}")
    return 0


def _cache(options: argparse.Namespace) -> int:
    build_cache(
        options.datalist,
        options.out,
        options.size,
        base_dir=options.base,
        shard=options.shard,
        workers=options.workers,
        dtype=options.dtype,
        max_reject=options.max_reject,
        progress=not options.quiet,
    )
    return 0


def _verify(options: argparse.Namespace) -> int:
    damage = verify_cache(options.cache, options.repair, options.workers, progress=not options.quiet)
    for name, problem in damage.items():
        print(f"{name}: {problem}")
    if not damage:
        logger.info(f"'{options.cache}' is sound.")
        return 0
    command = cache_command(options.cache, CacheDescription.read(options.cache).made_by)
    first = "" if options.repair else f"python -m monai_lamps.data verify {shlex.quote(options.cache)} --repair && "
    print(f"{len(damage)} damaged or missing; this makes them anew: {first}{command}")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m monai_lamps.data", description="Prepare radiographs for training.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_index(commands.add_parser("index", help="verify every radiograph of a folder and list them in a datalist"))
    _add_list(commands.add_parser("list", help="turn a list file of a public data set into a MONAI datalist"))
    _add_cache(commands.add_parser("cache", help="keep the pixels of a datalist, ready-sized, for fast reading"))
    add_set(commands)
    add_organs(commands)
    _add_verify(commands.add_parser("verify", help="read a whole cache and say what is damaged"))
    return parser


def _add_index(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_index)
    parser.add_argument("folder", help="searched recursively for PNG, JPEG, DICOM and NIfTI")
    parser.add_argument("--out", help="folder for datalist.json and rejected.csv (default: ./NAME_index)")
    parser.add_argument("--test", type=float, default=0.0, help="share of patients kept for test")
    parser.add_argument("--patient-pattern", help="regular expression; its first group in a path is the patient")
    parser.add_argument("--patients", help="CSV with the columns file, patient and optionally split")
    parser.add_argument(
        "--exclude", action="append", default=[], help="glob of relative paths to leave out, repeatable"
    )
    _add_split(parser)
    _add_reading(parser)


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_list)
    parser.add_argument("listfile", help="text file with an image a line")
    parser.add_argument("--kind", default="paths", choices=list(LIST_KINDS), help=_KINDS)
    parser.add_argument("--base", help="folder that the paths are relative to (default: that of the list)")
    parser.add_argument("--out", default="datalist.json", help="the datalist (default: datalist.json)")
    _add_split(parser)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_cache)
    parser.add_argument("datalist", help="MONAI datalist; the images of all its sections are cached")
    parser.add_argument("--out", required=True, help="folder of the cache; a begun one is gone on with")
    parser.add_argument("--size", type=int, default=640, help="longest allowed short side, px (default: 640)")
    parser.add_argument("--base", help="folder that relative paths are relative to (default: that of the datalist)")
    parser.add_argument(
        "--shard", type=_shard, default=(0, 1), metavar="i/n", help="make every n-th part from the i-th"
    )
    parser.add_argument("--dtype", default="auto", choices=list(DTYPES), help="auto: 8 bits where they lose nothing")
    _add_reading(parser)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_verify)
    parser.add_argument("cache", help="folder of the cache")
    parser.add_argument("--repair", action="store_true", help="delete damaged parts, so that cache makes them anew")
    parser.add_argument("--workers", type=int, help="threads (default: all cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_split(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--validation", type=float, default=0.1, help="share of patients for validation")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-reject", type=float, default=0.05, help="largest tolerated share of unreadable files")
    parser.add_argument("--workers", type=int, help="processes (default: all cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _shard(text: str) -> tuple[int, int]:
    try:
        index, count = (int(part) for part in text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected i/n such as 0/4, got '{text}'") from None
    return index, count


if __name__ == "__main__":
    sys.exit(main())
