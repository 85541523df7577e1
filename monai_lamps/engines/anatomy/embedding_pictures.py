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
"""Embeddings in a plane: what a report shows of a probe that embeds labelled things."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from monai_lamps.metrics.anatomy import embedding_picture, has_tsne, tsne_plane
from monai_lamps.reports import as_picture

__all__ = ["embedding_pictures"]

_FEWEST = 6  # embeddings that t-SNE can do something with


def embedding_pictures(
    caption: str, embeddings: Tensor, labels: Tensor, names: Sequence[str]
) -> dict[str, Image.Image]:
    """Embeddings by principal components, and by t-SNE where scikit-learn is installed.

    Args:
        caption: what is embedded.
        embeddings: (N, D), float, N and D at least 2.
        labels: (N,), integers from 0: row of ``names``.
        names: what the labels are called.

    Returns:
        pictures by caption.
    """
    pictures = {f"{caption} (PCA)": as_picture(embedding_picture(embeddings, labels, names))}
    if has_tsne() and len(embeddings) >= _FEWEST:
        picture = embedding_picture(embeddings, labels, names, plane=tsne_plane)
        pictures[f"{caption} (t-SNE)"] = as_picture(picture)
    return pictures
