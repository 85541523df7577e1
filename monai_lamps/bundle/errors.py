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

__all__ = ["explain_errors"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_FILE_ERRORS = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


def explain_errors() -> None:
    """On the command line, end with one line that says what to mend instead of MONAI's nested traceback.

    Applies to errors that this package raises on purpose (a ``raise`` statement of its own: what was got, what is
    expected, how to mend it) and to files that it cannot open. Anything else is a bug, here or elsewhere, and keeps its
    traceback; all do with ``MONAI_LAMPS_TRACEBACK=1``. In a process that is not the monai.bundle command nothing
    changes.
    """
    program = sys.argv[0].replace(os.sep, "/")
    if program.endswith("monai/bundle/__main__.py") and os.environ.get("MONAI_LAMPS_TRACEBACK") != "1":
        sys.excepthook = _one_line


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    explained = _explained(error)
    if explained is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"monai_lamps: error: {' '.join(str(explained).split())}", file=sys.stderr)


def _explained(error: BaseException) -> BaseException | None:
    """The outermost error of this package in a chain; MONAI wraps what a config's expression raises several times.

    What it was raised from (the JSON decoder's complaint, say) does not name the user's file, so it is not the answer.
    """
    link: BaseException | None = error
    while link is not None:
        frames = traceback.extract_tb(link.__traceback__)
        own = [frame for frame in frames if frame.filename.startswith(_PACKAGE)]
        on_purpose = bool(own) and own[-1] is frames[-1] and (own[-1].line or "").startswith("raise ")
        if isinstance(link, Exception) and (on_purpose or (own and isinstance(link, _FILE_ERRORS))):
            return link
        link = link.__cause__
    return None
