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
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monai_lamps.handlers import PictureHandler, TensorBoardMetrics, pictures
from monai_lamps.handlers.pictures import picture_to_uint8

Make = Callable[..., Any]
BATCH = {"image": torch.zeros(2, 4)}


def test_pictures_are_written_as_png_and_the_last_epochs_stay(tmp_path: Path, trainer: Make) -> None:
    engine = trainer(epochs=4, length=1)
    PictureHandler(tmp_path / "pictures", [BATCH], keep=2).attach(engine)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "mine.png").touch()
    engine.go()
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == [
        "epoch=0003_order_map.png",
        "epoch=0003_views.png",
        "epoch=0004_order_map.png",
        "epoch=0004_views.png",
        "mine.png",
    ]
    views = np.asarray(Image.open(tmp_path / "pictures" / "epoch=0004_views.png"))
    expected = torch.linspace(0, 1, 192).reshape(3, 8, 8).permute(1, 2, 0).mul(255).round().to(torch.uint8)
    assert np.array_equal(views, expected.numpy())
    assert Image.open(tmp_path / "pictures" / "epoch=0004_order_map.png").size == (5, 4)


def test_every_second_epoch_the_last_one_and_all_kept(tmp_path: Path, trainer: Make) -> None:
    engine = trainer(epochs=5, length=1)
    PictureHandler(tmp_path, [BATCH], interval=2, keep=None).attach(engine)
    engine.go()
    assert sorted({p.name[:10] for p in tmp_path.iterdir()}) == ["epoch=0002", "epoch=0004", "epoch=0005"]


def test_it_is_always_the_same_batch_and_training_is_as_without_it(tmp_path: Path, trainer: Make) -> None:
    class Loader:
        starts = 0

        def __iter__(self) -> Any:
            self.starts += 1
            yield {"image": torch.rand(2, 4)}

    alone, watched, loader = trainer(), trainer(), Loader()
    PictureHandler(tmp_path, loader).attach(watched)
    assert watched.go().losses == alone.go().losses
    assert loader.starts == 1
    assert watched.method.training


def test_they_are_computed_in_the_precision_of_the_trainer(tmp_path: Path, trainer: Make) -> None:
    engine, seen = trainer(epochs=1), []

    def answer(batch: Any) -> dict[str, torch.Tensor]:
        seen.append(engine.method.layer(batch["image"]).dtype)
        return {"grey": torch.full((1, 2, 2), 0.5, dtype=seen[-1])}

    engine.method.pictures = answer
    engine.autocast_dtype, engine.state.device = torch.bfloat16, torch.device("cpu")
    PictureHandler(tmp_path, [BATCH]).attach(engine)
    engine.go()
    assert seen == [torch.bfloat16]
    assert np.asarray(Image.open(tmp_path / "epoch=0001_grey.png")).tolist() == [[128, 128], [128, 128]]


def test_tensorboard_gets_them_at_the_iteration(tmp_path: Path, trainer: Make) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    engine = trainer(epochs=2, length=3)
    board = TensorBoardMetrics(tmp_path / "tensorboard")
    for handler in (PictureHandler(tmp_path / "pictures", [BATCH], tensorboard=board), board):
        handler.attach(engine)
    engine.go()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert sorted(events.Tags()["images"]) == ["pictures/order map", "pictures/views"]
    assert [event.step for event in events.Images("pictures/views")] == [3, 6]


def test_a_disk_error_is_logged_and_training_goes_on(
    tmp_path: Path, trainer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    engine = trainer(epochs=1)
    PictureHandler(tmp_path / "file", [BATCH]).attach(engine)
    engine.go()
    assert len(engine.losses) == 4
    assert "could not write the pictures to" in caplog.text


def test_other_ranks_do_not_draw(tmp_path: Path, trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures.idist, "get_rank", lambda: 1)
    engine = trainer(epochs=1)
    PictureHandler(tmp_path, [BATCH]).attach(engine)
    engine.go()
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_another_shape_or_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"picture 'map' must be \(1 or 3, H, W\), got shape \(2, 4, 4\)"):
        picture_to_uint8(torch.zeros(2, 4, 4), "map")
    with pytest.raises(ValueError, match=r"picture 'map' must lie in \[0, 1\], got \[0, 255\]; scale it"):
        picture_to_uint8(torch.linspace(0, 255, 16).reshape(1, 4, 4), "map")
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got \[nan, nan\]"):
        picture_to_uint8(torch.full((1, 2, 2), torch.nan))
    assert picture_to_uint8(torch.tensor([[[-5e-5, 1.00005]]])).tolist() == [[[0, 255]]]


def test_ill_arguments(tmp_path: Path, trainer: Make) -> None:
    with pytest.raises(ValueError, match="interval must be at least 1 epoch, got 0"):
        PictureHandler(tmp_path, [], interval=0)
    with pytest.raises(ValueError, match="keep must be at least 1 epoch, or None for all, got 0"):
        PictureHandler(tmp_path, [], keep=0)
    with pytest.raises(ValueError, match="the loader of the pictures gave no batch; check the validation list"):
        PictureHandler(tmp_path, []).draw(trainer().method)
