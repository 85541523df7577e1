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

import colorsys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from monai.utils import optional_import
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from monai_lamps.losses.shapes import require_shape

from .vectors import unit_vectors

__all__ = ["embedding_picture", "has_tsne", "pca_plane", "tsne_plane"]

_TSNE, _HAS_TSNE = optional_import("sklearn.manifold", name="TSNE")

_MARGIN, _LEGEND, _LINE, _DOT = 14, 190, 16, 3  # px


def pca_plane(embeddings: Tensor) -> Tensor:
    """The two directions of greatest variance, exactly (singular value decomposition).

    Embeddings are brought to length 1 first, as all figures have them. Signs are settled: the entry of a direction
    that is the largest in size is positive.

    Args:
        embeddings: (N, D), float, N and D at least 2.

    Returns:
        (N, 2), float64 on the CPU; zeros along a direction without variance.

    Raises:
        ValueError: when the shape does not fit or a value is not finite.
    """
    vectors = _checked(embeddings)
    _, _, directions = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    axes = directions[:2]
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    plane: Tensor = (vectors - vectors.mean(0)) @ (axes * signs).T
    return plane


def has_tsne() -> bool:
    """Whether :func:`tsne_plane` can be used, which needs scikit-learn."""
    return bool(_HAS_TSNE)


def tsne_plane(embeddings: Tensor, perplexity: float = 30, seed: int = 0) -> Tensor:
    """t-SNE (van der Maaten and Hinton, 2008) with the cosine distance, by scikit-learn, which must be installed.

    For looking only: distances between its groups, and their sizes, mean nothing.

    Args:
        embeddings: (N, D), float, N at least 5.
        perplexity: about how many neighbours count; at most a third of N is used.
        seed: decides where it starts.

    Returns:
        (N, 2), float64 on the CPU.

    Raises:
        ValueError: when the shape does not fit or a value is not finite.
        RuntimeError: when scikit-learn is not installed.
    """
    if not has_tsne():
        raise RuntimeError("t-SNE needs scikit-learn: pip install scikit-learn; or use pca_plane, which needs nothing.")
    vectors = _checked(embeddings, least=5)
    model = _TSNE(metric="cosine", init="random", perplexity=min(perplexity, len(vectors) / 3), random_state=seed)
    return torch.from_numpy(np.asarray(model.fit_transform(vectors.numpy()), dtype=np.float64))


def embedding_picture(
    embeddings: Tensor,
    labels: Tensor,
    names: Sequence[str],
    plane: Callable[[Tensor], Tensor] = pca_plane,
    side: int = 360,
) -> Tensor:
    """Embeddings as dots in a plane, coloured by label, with a legend.

    Args:
        embeddings: (N, D), float.
        labels: (N,), integers from 0: row of ``names``.
        names: what the labels are called.
        plane: how D dimensions become 2: :func:`pca_plane`, :func:`tsne_plane`, or any other.
        side: side of the square, px.

    Returns:
        (3, H, W), float in [0, 1].

    Raises:
        ValueError: when shapes do not fit, a value is not finite, or a label has no name.
    """
    require_shape(labels, "labels", "(N,)", (len(embeddings),))
    numbers = labels.tolist()
    if numbers and not (min(numbers) >= 0 and max(numbers) < len(names)):
        raise ValueError(f"labels must be 0 to {len(names) - 1}, rows of names, got {min(numbers)} to {max(numbers)}.")
    points = plane(embeddings)
    low, high = points.amin(0), points.amax(0)
    reach = float((high - low).max()) or 1.0
    places = 0.5 + (points - (low + high) / 2) / reach  # both axes to the same scale
    height = max(side + 2 * _MARGIN, _LINE * len(names) + 2 * _MARGIN)
    image = Image.new("RGB", (side + 2 * _MARGIN + _LEGEND, height), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    draw.rectangle((_MARGIN // 2, _MARGIN // 2, side + _MARGIN * 3 // 2, side + _MARGIN * 3 // 2), outline="black")
    for label, (x, y) in zip(numbers, places.tolist()):
        _dot(draw, _MARGIN + side * x, _MARGIN + side * (1 - y), _colour(label, len(names)))
    for row, name in enumerate(names):
        top = _MARGIN + _LINE * row
        _dot(draw, side + 2 * _MARGIN + 6, top + _LINE / 2, _colour(row, len(names)))
        draw.text((side + 2 * _MARGIN + 16, top), name, fill="black", font=font)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, colour: tuple[int, int, int]) -> None:
    draw.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill=colour)


def _colour(number: int, count: int) -> tuple[int, int, int]:
    """Hues around the circle, every other one darker."""
    red, green, blue = colorsys.hsv_to_rgb(number / count, 0.9, 0.6 if number % 2 else 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def _checked(embeddings: Tensor, least: int = 2) -> Tensor:
    require_shape(embeddings, "embeddings", "(N, D)", (None, None))
    if embeddings.shape[0] < least or embeddings.shape[1] < 2:
        raise ValueError(f"a plane needs at least {least} embeddings of 2 dimensions, got {tuple(embeddings.shape)}.")
    return unit_vectors(embeddings)
