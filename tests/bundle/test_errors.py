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

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.bundle import ConfigParser

from monai_lamps.bundle import explain_errors
from monai_lamps.checkpoints import read_card

COMMAND = "/usr/lib/python3/site-packages/monai/bundle/__main__.py"


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(sys, "argv", [COMMAND])
    monkeypatch.delenv("MONAI_LAMPS_TRACEBACK", raising=False)


def printed(work: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> str:
    """What the interpreter would print when this ends the process."""
    explain_errors()
    try:
        work()
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    return capsys.readouterr().err


def in_a_config(expression: str) -> Callable[[], Any]:
    """An expression two references deep, each of which MONAI wraps."""
    config = {"imports": ["$import monai_lamps", "$import numpy"], "a": expression, "b": "$@a", "c": "$[@b]"}
    return lambda: ConfigParser(config).get_parsed_content("c")


def test_an_error_of_this_package_that_monai_has_wrapped_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(in_a_config("$monai_lamps.networks.build_encoder('resnet19')"), capsys)
    assert text.startswith("monai_lamps: error: unknown encoder 'resnet19', expected one of ")
    assert text.endswith("Did you mean 'resnet18'?\n")
    assert text.count("\n") == 1


def test_any_kind_of_error_that_this_package_raises_on_purpose_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(in_a_config("$monai_lamps.networks.build_encoder('resnet18', strid=8)"), capsys)
    assert text.startswith("monai_lamps: error: encoder 'resnet18' has no argument 'strid'")  # a TypeError
    assert text.count("\n") == 1


def test_the_line_is_the_message_of_this_package_not_of_what_caused_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "encoder.json").write_text("{")
    text = printed(in_a_config(f"$monai_lamps.checkpoints.read_card({str(tmp_path / 'encoder.pt')!r})"), capsys)
    assert text == (
        f"monai_lamps: error: encoder card '{tmp_path}/encoder.json' is not valid JSON (Expecting property name "
        "enclosed in double quotes: line 1 column 2 (char 1)); copy it again.\n"
    )


def test_an_error_of_a_component_that_monai_instantiates_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    config = {"_target_": "monai_lamps.handlers.EncoderExporter", "path": "x.pt", "image_size": 1, "every_epochs": 0}
    text = printed(lambda: ConfigParser({"a": config}).get_parsed_content("a"), capsys)
    assert text == "monai_lamps: error: every_epochs must be at least 1, got 0.\n"


def test_a_file_that_this_package_cannot_open_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rejected.csv").mkdir()
    text = printed(in_a_config(f"$monai_lamps.data.RejectLog({str(tmp_path / 'rejected.csv')!r}).files()"), capsys)
    assert text == f"monai_lamps: error: [Errno 21] Is a directory: '{tmp_path}/rejected.csv'\n"


@pytest.mark.parametrize(
    "expression",
    [
        "$1 / 0",
        "$numpy.zeros(3).reshape(2)",
        "$open('/no/such/file')",
        "$monai_lamps.networks.build_encoder()",  # called wrongly
        "$monai_lamps.losses.order_accuracy(3, 4)",  # a bug, or used wrongly, inside this package
    ],
)
def test_any_other_error_keeps_its_traceback(expression: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(in_a_config(expression), capsys)
    assert text.count("Traceback (most recent call last)") > 1
    assert "monai_lamps: error:" not in text


def test_a_bug_while_an_error_is_handled_keeps_its_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        try:
            read_card(tmp_path / "encoder.pt")
        except FileNotFoundError:
            np.zeros(3).reshape(2)

    assert "Traceback" in printed(work, capsys)


def test_a_folder_that_is_called_like_this_package_is_not_this_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "monai_lamps" / "mine.py"
    file.parent.mkdir()
    file.write_text("def work():\n    raise ValueError('mine')\n")
    scope: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    assert "Traceback" in printed(scope["work"], capsys)


def test_an_interrupt_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    assert "KeyboardInterrupt" in printed(work, capsys)


def test_outside_the_monai_command_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    explain_errors()
    assert sys.excepthook is sys.__excepthook__


def test_the_traceback_comes_back_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONAI_LAMPS_TRACEBACK", "1")
    explain_errors()
    assert sys.excepthook is sys.__excepthook__
    monkeypatch.setenv("MONAI_LAMPS_TRACEBACK", "0")
    explain_errors()
    assert sys.excepthook is not sys.__excepthook__
