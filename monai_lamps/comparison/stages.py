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
from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from monai_lamps.data.atomic import atomic_write

from .amount import Amount
from .carry_out import Outcome, Runner, carry_out_all, outcome
from .cells import cells, contrasts
from .checks import check_keys
from .csv_files import write_cells, write_runs
from .figure import draw
from .plan import Plan
from .readings import EPOCHS, check_figures
from .run import Run
from .search import Choice, choose, search_runs
from .table import markdown

__all__ = ["comparison_runs", "make", "narrowed", "results", "write_results"]

#: takes a line about progress
Say = Callable[[str], None]


def make(plan: Plan, out: Path, runner: Runner, say: Say = print) -> None:
    """Make the search and the comparison of a plan; what is finished already is not made again.

    Args:
        plan: what is compared.
        out: folder of the comparison.
        runner: makes one run.
        say: takes a line for each run.

    Raises:
        ValueError: when runs lack a figure of the plan, a folder holds a run with other settings, or the search finds
            nothing for an initialisation.
        SystemExit: when a signal ended a run; the same call goes on.
    """
    choices: list[Choice] = []
    if plan.search:
        searched = _stage("search", plan, search_runs(plan, out), runner, say, [plan.search_figure])
        choices = choose(plan, searched)
        for choice in choices:
            taken = ", ".join(f"{key} = {json.dumps(value)}" for key, value in choice.settings.items())
            say(f"search: {choice.encoder}, {' and '.join(a.words for a in choice.searched)}: {taken}")
    _stage("comparison", plan, comparison_runs(plan, out, choices), runner, say, plan.figures)


def comparison_runs(plan: Plan, out: Path, choices: Sequence[Choice]) -> list[Run]:
    """The runs of the table, seed by seed, so that what is finished is balanced at any time.

    Args:
        plan: what is compared.
        out: folder of the comparison.
        choices: what the search has found; for a plan without a search none.
    """
    found = {(choice.encoder, amount): choice.settings for choice in choices for amount in choice.amounts}
    return [
        Run(
            encoder,
            amount,
            seed,
            out / "runs" / encoder / amount.folder / f"seed-{seed}",
            plan.config,
            plan.settings(encoder, amount, seed, found.get((encoder, amount), {})),
            plan.evaluations,
            plan.keep_networks,
        )
        for seed in plan.seeds
        for amount in plan.amounts
        for encoder in plan.encoders
    ]


def narrowed(plan: Plan, only: Sequence[str]) -> Plan:
    """A plan for a part of the runs.

    Args:
        plan: all runs.
        only: texts ``KEY=VALUE[,VALUE...]`` with the keys encoder, shots (or share) and seed; the search keeps its
            own seeds.

    Raises:
        ValueError: when a key or value is not one of the plan.
    """
    for text in only:
        key, equals, values = text.partition("=")
        names: dict[str, dict[str, object]] = {
            "encoder": {name: name for name in plan.encoders},
            plan.amounts[0].id: {f"{amount.value:g}": amount for amount in plan.amounts},
            "seed": {str(seed): seed for seed in plan.seeds},
        }
        if not equals:
            raise ValueError(f"--only must be KEY=VALUE[,VALUE...] with one of the keys {list(names)}, got '{text}'.")
        check_keys([key], names, "key of --only")
        wanted = values.split(",")
        if "=" in values:
            raise ValueError(f"--only takes one key, got '{text}'; give each key an --only of its own.")
        check_keys(wanted, names[key], f"{key} of --only")
        if key == "encoder":
            plan = replace(plan, encoders={name: plan.encoders[name] for name in wanted})
        elif key == "seed":
            plan = replace(plan, seeds=tuple(int(seed) for seed in wanted))
        else:
            plan = replace(plan, amounts=tuple(amount for amount in plan.amounts if f"{amount.value:g}" in wanted))
    return plan


