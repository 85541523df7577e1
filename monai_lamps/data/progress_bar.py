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
"""How far the reading of many files is: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["progress_bar"]

_LINE = "{desc}: {n_fmt} of {total_fmt} ({percentage:.0f} %), {rate_fmt}, {remaining} left"


class _LogLines:
    """What a file needs for tqdm to write to it; what is written becomes a line of the log."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def write(self, text: str) -> None:
        """Log it, unless it only wipes out a bar."""
        if line := text.strip():
            self.logger.info(line)

    def flush(self) -> None:
        """Nothing is held back."""


def progress_bar(
    total: int,
    name: str,
    unit: str,
    logger: logging.Logger,
    shown: bool = True,
    seconds: float = 60.0,
    stream: TextIO | None = None,
) -> tqdm:
    """tqdm's bar when standard error is a terminal; else (a log file, a scheduler) a line of the log now and then.

    Args:
        total: how many there are to be done.
        name: of what is done, e.g. ``verifying``.
        unit: what is counted, in the singular.
        logger: takes the lines.
        shown: False for neither.
        seconds: between two lines, and before the first one.
        stream: where the bar goes; standard error by default.

    Returns:
        the bar, a context manager; call its ``update`` for each thing done.
    """
    stream = sys.stderr if stream is None else stream
    if stream.isatty() or not shown:
        return tqdm(total=total, desc=name, unit=unit, file=stream, disable=not shown)
    lines: Any = _LogLines(logger)
    rhythm = {"mininterval": seconds, "maxinterval": seconds, "miniters": 1, "delay": seconds}
    return tqdm(total=total, desc=name, unit=unit, file=lines, leave=False, bar_format=_LINE, **rhythm)
