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

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.networks import (
    EvidenceNetwork,
    TokenDecoder,
    build_encoder,
    build_evidence_network,
    cell_means,
    contrast_percentile,
    gather_clue,
    paint_cells,
)


def _network(spatial_dims: int = 2, **kwargs: Any) -> EvidenceNetwork:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", spatial_dims=spatial_dims, stride=8, base_channels=4)
    decoder = TokenDecoder(encoder.embed_dim, 8, 12, 1, 2, position_cells=3, spatial_dims=spatial_dims)
    return EvidenceNetwork(encoder, decoder, **kwargs).eval()


def _images(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (2, 1, 24, 16)), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("dims", "shape"), [(2, (2, 1, 24, 16)), (3, (1, 1, 16, 8, 8))])
def test_evidence_has_the_shapes_and_ranges_that_are_promised(dims: int, shape: tuple[int, ...]) -> None:
    network, images = _network(dims), _images(*shape)
    found = network.evidence(images)
    cells = torch.Size(shape[2:]).numel() // 8**dims
    assert found.restored.shape == images.shape
    assert found.pixel_map.shape == images.shape
    assert found.pixel_map.dtype == found.weights.dtype == torch.float32
    assert 0 <= float(found.pixel_map.min()) <= float(found.pixel_map.max()) < 1
    assert found.tokens.shape == (shape[0], cells, 32)
    assert found.weights.shape == (shape[0], cells)
    torch.testing.assert_close(found.weights.sum(dim=1), torch.ones(shape[0]))
    assert float(found.weights.min()) > 0


