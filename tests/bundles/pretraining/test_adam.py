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
"""What is particular to the bundle of Adam."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

pytestmark = pytest.mark.parametrize("method", ["adam"], indirect=True)


def test_the_learning_rate_falls_within_each_stage_and_begins_anew(
    workflow: Callable[..., ConfigWorkflow], phantoms: Path, tmp_path: Path
) -> None:
    flow = workflow(dataset_dir=phantoms, output_dir=tmp_path, stage_epochs=2, batch_size=8)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    rates: list[float] = []
    optimizer = flow.parser.get_parsed_content("optimizer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: rates.append(optimizer.param_groups[0]["lr"]))
    flow.run()
    assert 0 < rates[1] < rates[0] < 0.03 * 8 / 256
    assert rates[2:] == pytest.approx(rates[:2])
