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
"""Against the reference outputs of the released modules, at full size: about a minute and 4 GB."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from monai_lamps.losses import PatchOrderLoss
from monai_lamps.networks import Composer, ContextDecoder, OrderHead, SwinEncoder, fill_context

DECODER = {"decoder_blocks.": "blocks.", "decoder_norm.": "norm.", "cls_token": "cls_token"}


def encoder_key(key: str) -> str | None:
    """Our name of a key of the released backbone, None for what we do not have."""
    if key.startswith("layers."):
        stage, rest = key[len("layers.") :].split(".", 1)
        return f"swin.layers{int(stage) + 1}.0.{rest.replace('mlp.fc', 'mlp.linear')}"
    return {"patch_embed.": f"swin.{key}", "norm.": key}.get(key.split(".", 1)[0] + ".")


def decoder_key(key: str) -> str | None:
    """Our name of a key of the released decoder, None for what we do not have."""
    for theirs, ours in DECODER.items():
        if key.startswith(theirs):
            key = ours + key[len(theirs) :]
            return key.replace("attn.proj", "attn.out_proj").replace("mlp.fc", "mlp.linear")
    return None


def part(state: dict[str, torch.Tensor], prefix: str, rename=lambda key: key) -> dict[str, torch.Tensor]:
    """The entries below a prefix, renamed."""
    named = ((rename(key[len(prefix) :]), value) for key, value in state.items() if key.startswith(prefix))
    return {key: value for key, value in named if key is not None}


def load(module: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    module.load_state_dict(state)
    return module.eval()


@pytest.fixture(scope="module")
def recipe(shared: Path):
    spec = importlib.util.spec_from_file_location("recipe", shared / "reference" / "lamps" / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def outputs(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "reference" / "lamps" / "outputs.npz"))


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
def test_full_size_networks_reproduce_the_released_outputs(recipe, outputs) -> None:
    state, given = recipe.state_dict(0), recipe.inputs()
    views, visible, permutation = given["views"], given["visible"].flatten(1) > 0, given["permutation"]
    encoder = SwinEncoder("swin_base", in_channels=3, small_grid_shift=True)
    load(encoder, part(state, "backbone.", encoder_key))

    tokens, mean = encoder.embed(views)
    assert_close(tokens[:, ::13, ::64], outputs["student_tokens"], "student_tokens")
    assert_close(mean[:, ::16], outputs["student_global"], "student_global")

    decoder = ContextDecoder(1024, 14)
    mask_token = {"mask_token": state["backbone.mask_token"]}
    load(decoder, part(state, "vitdecoder.", decoder_key) | mask_token)
    torch.testing.assert_close(decoder.position_code, state["vitdecoder.decoder_pos_embed"], rtol=0, atol=1e-6)
    crops = torch.stack([views[0, :, 32:384, 64:416], views[1, :, 96:448, 0:352]])
    pred = decoder(fill_context(encoder.embed(crops)[0], visible, decoder.mask_token))
    assert_close(pred[:, ::13, ::64], outputs["extrap_pred"], "extrap_pred")

    head = load(OrderHead(1024, 196), part(state, "popar_head."))
    logits = head(encoder.embed(shuffle_cells(views, permutation, 32))[0])
    assert_close(logits[:, ::13, ::16], outputs["order_logits"], "order_logits")
    loss = PatchOrderLoss()(logits, permutation.expand(2, -1))
    assert_close(loss, outputs["loss_order"], "loss_order")

    composer = load(Composer(1024), part(state, "composer."))
    quadrants = encoder(given["quadrants"].flatten(0, 1)).unflatten(0, (4, 2)).transpose(0, 1)
    assert_close(composer(quadrants)[:, ::16], outputs["composed"], "composed")
