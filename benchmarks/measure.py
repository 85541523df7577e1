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
"""What all benchmarks share: the machine in words, interleaved timing, and a table."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

__all__ = ["compare", "machine", "median", "table"]


def machine() -> str:
    """The machine that a figure was measured on, in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
        flags = next((line for line in lines if line.startswith("flags")), "")
        model += "".join(f", {flag}" for flag in ("amx_bf16", "avx512_bf16") if flag in flags)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{model}; {os.cpu_count()} cores, {torch.get_num_threads()} threads; {gpu}; torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )


def compare(
    actions: Mapping[str, Callable[[], object]],
    repeats: int = 5,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time several actions turn by turn, so that a change of the machine's load meets all of them.

    Args:
        actions: what to time, by name.
        repeats: rounds that count.
        warmup: rounds before them.
        clock: seconds; ``time.process_time`` counts this process's own, for a CPU that others use at the same time.

    Returns:
        seconds of every round that counts, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(-warmup, repeats):
        for name, action in actions.items():
            _wait()
            start = clock()
            action()
            _wait()
            if turn >= 0:
                seconds[name].append(clock() - start)
    return seconds


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Rows under a header as a Markdown table; numbers with three significant digits."""
    text = [[_cell(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in text) for column in range(len(header))]
    lines = ["| " + " | ".join(value.ljust(width) for value, width in zip(row, widths)) + " |" for row in text]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
