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

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from monai_lamps.networks import Encoder

__all__ = ["KnnClassifier", "knn_votes"]

_AS_NEAR = 1e-6  # of cosine: above what float32 rounds away


def knn_votes(
    queries: Tensor, embeddings: Tensor, labels: Tensor, neighbours: int = 20, temperature: float = 0.07
) -> Tensor:
    """Labels of images, voted by the nearest labelled ones (Wu et al., arXiv 1805.01978, section 3.4).

    Of each class the k images vote whose label is known and whose cosine similarity s to the query is largest, with the
    weight exp(s / temperature); the answer is the weighted mean of their labels. Rules:

    - Where fewer than k labels are known, all of them vote; where none is, the answer is NaN.
    - An image as near as the k-th (within 1e-6 of cosine) votes too, so that the order of the labelled images never
      matters. An encoder that gives every image the same embedding answers the frequency of the class.

    Args:
        queries: (B, D), float, of length 1.
        embeddings: of the labelled images, (N, D), float, of length 1.
        labels: (N, K), float in [0, 1]: there, not there, or a probability; NaN or negative where unknown.
        neighbours: k, at least 1.
        temperature: above 0; the smaller, the more the nearest ones count.

    Returns:
        (B, K), float in [0, 1]. Of classes of which each labelled image has exactly one, all together are 1.
    """
    similar = queries @ embeddings.T
    votes = similar.new_full((len(queries), labels.shape[1]), torch.nan)
    patterns, which = (labels >= 0).unique(dim=1, return_inverse=True)  # classes that the same images know vote at once
    for number, voters in enumerate(patterns.T):
        if voters.any():
            classes = which == number
            known = labels[voters][:, classes].to(votes)
            weights = _weights(similar[:, voters], neighbours, temperature)
            votes[:, classes] = (weights @ known).clamp(0, 1)  # weights may add up to a little more than 1
    return votes


class KnnClassifier(nn.Module):
    """Encoder, mean of its tokens, and the labels of the nearest images that it was shown: nothing is trained.

    Maps normalised images (B, C, ...) to probabilities (B, K), see :func:`knn_votes`. k = 20 and temperature 0.07 are
    what DINO (arXiv 2104.14294) reports.

    Args:
        encoder: the encoder; its parameters stop requiring gradients.
        neighbours: k.
        temperature: of the votes.

    Attributes:
        embeddings: of the remembered images, (N, D), of length 1; a buffer.
        labels: of the remembered images, (N, K), NaN where unknown; a buffer.

    Raises:
        ValueError: when an argument is out of its range.
    """

    embeddings: Tensor
    labels: Tensor

    def __init__(self, encoder: Encoder, neighbours: int = 20, temperature: float = 0.07) -> None:
        super().__init__()
        if neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, got {neighbours}; 20 is usual.")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}; 0.07 is usual.")
        self.encoder = encoder.requires_grad_(False)
        self.neighbours, self.temperature = neighbours, temperature
        self.register_buffer("embeddings", torch.empty(0, encoder.embed_dim))
        self.register_buffer("labels", torch.empty(0, 0))

    def remember(self, embeddings: Tensor, labels: Tensor) -> None:
        """Take these labelled images, in place of earlier ones.

        Args:
            embeddings: (N, D), float, of any length above 0.
            labels: (N, K), see :func:`knn_votes`.

        Raises:
            ValueError: when there is no image, the shapes do not fit, or an embedding is not finite.
        """
        fits = embeddings.ndim == labels.ndim == 2 and len(embeddings) == len(labels)
        if not fits or not len(labels) or embeddings.shape[1] != self.encoder.embed_dim:
            raise ValueError(
                f"embeddings and labels must be (N, {self.encoder.embed_dim}) and (N, K) with N >= 1, got "
                f"{tuple(embeddings.shape)} and {tuple(labels.shape)}."
            )
        broken = int((~embeddings.isfinite()).any(dim=1).sum())
        if broken:
            raise ValueError(
                f"{broken} of {len(embeddings)} embeddings are not finite: the encoder's weights are damaged, or its "
                "run has diverged; take an earlier file."
            )
        self.embeddings = normalize(embeddings.float(), dim=1)
        self.labels = labels.float().to(embeddings.device)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (B, K).

        Args:
            images: normalised, (B, C, ...), float, each side a multiple of the encoder's cell.

        Raises:
            RuntimeError: when no labelled image was shown.
        """
        if not len(self.labels):
            raise RuntimeError("the classifier remembers no labelled image; call remember first.")
        queries = normalize(self.encoder(images).float(), dim=1)
        return knn_votes(queries, self.embeddings, self.labels, self.neighbours, self.temperature)


def _weights(similar: Tensor, neighbours: int, temperature: float) -> Tensor:
    """Weights (B, N) of the votes, together 1; 0 but for the nearest."""
    nearest = similar.topk(min(neighbours, similar.shape[1]), dim=1).values
    counts = similar >= nearest[:, -1:] - _AS_NEAR
    return (similar / temperature).masked_fill(~counts, -torch.inf).softmax(dim=1)
