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
"""Classifier that decides from the tokens that its evidence map shows."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor, nn

from monai_lamps.networks import Evidence, EvidenceNetwork, gather_clue, paint_cells

__all__ = ["EvidenceClassifier"]

_PARTS = {"both": ("context", "clue"), "clue": ("clue",), "context": ("context",)}


class EvidenceClassifier(nn.Module):
    """Grounds the evidence, then decides from its tokens: one linear layer on the context and the clue.

    An independent implementation of the idea of RadLAS (ACM MM 2025, of which only the abstract is public): "first
    grounding lesion evidence and then making decisions accordingly". The form of the head is our choice::

        w = weights of the evidence network, z = tokens of the encoder
        logit_k = b_k + W_k . [mean_p z_p; sum_p w_p z_p]
                = b_k + sum_p (U_k . z_p / N + w_p V_k . z_p)        U, V: the halves of W

    The second line is exact, so what a cell adds to a logit can be read off (:meth:`contributions`); the part of the
    clue, ``w_p V_k . z_p``, is the evidence of class k (:meth:`explain`).

    The evidence network itself is never trained: with a fine-tuned encoder its decoder would no longer restore, and the
    map would decay. The encoder that decides starts as a copy of its encoder, and may be fine-tuned or frozen.

    Maps normalised images (B, C, ...) to logits (B, classes).

    Args:
        network: grounds the evidence; it is frozen and stays in eval mode.
        classes: number of classes.
        source: what the linear layer reads: "both", "clue" (the tokens by weight alone) or "context" (their mean alone,
            a linear classifier whose decision does not depend on the evidence).
        dropout: share of the linear layer's input that is dropped while training, in [0, 1).

    Raises:
        TypeError: when ``network`` is no evidence network.
        ValueError: when an argument is out of its range.
    """

    def __init__(self, network: EvidenceNetwork, classes: int, source: str = "both", dropout: float = 0.0) -> None:
        super().__init__()
        if not isinstance(network, EvidenceNetwork):
            raise TypeError(
                f"an evidence classifier is built around an EvidenceNetwork, got {type(network).__name__}; take "
                "evidence.pt of a RadLAS pretraining run, or a LinearClassifier for an encoder alone."
            )
        if classes < 1:
            raise ValueError(f"classes must be at least 1, got {classes}.")
        if source not in _PARTS:
            raise ValueError(f"source got '{source}', expected one of {', '.join(_PARTS)}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be a share in [0, 1), got {dropout}.")
        self.encoder = copy.deepcopy(network.encoder).requires_grad_(True)
        self.grounding = network.requires_grad_(False).eval()
        self.parts = _PARTS[source]
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(len(self.parts) * self.encoder.embed_dim, classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def train(self, mode: bool = True) -> EvidenceClassifier:
        """As of any module, but the evidence network stays in eval mode."""
        super().train(mode)
        self.grounding.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes).

        Args:
            images: normalised, (B, C, ...), float, each side a multiple of the encoder's cell.
        """
        return self.decide(self.evidence(images))

    def evidence(self, images: Tensor) -> Evidence:
        """The evidence in images: where, by the evidence network; tokens, clue and context by the encoder that decides.

        Args:
            images: normalised, (B, C, ...), float, each side a multiple of the encoder's cell.
        """
        with torch.no_grad():
            found = self.grounding.evidence(images)
        tokens, context = self.encoder.embed(images)
        return dataclasses.replace(found, tokens=tokens, clue=gather_clue(tokens, found.weights), context=context)

    def decide(self, evidence: Evidence) -> Tensor:
        """Logits (B, classes) from what :meth:`evidence` has found."""
        read = torch.cat([getattr(evidence, part) for part in self.parts], dim=1)
        logits: Tensor = self.head(self.dropout(read))
        return logits

    def contributions(self, evidence: Evidence) -> dict[str, Tensor]:
        """What each cell adds to each logit.

        Args:
            evidence: what :meth:`evidence` has found.

        Returns:
            (B, classes, N), float32, for "context" and "clue", or that of them which the linear layer reads. Their sum
            over parts and cells, plus the bias, is the logit (without dropout).
        """
        tokens = evidence.tokens.float()
        even = torch.full_like(evidence.weights, 1 / tokens.shape[1])
        weights = {"context": even, "clue": evidence.weights}
        halves = self.head.weight.float().chunk(len(self.parts), dim=1)
        scores = {part: (tokens @ half.T).transpose(1, 2) for part, half in zip(self.parts, halves)}
        return {part: weights[part][:, None] * score for part, score in scores.items()}

    @torch.no_grad()
    def explain(self, images: Tensor, class_index: int | Tensor) -> Tensor:
        """Evidence of a class: what the clue of each cell adds to its logit, where it adds.

        Interpolated linearly between the centres of the cells. With the source "context" it is the context's part.

        Args:
            images: normalised, (B, C, ...), float, each side a multiple of the encoder's cell.
            class_index: one class for all images, or one for each, (B,), int64.

        Returns:
            (B, 1, ...), float32, >= 0, logit per cell; all 0 where nothing speaks for the class.

        Raises:
            IndexError: when there is no such class.
        """
        return self.class_map(self.evidence(images), class_index)

    def class_map(self, evidence: Evidence, class_index: int | Tensor) -> Tensor:
        """As :meth:`explain`, from what :meth:`evidence` has found."""
        adds = self.contributions(evidence)[self.parts[-1]]  # [B, K, N]
        chosen = torch.as_tensor(class_index, device=adds.device).expand(len(adds))
        if bool(((chosen < 0) | (chosen >= adds.shape[1])).any()):
            raise IndexError(f"class_index got {chosen.tolist()}, expected 0 to {adds.shape[1] - 1}.")
        adds = adds[torch.arange(len(adds), device=adds.device), chosen].clamp(min=0)
        return paint_cells(adds, evidence.pixel_map.shape[2:], self.encoder.cell)
