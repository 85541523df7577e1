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
"""Commands: ``python -m monai_lamps.checkpoints inspect FILE``, and ``convert FILE --out NAME.pt``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .encoder_file import holds_card, load_encoder, read_card, save_encoder
from .released_encoder import ReleasedEncoder, load_released_encoder, open_released_encoder

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors of use end with one line and status 2."""
    options = _parser().parse_args(arguments)
    try:
        _inspect(options) if options.command == "inspect" else _convert(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _inspect(options: argparse.Namespace) -> None:
    if holds_card(options.file):
        load_encoder(options.file)
        print(f"'{options.file}' is an encoder file of this package, whole and fit to load")
        _print_card(read_card(options.file))
        return
    released = _open(options)
    file = released.file
    print(f"'{file.path}': {released.family.title}, {released.layout.title}")
    print(
        f"  networks    {', '.join(file.networks)}; taken here: {released.network}, encoder '{released.layout.prefix}'"
    )
    print(f"  entries     {', '.join(file.entries) or 'a bare state dict'}")
    print(f"  epoch       {file.epoch if file.epoch is not None else 'not noted'}")
    if file.arguments:
        print(f"  arguments   {', '.join(f'{key}={value}' for key, value in file.arguments.items())}")
    print(load_released_encoder(released, options.in_channels, minimum_coverage=0.0)[1])
    _print_card(released.card(options.in_channels))


def _convert(options: argparse.Namespace) -> None:
    released = _open(options)
    encoder, report = load_released_encoder(released, options.in_channels, options.minimum_coverage)
    path = save_encoder(options.out, encoder, released.card(options.in_channels))
    print(report)
    print(f"written: {path} and {path.with_suffix('.json')}")


def _open(options: argparse.Namespace) -> ReleasedEncoder:
    return open_released_encoder(
        options.file,
        options.network,
        small_grid_shift=options.small_grid_shift,
        mean=options.mean,
        std=options.std,
    )


def _print_card(card: dict[str, Any]) -> None:
    print("card:")
    print(json.dumps(card, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monai_lamps.checkpoints",
        description="Look into and convert released weights (Lamps; the Swin-B of POPAR, PEAC and ACE; Adam and "
        "Adam-v2) and encoder files. Nothing in a file but tensors is unpickled.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    inspect = commands.add_parser("inspect", help="what a file holds, what of it can be loaded, and its card")
    convert = commands.add_parser("convert", help="write the encoder of released weights as NAME.pt with NAME.json")
    convert.add_argument("--out", type=Path, required=True, help="file to write, NAME.pt")
    convert.add_argument(
        "--minimum-coverage", type=float, default=0.95, help="refuse below this share of the encoder (%(default)s)"
    )
    for command in (inspect, convert):
        command.add_argument("file", type=Path, help="the checkpoint")
        command.add_argument("--network", choices=("teacher", "student", "model"), help="default: the teacher if any")
        command.add_argument(
            "--small-grid-shift",
            action=argparse.BooleanOptionalAction,
            help="of Swin: shift windows on a 7x7 grid (224 px images), too; default: as the released code does",
        )
        command.add_argument("--mean", type=float, nargs="+", help="mean that the weights expect, one or per channel")
        command.add_argument("--std", type=float, nargs="+", help="standard deviation that they expect, likewise")
        command.add_argument("--in-channels", type=int, default=1, help="channels of the encoder (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
