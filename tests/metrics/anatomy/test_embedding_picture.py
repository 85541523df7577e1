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

import importlib
from typing import Any

import numpy as np
import pytest
import torch

from monai_lamps.metrics.anatomy import embedding_picture, has_tsne, pca_plane, tsne_plane

MODULE = importlib.import_module("monai_lamps.metrics.anatomy.embedding_picture")
EMBEDDINGS = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 3
NAMES = ["apex", "hilum", "angle"]


def test_the_plane_holds_the_greatest_variance() -> None:
    plane = pca_plane(EMBEDDINGS)
    vectors = torch.nn.functional.normalize(EMBEDDINGS.double(), dim=1)
    variances = torch.linalg.eigvalsh(torch.cov(vectors.T)).flip(0)
    torch.testing.assert_close(torch.cov(plane.T), torch.diag(variances[:2]))
    assert plane.mean(0) == pytest.approx([0, 0], abs=1e-12)


def test_signs_do_not_depend_on_the_order_of_the_embeddings() -> None:
    turn = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pca_plane(EMBEDDINGS[turn]), pca_plane(EMBEDDINGS)[turn])


def test_equal_embeddings_lie_in_one_point() -> None:
    assert pca_plane(torch.ones(5, 4)).abs().max() == pytest.approx(0, abs=1e-12)


def test_the_picture_shows_a_dot_for_each_embedding_in_the_colour_of_its_label() -> None:
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    picture = embedding_picture(EMBEDDINGS[:3], LABELS[:3], NAMES, plane=lambda _: corners, side=100)
    assert picture.shape == (3, 128, 100 + 28 + 190)
    assert picture.dtype == torch.float32
    (low_left, up_right, up_left), white = (
        (picture[:, r, c] for r, c in ((114, 14), (14, 114), (14, 14))),
        torch.ones(3),
    )
    shades = {tuple(dot.tolist()) for dot in (low_left, up_right, up_left)}
    assert len(shades) == 3
    assert tuple(white.tolist()) not in shades
    assert torch.equal(picture[:, 64, 64], white)
    legend = {tuple(shade) for shade in picture[:, 14:64, 128:145].flatten(1).T.tolist()}
    assert shades < legend


def test_points_without_any_spread_are_drawn_in_the_middle() -> None:
    picture = embedding_picture(torch.ones(5, 4), torch.zeros(5, dtype=torch.int64), ["one"], side=100)
    assert not torch.equal(picture[:, 64, 64], torch.ones(3))


def test_a_long_legend_is_not_cut() -> None:
    picture = embedding_picture(EMBEDDINGS, LABELS, [f"landmark {number}" for number in range(30)], side=100)
    assert picture.shape[1] == 30 * 16 + 28


def test_t_sne_is_that_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class StandIn:
        def __init__(self, **arguments: Any) -> None:
            asked.update(arguments)

        def fit_transform(self, vectors: np.ndarray) -> np.ndarray:
            return vectors[:, :2].astype(np.float32)

    monkeypatch.setattr(MODULE, "_TSNE", StandIn)
    monkeypatch.setattr(MODULE, "_HAS_TSNE", True)
    plane = tsne_plane(EMBEDDINGS, seed=3)
    assert plane.shape == (40, 2)
    assert plane.dtype == torch.float64
    assert asked == {"metric": "cosine", "init": "random", "perplexity": pytest.approx(40 / 3), "random_state": 3}


def test_t_sne_separates_what_is_separate() -> None:
    if not has_tsne():
        pytest.skip("scikit-learn is not installed")
    embeddings = torch.eye(3)[LABELS].repeat(1, 3) + 0.01 * torch.randn(40, 9)
    plane = tsne_plane(embeddings)
    centres = torch.stack([plane[label == LABELS].mean(0) for label in range(3)])
    assert torch.equal(torch.cdist(plane, centres).argmin(1), LABELS)


def test_without_scikit_learn_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "_HAS_TSNE", False)
    assert not has_tsne()
    with pytest.raises(RuntimeError, match="t-SNE needs scikit-learn: pip install scikit-learn; or use pca_plane"):
        tsne_plane(EMBEDDINGS)


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (torch.zeros(4), r"expected embeddings \(N, D\)"),
        (torch.zeros(1, 8), r"a plane needs at least 2 embeddings of 2 dimensions, got \(1, 8\)"),
        (torch.zeros(8, 1), r"a plane needs at least 2 embeddings of 2 dimensions, got \(8, 1\)"),
    ],
)
def test_shapes_that_make_no_plane_are_refused(embeddings: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pca_plane(embeddings)


def test_labels_need_a_name() -> None:
    with pytest.raises(ValueError, match="labels must be 0 to 1, rows of names, got 0 to 2"):
        embedding_picture(EMBEDDINGS, LABELS, NAMES[:2])
    with pytest.raises(ValueError, match=r"expected labels \(N,\) of shape \(40\), got \(3,\)"):
        embedding_picture(EMBEDDINGS, LABELS[:3], NAMES)
