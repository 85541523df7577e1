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

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from .readings import evaluated
from .run import Record, Run, hold

__all__ = ["Outcome", "Runner", "carry_out", "carry_out_all", "outcome"]

#: makes a run until its folder says that it is complete
Runner = Callable[[Run], None]


@dataclass(frozen=True)
class Outcome:
    """What has become of a run.

    Attributes:
        run: which.
        state: "finished", "failed", "begun" (it was interrupted, or is under way) or "not begun".
        reason: why it failed.
        seconds: how long it took.
        figures: by name, when it is finished.
    """

    run: Run
    state: str
    reason: str
    seconds: float
    figures: dict[str, float]


def outcome(
    run: Run, read: Callable[..., dict[str, float]], means: Mapping[str, Sequence[str]] | None = None
) -> Outcome:
    """What has become of a run so far, from its folder.

    Args:
        run: which.
        read: gives the figures of the training, see :data:`EPOCHS`.
        means: figures that are the mean of others, by name.

    Raises:
        ValueError: when the folder holds a run with other settings, or a damaged file.
    """
    run.check()
    record = Record.read(run.folder)
    if run.complete:
        figures = read(run.folder)
        for name in run.evaluations:
            found = evaluated(run.evaluation_folder(name)) or {}
            figures.update({f"{name}/{figure}": value for figure, value in found.items()})
        combined = {
            name: fmean(figures[part] for part in parts)
            for name, parts in (means or {}).items()
            if all(part in figures for part in parts)
        }
        return Outcome(run, "finished", "", record.seconds, {**figures, **combined})
    state = "failed" if record.failure else "begun" if record.identity else "not begun"
    return Outcome(run, state, record.failure, record.seconds, {})


def carry_out(run: Run, runner: Runner, wait: bool = False, since: float = math.inf) -> bool:
    """Make a run unless it is complete; a begun one goes on, a failed one is tried again.

    An error is written into the run's record and does not end anything else.

    Args:
        run: which.
        runner: makes it.
        wait: whether to wait for another process that is making it.
        since: a run that has failed after this time (seconds since 1970) is left so; another process has just tried.

    Returns:
        whether it is done with, one way or the other; False when another process is making it.

    Raises:
        ValueError: when the folder holds a run with other settings, or a damaged file.
        SystemExit: when a signal ended the run, which goes on with the next call.
    """
    with hold(run.folder, wait) as held:
        if not held:
            return False
        run.check()
        record = Record.read(run.folder)
        if run.complete or (record.failure and record.failed_at >= since):
            return True
        record.identity, record.failure = run.identity, ""
        record.write(run.folder)
        failure, start = "", time.monotonic()
        try:
            runner(run)
            failure = "" if run.complete else "it ended, but its folder lacks results"
        except Exception as error:
            failure = _reason(error)
        finally:
            record = Record.read(run.folder)
            record.seconds += time.monotonic() - start
            record.failure, record.failed_at = failure, time.time()
            record.write(run.folder)
    return True


def carry_out_all(runs: Sequence[Run], runner: Runner) -> Iterator[Run]:
    """Make all runs, first those that no other process is making; those are waited for at the end.

    Yields:
        each run when it is done with.
    """
    later, since = [], time.time()
    for run in runs:
        if carry_out(run, runner, since=since):
            yield run
        else:
            later.append(run)
    for run in later:
        carry_out(run, runner, wait=True, since=since)
        yield run


def _reason(error: BaseException) -> str:
    """The error in one line; MONAI wraps what goes wrong in a config several times, which tells nothing."""
    while error.__cause__ is not None and "monai" in _module(error).split("."):
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _module(error: BaseException) -> str:
    """Name of the module that raised an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
