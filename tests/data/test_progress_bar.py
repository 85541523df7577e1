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

import io
import logging

import pytest

from monai_lamps.data.progress_bar import progress_bar

LOGGER = logging.getLogger("monai_lamps.data.tests")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def go(stream: io.StringIO, seconds: float = 60.0, shown: bool = True) -> str:
    with progress_bar(3, "verifying", "image", LOGGER, shown=shown, seconds=seconds, stream=stream) as bar:
        for _ in range(3):
            bar.update()
    return stream.getvalue()


def test_on_a_terminal_there_is_a_bar(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        written = go(Terminal())
    assert "verifying: 100%" in written
    assert "3/3" in written
    assert not caplog.records


def test_in_a_log_what_is_quickly_done_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert go(io.StringIO()) == ""
    assert not caplog.records


def test_in_a_log_lines_tell_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert go(io.StringIO(), seconds=0.0) == ""
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(",")[0] for line in lines][-1] == "verifying: 3 of 3 (100 %)"
    assert all("\r" not in line and line.endswith("left") for line in lines)


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "log"])
def test_nothing_is_said_where_it_is_not_wanted(stream: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert go(stream, seconds=0.0, shown=False) == ""
    assert not caplog.records
