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

import copy
from functools import partial

import pytest
import torch
from monai.networks.nets.swin_unetr import SwinTransformer, compute_mask
from torch import nn

from monai_lamps.networks import SwinEncoder, build_encoder

TOY = {"embed_dim": 8, "depths": (2, 2, 2, 2), "num_heads": (2, 2, 4, 4), "window_size": 4, "patch_size": 2}


def toy(**kwargs) -> SwinEncoder:
    torch.manual_seed(0)
    encoder = SwinEncoder("toy", **{**TOY, "drop_path": 0.0, **kwargs}).eval()
    for name, parameter in encoder.named_parameters():  # large enough that position and order of the windows matter
        nn.init.normal_(parameter, mean=1.0 if "norm" in name and name.endswith("weight") else 0.0, std=0.3)
    return encoder


def same_weights(encoder: SwinEncoder, **kwargs) -> SwinEncoder:
    other = toy(**kwargs)
    other.load_state_dict(encoder.state_dict())
    return other


@pytest.mark.parametrize(("spatial_dims", "size"), [(2, (80, 112)), (3, (32, 16, 16))])
@torch.no_grad()
def test_features_are_those_of_monais_swin_transformer_before_merging(spatial_dims: int, size: tuple) -> None:
    encoder = toy(spatial_dims=spatial_dims)
    monai = SwinTransformer(
        in_chans=1,
        embed_dim=8,
        window_size=(4,) * spatial_dims,
        patch_size=(2,) * spatial_dims,
        depths=TOY["depths"],
        num_heads=TOY["num_heads"],
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        patch_norm=True,
        spatial_dims=spatial_dims,
    ).eval()
    missing, unexpected = monai.load_state_dict(encoder.swin.state_dict(), strict=False)
    assert not unexpected
    assert all(key.startswith("layers4.0.downsample.") for key in missing)
    monai.layers4[0].downsample = None
    before: list[torch.Tensor] = []
    for stage in (monai.layers1, monai.layers2, monai.layers3, monai.layers4):
        stage[0].blocks[-1].register_forward_hook(lambda module, inputs, output: before.append(output))
    x = torch.randn(2, 1, *size)
    coarsest = monai(x, normalize=False)[-1]
    features = encoder.features(x)
    assert len(features) == 4
    for level, expected in zip(features, before):
        assert torch.equal(level, expected.movedim(-1, 1))
    assert torch.equal(features[-1], coarsest)


def test_the_published_sizes() -> None:
    for name, embed_dim, millions in (("swin_tiny", 768, 27.5), ("swin_small", 768, 48.8), ("swin_base", 1024, 86.7)):
        encoder = build_encoder(name)
        assert encoder.strides == (4, 8, 16, 32)
        assert encoder.embed_dim == embed_dim
        assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)
        assert not [key for key in encoder.state_dict() if key.startswith("swin.layers4.0.downsample")]
        assert {m.eps for m in encoder.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}


@torch.no_grad()
def test_encoding_the_cropped_window_is_the_masked_encoding_of_the_paper() -> None:
    encoder = toy()
    view = torch.randn(1, 1, 112, 112)  # 7x7 cells of 16 px, of which the 5x5 from cell (1, 2) on are visible
    patches = encoder.swin.patch_embed(view)[:, :, 8:48, 16:56]  # the whole view embedded, visible patches kept
    for stage in encoder.stages():
        patches = stage(patches)
    masked = encoder.norm(patches.flatten(2).transpose(1, 2))
    torch.testing.assert_close(encoder.embed(view[:, :, 16:96, 32:112])[0], masked, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("cells", "differs"), [((4, 4), True), ((4, 8), True), ((7, 7), False), ((3, 3), False)])
@torch.no_grad()
def test_small_grid_shift_matters_only_where_the_grid_equals_the_window(cells: tuple, differs: bool) -> None:
    x = torch.randn(1, 1, *(side * 2 for side in cells))
    kwargs = {"depths": (2,), "num_heads": (2,)}  # one stage, so that its grid is the only one
    usual = toy(**kwargs)
    released = same_weights(usual, small_grid_shift=True, **kwargs)
    difference = (usual.embed(x)[0] - released.embed(x)[0]).abs().max()
    assert (difference > 1e-3) if differs else (difference == 0)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@torch.no_grad()
