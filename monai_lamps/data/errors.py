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

"""The error that every reader raises for a file that is not a usable radiograph."""

from __future__ import annotations

__all__ = ["NoPixelDataError", "RadiographError"]


class RadiographError(ValueError):
    """A file cannot be used as a radiograph.

    The text has three parts: the file, what was found in it, and how to mend it. It survives pickling, so that it
    crosses from a worker process to the main process unchanged.

    Args:
        file: the file, as given to the reader.
        found: what was found, in one sentence without a full stop.
        mend: what the user can do about it.
    """

    def __init__(self, file: str, found: str, mend: str) -> None:
        super().__init__(file, found, mend)
        self.file = str(file)
        self.found = found
        self.mend = mend

    @property
    def reason(self) -> str:
        """What was found and its mend on one line, without the file (the ``reason`` of ``rejected.csv``)."""
        return " ".join(f"{self.found}; {self.mend}".split())

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class NoPixelDataError(RadiographError):
    """A sound DICOM file that is no image (report, presentation state, DICOMDIR); an index skips it."""
