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

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from monai.visualize.visualizer import default_upsampler
from torch import Tensor, nn

from .explainer import CannotExplainError, encoder_of
from .left_as_it_was import left_as_it_was

__all__ = ["AttentionRolloutExplainer", "attention_rollout"]


def attention_rollout(attentions: Sequence[Tensor]) -> Tensor:
    """How much each token of the last layer is made of each one of the image (Abnar and Zuidema, arXiv 2005.00928).

    The attention of a layer is the mean over its heads; half of what a token becomes is the token itself, which stands
    for the residual connection.

    Args:
        attentions: of each layer from first to last (B, heads, N, N), rows that sum to 1.

    Returns:
        (B, N, N), rows that sum to 1: row of the last layer, column of the image.

    Raises:
        ValueError: when there is no layer.
    """
    if not attentions:
        raise ValueError("attention roll-out needs the attentions of at least one layer, got none.")
    rolled: Tensor | None = None
    for attention in attentions:
        mixed = attention.float().mean(dim=1)
        mixed = (mixed + torch.eye(mixed.shape[-1], device=mixed.device)) / 2
        mixed = mixed / mixed.sum(dim=-1, keepdim=True)
        rolled = mixed if rolled is None else mixed @ rolled
    assert rolled is not None
    return rolled


class AttentionRolloutExplainer:
    """Attention roll-out of encoders that give their attentions; the same map for every class.

    The answer of our networks comes from the mean of the tokens, so the rows of :func:`attention_rollout` are averaged.
    Where an encoder has a class token before the others, its row counts instead. A token's share is that of its cell;
    maps are enlarged linearly.
    """

    @torch.no_grad()
    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Explain the network, see :class:`~monai_lamps.explanations.Explainer`."""
        encoder = encoder_of(network, "attention roll-out")
        read: Callable[[Tensor], Sequence[Tensor]] | Any = getattr(encoder, "attentions", None)
        if not callable(read):
            raise CannotExplainError(
                f"attention roll-out reads the method 'attentions' of the encoder, which {type(encoder).__name__} has "
                "not; it is for transformers with attention over the whole image, such as vit_base."
            )
        with left_as_it_was(network):
            rolled = attention_rollout(read(images))
        grid = [side // encoder.cell for side in images.shape[2:]]
        special = rolled.shape[-1] - prod(grid)
        if special not in (0, 1):
            raise CannotExplainError(
                f"attention roll-out expects a token for each of {'x'.join(map(str, grid))} cells, and at most a class "
                f"token before them; got attentions among {rolled.shape[-1]} tokens."
            )
        shares = rolled[:, 0, 1:] if special else rolled.mean(dim=1)
        return default_upsampler(images.shape[2:])(shares.reshape(-1, 1, *grid)).float()
