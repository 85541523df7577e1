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

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["STOPPED", "command_of_worker", "in_workers"]

#: exit status of a command that a signal has ended, and that goes on when it is given again
STOPPED = 85
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def in_workers(command: Sequence[str], workers: int, out: Path) -> int:
    """Run a command several times at once; its copies share the work by holding the runs that they make.

    Signals are handed on, so that each copy saves its run. The cores are shared out (``OMP_NUM_THREADS``, unless it is
    set already). What a copy writes to stderr goes to ``worker-N.log``.

    Args:
        command: program and arguments.
        workers: number of copies.
        out: folder of the logs.

    Returns:
        0 when all ended well, else the greatest status, :data:`STOPPED` when a signal came.

    Raises:
        RuntimeError: when a copy ended otherwise; with the last lines of the logs.
    """
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
    logs = [out / f"worker-{number}.log" for number in range(workers)]
    processes: list[subprocess.Popen[bytes]] = []
    caught: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        for process in processes:
            process.send_signal(number)

    old: dict[signal.Signals, Any] = {each: signal.signal(each, hand_on) for each in _SIGNALS}
    try:
        with ExitStack() as stack:
            for log in logs:
                file = stack.enter_context(open(log, "wb"))
                process = subprocess.Popen(command, stderr=file, env=environment, start_new_session=True)
                processes.append(process)
            codes = [process.wait() for process in processes]
    finally:
        for each, handler in old.items():
            signal.signal(each, handler)
    if caught or STOPPED in codes:
        return STOPPED
    wrong = dict.fromkeys(_last_line(log, code) for log, code in zip(logs, codes) if code not in (0, 1))
    if wrong:
        raise RuntimeError(" ".join(wrong))
    return max(codes)


def command_of_worker(arguments: Sequence[str]) -> list[str]:
    """The command of a copy of ``python -m monai_lamps.comparison``."""
    return [sys.executable, "-m", "monai_lamps.comparison", *arguments, "--as-worker"]


def _last_line(log: Path, code: int) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() or [""]
    if code < 0:
        return f"a worker was ended by signal {-code} (out of memory?); see '{log}', and give the same command again."
    return lines[-1].removeprefix("error: ")
