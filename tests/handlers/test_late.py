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

from collections.abc import Callable
from typing import Any

from ignite.engine import Events

from monai_lamps.handlers.late import REPORTING, SAVING, attach_after


def test_the_order_is_measure_report_save_whatever_is_attached_first(trainer: Callable[..., Any]) -> None:
    engine, calls = trainer(epochs=2, length=1), []
    attach_after(engine, Events.EPOCH_COMPLETED, lambda _: calls.append("save"), SAVING)
    attach_after(engine, Events.EPOCH_COMPLETED, lambda _: calls.append("report"), REPORTING)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: calls.append("measure"))
    engine.go()
    assert calls == ["measure", "report", "save"] * 2
