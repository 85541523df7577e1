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
"""Contrastive loss over labelled images: what has the same label attracts."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["SupervisedContrastiveLoss", "all_keys_denominator", "negatives_denominator"]

Denominator = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Logits (B, M) float32, which of them are positives (B, M) bool, and which negatives, to the logarithm of the
denominator (B,); minus infinity where nothing is summed."""


def all_keys_denominator(logits: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Sum over positives and negatives, so that the loss is a cross-entropy (arXiv 2004.11362, equation 2).

    Args:
        logits: cosines by temperature (B, M), float.
        positive, negative: which keys are of the anchor's label, and which of another (B, M), bool.

    Returns:
        logarithm of the sum of the exponentials (B,), -inf where there is none.
    """
    return _masked_log_sum_exp(logits, positive | negative)


def negatives_denominator(logits: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Sum over the negatives alone, as equation 1 of Coda (MICCAI 2025) is printed.

    The loss is then no cross-entropy: where positives are much nearer than negatives it is below 0, down to
    ``-2 / temperature``. Anchors without negatives are skipped.

    Args:
        logits, positive, negative: see :func:`all_keys_denominator`; ``positive`` is not used.

    Returns:
        logarithm of the sum of the exponentials (B,), -inf where there is none.
    """
    return _masked_log_sum_exp(logits, negative)


class SupervisedContrastiveLoss(_Loss):
    """Mean over the positives of an anchor of the cross-entropy of telling them from all other keys.

    ``L_i = -1 / |P(i)| sum_{p in P(i)} log(exp(z_i.z_p / t) / sum_{a in A(i)} exp(z_i.z_a / t))`` with the keys P(i) of
    the anchor's label and all keys A(i): L_out of Khosla et al. (arXiv 2004.11362, equation 2), the inter-organ
    objective of Coda (MICCAI 2025, equation 1), whose printed denominator is :func:`negatives_denominator`.

    Labels below 0 mean unknown: such an anchor is skipped, such a key is neither positive nor negative. An anchor
    without positives is skipped too. Where all are, the loss and its gradient are exactly 0.

    The keys may come from elsewhere: of a teacher and another view (Coda), gathered over all processes by
    :func:`~monai_lamps.networks.gather_ranks`, or out of a memory. The loss of a process is the mean over its own
    anchors that are not skipped; the mean over processes is that of the whole batch where all have the same number.

    Args:
        temperature: t, > 0; Khosla et al. 0.1, Coda says nothing.
        denominator: (logits, positive, negative) to the logarithm of the denominator.

    Raises:
        ValueError: when the temperature is not positive.
    """

    def __init__(self, temperature: float = 0.1, denominator: Denominator = all_keys_denominator) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}.")
        self.temperature = temperature
        self.denominator = denominator

    def forward(
        self,
        anchors: torch.Tensor,
        labels: torch.Tensor,
        keys: torch.Tensor,
        key_labels: torch.Tensor,
        own: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the loss, in float32 also under autocast: the mean over the anchors that are not skipped.

        Args:
            anchors: embeddings (B, D), float, of any length: they are normalised here.
            labels: label of each anchor (B,), integer; below 0 unknown.
            keys: embeddings (M, D), float, of any length. Gradient flows into them unless they are detached, as a
                teacher's are.
            key_labels: label of each key (M,), integer; below 0 unknown.
            own: pairs (B, M), bool, that are left out because the key is the anchor itself; none by default, as with
                keys of another view.

        Returns:
            scalar float32, >= 0 with :func:`all_keys_denominator`.

        Raises:
            ValueError: when shapes do not fit.
        """
        _check_shapes(anchors, labels, keys, key_labels, own)
        with torch.autocast(anchors.device.type, enabled=False):
            logits = F.normalize(anchors.float(), dim=1) @ F.normalize(keys.float(), dim=1).T / self.temperature
        compared = (labels >= 0)[:, None] & (key_labels >= 0)
        if own is not None:
            compared &= ~own
        same = labels[:, None] == key_labels
        positive, negative = compared & same, compared & ~same
        attraction = logits.where(positive, 0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
        denominator = self.denominator(logits, positive, negative)
        counted = positive.any(dim=1) & (denominator != -torch.inf)  # nothing but selection: no wait for the device
        terms = (denominator - attraction).where(counted, 0)
        return terms.sum() / counted.sum().clamp(min=1)


def _masked_log_sum_exp(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """log of the sum of exp over the chosen, -inf where there is none, and there with a gradient of 0 and not NaN."""
    some = chosen.any(dim=1)
    filled = logits.masked_fill(~chosen & some[:, None], -torch.inf)
    return filled.logsumexp(dim=1).where(some, -torch.inf)


def _check_shapes(
    anchors: torch.Tensor, labels: torch.Tensor, keys: torch.Tensor, key_labels: torch.Tensor, own: torch.Tensor | None
) -> None:
    require_shape(anchors, "anchors", "(B, D)", (None, None))
    require_shape(labels, "labels", "(B,)", (len(anchors),))
    require_shape(keys, "keys", "(M, D)", (None, anchors.shape[1]))
    require_shape(key_labels, "key_labels", "(M,)", (len(keys),))
    if own is not None:
        require_shape(own, "own", "(B, M)", (len(anchors), len(keys)))
