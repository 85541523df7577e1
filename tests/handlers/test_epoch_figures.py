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

from monai_lamps.handlers import EpochFigures


def test_figures_of_an_earlier_epoch_are_withdrawn_and_those_of_others_stay(trainer: Callable[..., Any]) -> None:
    engine, seen = trainer(epochs=3, length=1), []
    figures = EpochFigures()
    figures.attach(engine)
    engine.state.metrics["other"] = 7.0

    @engine.on(Events.EPOCH_COMPLETED)
    def measure(engine: Any) -> None:
        if engine.state.epoch != 2:
            figures.publish(engine, {"rank": float(engine.state.epoch)})
        seen.append(dict(engine.state.metrics))

    engine.go()
    assert seen == [{"other": 7.0, "rank": 1.0}, {"other": 7.0}, {"other": 7.0, "rank": 3.0}]
