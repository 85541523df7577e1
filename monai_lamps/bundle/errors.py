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
import sys
import traceback
from types import TracebackType

__all__ = ["explain_errors", "root_cause"]

_USER_ERRORS = (ValueError, FileNotFoundError, NotADirectoryError, PermissionError)


def root_cause(error: BaseException) -> BaseException:
    """The first error of a chain: MONAI wraps what a config's expression raises several times over."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def explain_errors() -> None:
    """On the command line, end with one line that says what to mend instead of MONAI's nested traceback.

    Applies to errors of use (ValueError, missing files) raised by this package; anything else keeps its traceback, and
    all do with ``MONAI_LAMPS_TRACEBACK=1``. In a process that is not the monai command nothing changes.
    """
    program = sys.argv[0].replace(os.sep, "/")
    if program.endswith("monai/bundle/__main__.py") and os.environ.get("MONAI_LAMPS_TRACEBACK") != "1":
        sys.excepthook = _one_line


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    cause = root_cause(error)
    frames = traceback.extract_tb(cause.__traceback__)
    ours = any("monai_lamps" in frame.filename for frame in frames)
    if isinstance(cause, _USER_ERRORS) and ours:
        print(f"monai_lamps: error: {cause}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
