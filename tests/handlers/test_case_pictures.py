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
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toy_task import classification, items, loader, segmentation, trainer

from monai_lamps.handlers.case_pictures import CasePictureHandler
from monai_lamps.handlers.task_validator import TaskValidator


def test_the_cases_of_the_last_pass_are_drawn_from_the_dataset(tmp_path: Path) -> None:
    task, validator = segmentation(), TaskValidator(loader(items()), "dice")
    alone = segmentation()
    trainer(alone, epochs=2).run()
    trainer(task, epochs=2, handlers=[validator, CasePictureHandler(tmp_path, validator)]).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch=0001_overlay_square.png",
        "epoch=0002_overlay_square.png",
    ]
    scores = [row["dice/square"] for row in validator.cases]
    best = items()[int(np.argmax(scores))]["image"][0]
    drawn = np.asarray(Image.open(tmp_path / "epoch=0002_overlay_square.png"))[14::9, : 9 * 16 : 9] / 255
    grey = (drawn == drawn[..., :1]).all(-1)  # neither outline nor caption
    assert grey.any()
    assert np.allclose(drawn[..., 0][grey], best.numpy()[grey], atol=0.01)
    assert all(torch.equal(value, alone.state_dict()[name]) for name, value in task.state_dict().items())


def test_curves_need_no_images(tmp_path: Path) -> None:
    data: list[dict[str, Any]] = [{"image": torch.rand(4, 1, 16, 16), "label": torch.eye(2).repeat(2, 1)}]
    task, validator = classification(), TaskValidator(data, "auroc")
    validator.measure(task)
    pictures = CasePictureHandler(tmp_path, validator).draw(task)
    assert set(pictures) == {"roc", "reliability"}
    assert pictures["roc"].dtype == torch.uint8


def test_before_anything_was_judged_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no case has been judged yet; put the pictures behind the TaskValidator"):
        CasePictureHandler(tmp_path, TaskValidator([], "dice")).draw(segmentation())


def test_pictures_are_drawn_only_in_epochs_that_are_judged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="interval must be a multiple of the validator's, 2 epochs, got 3"):
        CasePictureHandler(tmp_path, TaskValidator([], "dice", interval=2), interval=3)
