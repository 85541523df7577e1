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
"""Commands: ``python -m monai_lamps bundles`` lists the bundles, ``copy [NAME ...] [--to FOLDER]`` hands them out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .collection import bundle_names, bundle_title, collection_root, copy_collection
from .version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors of use end with one line and status 2."""
    options = _parser().parse_args(arguments)
    try:
        _list() if options.command == "bundles" else _copy(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _list() -> None:
    names = bundle_names()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {bundle_title(name)}")


def _copy(options: argparse.Namespace) -> None:
    files = copy_collection(options.to, options.names, options.replace)
    names = options.names or bundle_names()
    print(f"{', '.join(names)}, presets and comparison plans: {len(files)} files in '{options.to}'")
    name = names[0] if "lamps_pretraining" not in names else "lamps_pretraining"
    configs = f"bundles/{name}/configs"
    first = "train.json" if (collection_root() / configs / "train.json").is_file() else "evaluate.json"
    print("Try it there on built-in data:")
    print(
        f"python -m monai.bundle run --config_file \"['{configs}/{first}','{configs}/quickstart.json']\" "
        f"--bundle_root bundles/{name} --output_dir quickstart"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monai_lamps",
        description="Bundles that come with the package. They are copied out before they are used.",
    )
    parser.add_argument("--version", action="version", version=f"monai_lamps {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("bundles", help="list them")
    copy = commands.add_parser(
        "copy",
        help="copy them, with presets (configs/) and comparison plans (comparisons/), laid out as in the repository, "
        "so that the commands of the documentation work there",
    )
    copy.add_argument("names", metavar="NAME", nargs="*", help="bundles (default: all)")
    copy.add_argument("--to", type=Path, default=Path(), metavar="FOLDER", help="where to (default: here)")
    copy.add_argument("--replace", action="store_true", help="overwrite files that differ")
    return parser


if __name__ == "__main__":
    sys.exit(main())