def results(plan: Plan, out: Path) -> tuple[list[Outcome], list[Choice]]:
    """What there is so far: of the runs of the table, and of the search.

    Args:
        plan: what is compared.
        out: folder of the comparison.

    Raises:
        ValueError: when a folder holds a run with other settings, or a damaged file.
    """
    choices = _choices_so_far(plan, out)
    ready = {(choice.encoder, amount) for choice in choices for amount in choice.amounts}
    return [
        _outcome(plan, run)
        if not plan.search or (run.encoder, run.amount) in ready
        else Outcome(run, "not begun", "its search is not finished", 0.0, {})
        for run in comparison_runs(plan, out, choices)
    ], choices


def write_results(plan: Plan, out: Path, machine: str, command: str) -> list[Outcome]:
    """Write what there is so far.

    The files are ``table.md``, ``cells.csv``, ``runs.csv``, ``figure.png``, ``plan.json`` and ``search.json``.

    Args:
        plan: what is compared.
        out: folder of the comparison.
        machine: where it ran, in a line.
        command: what was typed.

    Returns:
        what has become of each run of the table.

    Raises:
        ValueError: when a folder holds a run with other settings, or finished runs lack a figure of the plan.
    """
    outcomes, choices = results(plan, out)
    for found in outcomes:
        if found.state == "finished":
            check_figures(plan.parts(*plan.figures), found.figures, f"'{found.run.folder}'")
    table = cells(plan, outcomes)
    tested = contrasts(plan, table)
    text = markdown(plan, outcomes, table, tested, choices, machine, command)
    atomic_write(out / "table.md", lambda file: file.write(text.encode()))
    write_runs(out / "runs.csv", outcomes, out)
    write_cells(out / "cells.csv", table, tested)
    atomic_write(out / "figure.png", lambda file: draw(plan, table).save(file, format="PNG"))
    _write_json(out / "plan.json", plan.source)
    if plan.search:
        _write_json(out / "search.json", [choice.record() for choice in choices])
    return outcomes


def _stage(
    name: str, plan: Plan, runs: Sequence[Run], runner: Runner, say: Say, wanted: Sequence[str]
) -> list[Outcome]:
    """Make runs and say how each one went."""
    start = time.monotonic()
    done = sum(run.complete for run in runs)
    say(f"{name}: {len(runs)} runs, {done} of them finished")
    open_runs = [run for run in runs if not run.complete]
    found = {run.folder: _outcome(plan, run) for run in runs}
    for result in found.values():
        _check(result, plan.parts(*wanted))
    for made, run in enumerate(carry_out_all(open_runs, runner), start=1):
        result = found[run.folder] = _outcome(plan, run)
        _check(result, plan.parts(*wanted))
        left = (time.monotonic() - start) / made * (len(open_runs) - made)
        done = sum(each.state == "finished" for each in found.values())
        what = (
            f"{wanted[0]} = {result.figures[wanted[0]]:.4g}" if result.figures else f"{result.state}: {result.reason}"
        )
        say(f"{name} [{done}/{len(runs)}] {run.title}: {what} ({result.seconds:.0f} s; about {_time(left)} left)")
    return list(found.values())


def _outcome(plan: Plan, run: Run) -> Outcome:
    return outcome(run, EPOCHS[plan.epoch], plan.means)


def _check(result: Outcome, wanted: Sequence[str]) -> None:
    if result.state == "finished":
        check_figures(wanted, result.figures, f"'{result.run.folder}'")


def _choices_so_far(plan: Plan, out: Path) -> list[Choice]:
    """What a search has found for those initialisations and amounts for which it is finished."""
    if not plan.search:
        return []
    groups: list[tuple[Amount, ...]] = [plan.amounts] if plan.search_amounts else [(each,) for each in plan.amounts]
    choices = []
    for encoder in plan.encoders:
        for amounts in groups:
            part = replace(plan, encoders={encoder: plan.encoders[encoder]}, amounts=amounts)
            found = [_outcome(plan, run) for run in search_runs(part, out)]
            if all(each.state in ("finished", "failed") for each in found):
                choices += choose(part, found)
    return choices


def _write_json(path: Path, content: Mapping[str, object] | Sequence[object]) -> None:
    atomic_write(path, lambda file: file.write((json.dumps(content, indent=2) + "\n").encode()))


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