def test_small_grid_shift_attends_within_the_wrapped_regions_only(spatial_dims: int) -> None:
    kwargs = {"depths": (2,), "num_heads": (2,), "window_size": 4, "spatial_dims": spatial_dims}
    released = toy(small_grid_shift=True, **kwargs)
    block = released.stages()[0].blocks[1]
    grid = (4,) * spatial_dims
    assert block.window_and_shift(grid) == (grid, (2,) * spatial_dims)
    assert block.window_and_shift((3,) * spatial_dims) == ((3,) * spatial_dims, (0,) * spatial_dims)
    cells = torch.randn(1, *grid, 8)
    mask = compute_mask(list(grid), grid, (2,) * spatial_dims, cells.device)
    first = block._attention(cells, mask)
    moved = cells.clone()
    moved[(slice(None), *(slice(2, None),) * spatial_dims)] += torch.randn(8)  # the far quadrant or octant
    near = (slice(None), *(slice(2),) * spatial_dims)
    torch.testing.assert_close(block._attention(moved, mask)[near], first[near], rtol=0, atol=1e-6)
    assert not torch.allclose(block._attention(moved, mask), first)


def test_recomputing_keeps_as_many_values_a_channel_and_token_as_the_docstring_says() -> None:
    kept = {}
    for policy in ("nothing", "between", "all"):
        stored: dict[int, int] = {}
        alive: list[torch.Tensor] = []

        def pack(tensor: torch.Tensor, stored=stored, alive=alive) -> torch.Tensor:
            alive.append(tensor)  # so that no address is used twice
            stored[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        block = toy(recompute=policy, embed_dim=64, num_heads=(2, 2, 4, 4), window_size=7).stages()[0].blocks[1]
        cells = torch.randn(1, 28, 28, 64, requires_grad=True)
        mask = compute_mask([28, 28], (7, 7), (3, 3), cells.device)
        own = {tensor.untyped_storage().data_ptr() for tensor in (mask, *block.parameters())}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            block(cells, mask)
        stored = {place: size for place, size in stored.items() if place not in own}
        kept[policy] = sum(stored.values()) / (cells.numel() * cells.element_size())
    assert kept["nothing"] == pytest.approx(17.5, abs=0.3)
    assert kept["between"] == pytest.approx(9, abs=0.3)
    assert kept["all"] == pytest.approx(2, abs=0.3)


def test_small_grid_shift_keeps_the_stochastic_depth_and_survives_a_deep_copy() -> None:
    encoder = SwinEncoder("toy", **{**TOY, "drop_path": 0.3, "small_grid_shift": True})
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for stage in encoder.stages() for block in stage.blocks]
    assert rates == pytest.approx([0.3 * i / 7 for i in range(8)])
    twin = copy.deepcopy(encoder).eval()
    x = torch.randn(1, 1, 64, 64)
    assert torch.equal(twin(x), encoder.eval()(x))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"depths": (2, 2)}, r"same one to four stages.*got depths \(2, 2\) and num_heads \(2, 2, 4, 4\)"),
        ({"depths": (1, 0, 1, 1)}, r"at least one block, got depths \(1, 0, 1, 1\)"),
        ({"num_heads": (3, 2, 4, 4)}, r"num_heads\[0\] = 3 must divide the 8 channels"),
        ({"window_size": 1}, r"window_size must be an integer of at least 2.*got 1"),
        ({"window_size": (7, 7)}, r"window_size .*got \(7, 7\)"),
        ({"patch_size": 0}, r"patch_size must be a positive integer.*got 0"),
        ({"recompute": "some"}, r"recompute must be one of \['nothing', 'between', 'all'\], got 'some'"),
        ({"drop_path": 1.0}, r"drop_path must lie in \[0, 1\), got 1.0"),
        ({"embed_dim": None}, r"'toy' is not one of the Swin sizes .*give embed_dim, depths and num_heads"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SwinEncoder("toy", **{**TOY, **kwargs})
