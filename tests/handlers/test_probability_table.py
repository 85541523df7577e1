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

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from monai_lamps.handlers import ProbabilityTable

ITEMS = [{"image": f"{number}.png"} for number in range(3)]


def _run(table: ProbabilityTable, batches: int = 2) -> None:
    answers = [torch.tensor([[0.25, 0.75], [0.5, 0.125]]), torch.tensor([[1.0, 0.0]])]
    engine = Engine(lambda engine, batch: {"pred": answers[batch]})
    table.attach(engine)
    engine.run(list(range(batches)))


def test_every_image_has_a_line(tmp_path: Path) -> None:
    table = ProbabilityTable(tmp_path / "out" / "p.csv", ITEMS, ["Edema", "Mass"])
    for _ in range(2):  # a second run begins anew
        _run(table)
        lines = (tmp_path / "out" / "p.csv").read_text().splitlines()
        assert lines == ["image,Edema,Mass", "0.png,0.25,0.75", "1.png,0.5,0.125", "2.png,1.0,0.0"]


def test_nothing_is_written_when_images_are_missing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="expected probabilities of 3 images, got 2; nothing was written"):
        _run(ProbabilityTable(tmp_path / "p.csv", ITEMS, ["Edema", "Mass"]), batches=1)
    assert not (tmp_path / "p.csv").exists()