@torch.no_grad()
def test_evidence_equals_its_formulas_written_out() -> None:
    network, x = _network(sigma=0.0, temperature=0.3, feature_weight=0.5), _images()
    network.scale.fill_(0.7)
    found = network.evidence(x)
    tokens, context = network.encoder.embed(x)
    r = x + network.decoder(tokens, (3, 2))
    contrast = (x - r).abs()
    expected = contrast / (contrast + 0.7)
    normal, _ = network.encoder.embed(r)
    for b in range(2):
        strengths = []
        for p in range(6):
            row, column = divmod(p, 2)
            cell = expected[b, 0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            cosine = tokens[b, p] @ normal[b, p] / tokens[b, p].norm() / normal[b, p].norm()
            strengths.append(cell.mean() + 0.5 * (1 - cosine) / 2)
        weights = (torch.stack(strengths) / 0.3).softmax(0)
        torch.testing.assert_close(found.weights[b], weights)
        torch.testing.assert_close(found.clue[b], sum(w * z for w, z in zip(weights, tokens[b])))
    torch.testing.assert_close(found.pixel_map, expected)
    torch.testing.assert_close(found.restored, r)
    torch.testing.assert_close(found.context, context)
    torch.testing.assert_close(network.restore(x), r)


def test_smoothing_takes_away_fine_texture_but_leaves_what_is_broad() -> None:
    network, flat = _network(sigma=2.0), torch.zeros(1, 1, 32, 32)
    checks = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    assert float(network.contrast(checks[None, None], flat)[..., 12:20, 12:20].max()) < 0.01
    torch.testing.assert_close(network.contrast(flat + 1, flat), flat + 1)  # to the very edge


def test_cells_where_the_image_differs_from_the_restored_one_weigh_most() -> None:
    network, x = _network(feature_weight=0.0), _images()
    restored = x.clone()
    restored[:, :, 8:16, 8:16] -= 3
    weights = network.weights(network.pixel_map(x, restored), torch.randn(2, 6, 32), restored)
    assert weights.argmax(dim=1).tolist() == [3, 3]


def test_only_tokens_carry_gradients_so_that_the_encoder_learns_from_them() -> None:
    network = _network()
    found = network(_images())
    assert not found.restored.requires_grad
    assert not found.pixel_map.requires_grad
    assert not found.weights.requires_grad
    found.clue.sum().backward()
    assert any(p.grad is not None for p in network.encoder.parameters())
    assert all(p.grad is None for p in network.decoder.parameters())


def test_restoring_with_known_lesions_hides_their_tokens() -> None:
    network, x = _network(), _images()
    cells = torch.tensor([[True] + 5 * [False], 6 * [False]])
    told, untold = network.restore(x, cells), network.restore(x)
    torch.testing.assert_close(told[1], untold[1])
    painted = network.decoder(network.encoder.embed(x)[0], (3, 2), cells)
    torch.testing.assert_close(told[0, :, :8, :8], painted[0, :, :8, :8])
    torch.testing.assert_close(told[0, :, 8:], (x + painted)[0, :, 8:])
    other = x.clone()
    other[0, :, :8, :8] += 1  # what the lesion looks like is seen by the encoder only
    tokens = network.encoder.embed(x)[0]
    assert torch.equal(network.decode(tokens, other, cells), network.decode(tokens, x, cells))


def test_as_it_begins_nothing_is_corrected() -> None:
    x = _images()
    torch.testing.assert_close(_network().restore(x), x, atol=0.02, rtol=0)


def test_half_means_more_contrast_than_in_all_but_a_few_normal_pixels() -> None:
    network, normal = _network(), _images(4, 1, 24, 16)
    contrast = network.contrast(normal, network.restore(normal).detach())
    network.fit_scale(contrast, 90)
    above = (contrast / (contrast + network.scale) > 0.5).float().mean()
    assert float(above) == pytest.approx(0.1, abs=0.01)


def test_the_percentile_leaves_out_what_is_not_a_number_and_is_never_zero() -> None:
    values = torch.cat([torch.arange(101.0), torch.full((50,), torch.nan)])
    assert float(contrast_percentile(values, 99)) == 99
    assert float(contrast_percentile(torch.zeros(5))) > 0


def test_the_scale_is_saved_with_the_weights() -> None:
    network = _network()
    network.fit_scale(torch.full((3,), 0.25))
    other = _network()
    other.load_state_dict(network.state_dict())
    assert float(other.scale) == 0.25


def test_the_config_rebuilds_the_network() -> None:
    network = _network(sigma=1.0, temperature=0.2, feature_weight=0.0)
    other = build_evidence_network(network.config).eval()
    other.load_state_dict(network.state_dict())
    x = _images()
    assert torch.equal(network.evidence(x).weights, other.evidence(x).weights)


def test_evidence_is_found_under_autocast_and_without_gradients() -> None:
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        found = _network().evidence(_images())
    assert found.weights.dtype == torch.float32
    assert bool(found.clue.isfinite().all())


def test_the_clue_can_be_traced() -> None:
    class Clue(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = _network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network.evidence(x).clue

    module, x = Clue().eval(), _images()
    traced = torch.jit.trace(module, x)
    torch.testing.assert_close(traced(x), module(x))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([(4, 6), (2, 2, 4)]), st.integers(1, 2), st.integers(0, 99))
def test_means_of_painted_cells_are_in_order(grid: tuple[int, ...], batch: int, seed: int) -> None:
    values = torch.rand(batch, torch.Size(grid).numel(), generator=torch.Generator().manual_seed(seed))
    size = [3 * side for side in grid]
    painted = paint_cells(values, size, 3)
    assert painted.shape == (batch, 1, *size)
    assert float(values.min()) - 1e-6 <= float(painted.min()) <= float(painted.max()) <= float(values.max()) + 1e-6
    constant = torch.full_like(values, 0.3)
    torch.testing.assert_close(cell_means(paint_cells(constant, size, 3), 3), constant)
    blocks = values.view(batch, 1, *grid)
    for axis in range(len(grid)):
        blocks = blocks.repeat_interleave(3, dim=2 + axis)
    torch.testing.assert_close(cell_means(blocks, 3), values)


def test_gathering_with_equal_weights_is_the_mean() -> None:
    tokens = torch.randn(2, 5, 3)
    torch.testing.assert_close(gather_clue(tokens, torch.full((2, 5), 0.2)), tokens.mean(dim=1))
    assert gather_clue(tokens.bfloat16(), torch.full((2, 5), 0.2)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"sigma": -1.0}, "expected sigma >= 0, temperature > 0 and feature_weight >= 0, got -1.0, 0.1 and 1.0"),
        ({"temperature": 0.0}, "temperature > 0 and feature_weight >= 0, got 2.0, 0.0 and 1.0"),
        ({"feature_weight": -0.5}, "got 2.0, 0.1 and -0.5"),
    ],
)
def test_numbers_out_of_range_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _network(**kwargs)


def test_a_decoder_of_another_encoder_is_refused() -> None:
    encoder = build_encoder("resnet18", stride=8, base_channels=4)
    with pytest.raises(ValueError, match=r"= \(32, 16, 1, 2\) but the encoder \(32, 8, 1, 2\); build the decoder"):
        EvidenceNetwork(encoder, TokenDecoder(32, 16, 12, 1, 2))


def test_a_card_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"describes no evidence network.*KeyError: 'decoder'"):
        build_evidence_network({"encoder": {"name": "resnet18"}})
    config = _network().config
    with pytest.raises(ValueError, match=r"describes no evidence network.*unexpected keyword argument 'colour'"):
        build_evidence_network({**config, "colour": "red"})


@pytest.mark.parametrize("percentile", [0, 100, -3])
def test_percentiles_out_of_range_are_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match=rf"percentile must lie in \(0, 100\), got {percentile}"):
        contrast_percentile(torch.ones(3), percentile)


def test_a_scale_of_no_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="contrasts of at least one pixel, got none"):
        _network().fit_scale(torch.zeros(0))


def test_images_that_do_not_fit_the_encoder_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of the encoder's stride 8"):
        _network().evidence(torch.zeros(1, 1, 20, 16))
