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
"""Against the reference outputs of the released modules, at full size: minutes, 5 GB of memory, 2 GB of disk."""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from monai_lamps.checkpoints import load_released_lamps
from monai_lamps.losses import PatchOrderLoss
from monai_lamps.methods import Lamps
from monai_lamps.networks import SwinEncoder, fill_context


@pytest.fixture(scope="module")
def recipe(shared: Path):
    spec = importlib.util.spec_from_file_location("recipe", shared / "reference" / "lamps" / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def outputs(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "reference" / "lamps" / "outputs.npz"))


@pytest.fixture
def released(recipe, tmp_path: Path):
    """A checkpoint as it was released, of the recipe's weights."""
    student = {f"module.{key}": value for key, value in recipe.state_dict(0).items()}
    args = argparse.Namespace(arch="swin_base", epochs=302, scale=np.float64(1))
    path = tmp_path / "released.pth"
    torch.save({"student": student, "teacher": recipe.state_dict(1), "epoch": 302, "args": args}, path)
    yield path
    path.unlink()


def assert_close(got: torch.Tensor, want: np.ndarray, name: str) -> None:
    difference = float((got - torch.from_numpy(np.asarray(want))).abs().max())
    print(f"{name}: max abs difference {difference:.2e} of {float(np.abs(want).max()):.3f}")
    assert difference < 1e-4, name


def shuffle_cells(views: torch.Tensor, permutation: torch.Tensor, cell: int) -> torch.Tensor:
    """Position j shows cell permutation[j], row-major."""
    count, channels, height, width = views.shape
    rows, columns = height // cell, width // cell
    cells = views.reshape(count, channels, rows, cell, columns, cell).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    cells = cells[:, permutation].reshape(count, rows, columns, channels, cell, cell)
    return cells.permute(0, 3, 1, 4, 2, 5).reshape(views.shape)


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("MONAI_LAMPS_SLOW") != "1", reason="full size; set MONAI_LAMPS_SLOW=1")
@torch.no_grad()
def test_an_imported_checkpoint_reproduces_the_released_outputs(recipe, outputs, released: Path) -> None:
    method = Lamps(SwinEncoder("swin_base", small_grid_shift=True))  # one channel: RGB is folded
    reports = load_released_lamps(method.eval(), released)
    assert all(not report.missing and not report.unexpected for report in reports.values())
    given = {key: value[..., :1, :, :] if value.ndim > 3 else value for key, value in recipe.inputs().items()}
    views, visible, permutation = given["views"], given["visible"].flatten(1) > 0, given["permutation"]
    encoder, decoder = method.student.encoder, method.decoder

    tokens, mean = encoder.embed(views)
    assert_close(tokens[:, ::13, ::64], outputs["student_tokens"], "student_tokens")
    assert_close(mean[:, ::16], outputs["student_global"], "student_global")

    code = recipe.state_dict(0)["vitdecoder.decoder_pos_embed"]
    torch.testing.assert_close(decoder.position_code, code, rtol=0, atol=1e-6)
    crops = torch.stack([views[0, :, 32:384, 64:416], views[1, :, 96:448, 0:352]])
    pred = decoder(fill_context(encoder.embed(crops)[0], visible, decoder.mask_token))
    assert_close(pred[:, ::13, ::64], outputs["extrap_pred"], "extrap_pred")

    logits = method.order_head(encoder.embed(shuffle_cells(views, permutation, 32))[0])
    assert_close(logits[:, ::13, ::16], outputs["order_logits"], "order_logits")
    loss = PatchOrderLoss()(logits, permutation.expand(2, -1))
    assert_close(loss, outputs["loss_order"], "loss_order")

    quadrants = encoder(given["quadrants"].flatten(0, 1)).unflatten(0, (4, 2)).transpose(0, 1)  # 224 px
    assert_close(method.composer(quadrants)[:, ::16], outputs["composed"], "composed")
