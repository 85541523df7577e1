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
"""``python -m monai_lamps.comparison PLAN.json --out OUT``: initialisations x numbers of training images x seeds.

Several plans are made one after the other, each in a folder of its name.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from .bundle_runner import BundleRunner
from .machine import machine
from .plan import Plan, read_plan
from .stages import make, narrowed, write_results
from .workers import STOPPED, command_of_worker, in_workers

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when every run that was asked for is finished; 1 when one failed (see ``OUT/table.md``); 2 for errors of use,
        which end with one line; 85 after a signal and 130 after Ctrl-C, where the same command goes on.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(arguments)
    try:
        return _run(options, arguments)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit as stop:
        print("stopped by a signal; the same command goes on", file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else STOPPED
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    plans = _plans(options)
    Path(options.out).mkdir(parents=True, exist_ok=True)
    if options.workers > 1 and not (options.as_worker or options.table_only):
        code = in_workers(command_of_worker(arguments), options.workers, Path(options.out))
        if code == STOPPED:
            return code
    elif not options.table_only:
        stdout = sys.stdout  # a run sends what it prints elsewhere
        for plan, part, out in plans:
            if len(plans) > 1:
                print(f"plan {out.name}", flush=True)
            make(part, out, BundleRunner(plan.bundle), lambda line: print(line, file=stdout, flush=True))
    if options.as_worker:
        return 0
    command = f"python -m monai_lamps.comparison {shlex.join(arguments)}"
    return max([_write(plan, part, out, command) for plan, part, out in plans])


def _plans(options: argparse.Namespace) -> list[tuple[Plan, Plan, Path]]:
    """Each plan, the part of it that was asked for, and its folder: of several plans one below ``--out``.

    Raises:
        ValueError: when two plans would have the same folder.
    """
    names, out = [Path(path).stem for path in options.plans], Path(options.out)
    if len(set(names)) < len(names):
        raise ValueError(f"plans got {', '.join(options.plans)}, which need different names, since folders have these.")
    plans = [read_plan(path, options.set) for path in options.plans]
    folders = [out / name for name in names] if len(names) > 1 else [out]
    return [(plan, narrowed(plan, options.only), folder) for plan, folder in zip(plans, folders)]


def _write(plan: Plan, part: Plan, out: Path, command: str) -> int:
    """Write the table of all there is, and print it; the status is that of the runs that were asked for."""
    out.mkdir(exist_ok=True)
    outcomes = write_results(plan, out, machine(), command)
    print(f"\n{(out / 'table.md').read_text(encoding='utf-8')}")
    for name in ("table.md", "cells.csv", "runs.csv", "figure.png"):
        print(out / name)
    asked = [
        found
        for found in outcomes
        if found.run.encoder in part.encoders and found.run.amount in part.amounts and found.run.seed in part.seeds
    ]
    return 0 if all(found.state == "finished" for found in asked) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monai_lamps.comparison",
        description="Compare initialisations by fine-tuning them with a bundle: every initialisation, number of "
        "training images and seed is a run of its own. A finished run is never made again, an interrupted one goes on, "
        "a failed one is noted and tried again with the next call. Copies of the command, on other GPUs or machines "
        "that see the same folder, share the work. Relative paths count from the current folder.",
    )
    parser.add_argument(
        "plans", metavar="PLAN.json", nargs="+", help="what is compared, see monai_lamps.comparison.read_plan"
    )
    parser.add_argument(
        "--out",
        required=True,
        help="folder of runs, table.md, cells.csv, runs.csv and figure.png; of several plans each has one of its name "
        "in there",
    )
    parser.add_argument("--workers", type=_count, default=1, help="processes that share the runs (default: this one)")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KEY=VALUE[,VALUE]",
        help="make a part of the runs: encoder=NAME, shots=N (or share=S), seed=N, or several values with commas "
        "between them; once for each key",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a part of every plan, e.g. common.dataset_dir=FOLDER; repeatable",
    )
    parser.add_argument("--table-only", action="store_true", help="make no run, write the table of what is finished")
    parser.add_argument("--as-worker", action="store_true", help=argparse.SUPPRESS)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
