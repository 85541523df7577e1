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

import logging
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize
from toy_task import encoder

from monai_lamps.tasks import KnnClassification, KnnClassifier, MultiClass, MultiLabel, knn_votes

NAN = float("nan")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Unit vectors."""
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def reference(queries: Tensor, embeddings: Tensor, labels: Tensor, k: int, temperature: float) -> Tensor:
    """As the papers describe it, image by image and class by class."""
    answers = torch.zeros(len(queries), labels.shape[1])
    for row, query in enumerate(queries):
        for column in range(labels.shape[1]):
            known = [n for n in range(len(labels)) if labels[n, column] >= 0]
            nearest = sorted(known, key=lambda n: -float(query @ embeddings[n]))[:k]
            weights = [float(torch.exp(query @ embeddings[n] / temperature)) for n in nearest]
            votes = [weight * float(labels[n, column]) for weight, n in zip(weights, nearest)]
            answers[row, column] = sum(votes) / sum(weights)
    return answers


@settings(max_examples=30, deadline=None)
@given(k=st.integers(1, 14), temperature=st.sampled_from([0.07, 0.5, 5.0]), seed=st.integers(0, 99))
def test_votes_are_those_of_a_plain_loop(k: int, temperature: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    labels = torch.rand(12, 4, generator=random).round(decimals=1)
    labels[torch.rand(12, 4, generator=random) < 0.3] = NAN
    labels[0], labels[1, 2] = 1.0, -1.0  # each class is known of one image at least
    queries, embeddings = drawn(5, 6, seed=seed), drawn(12, 6, seed=seed + 100)
    votes = knn_votes(queries, embeddings, labels, k, temperature)
    torch.testing.assert_close(votes, reference(queries, embeddings, labels, k, temperature))


def test_an_image_that_was_remembered_gets_its_own_label_from_its_nearest() -> None:
    embeddings, labels = drawn(9, 16), torch.eye(3).repeat(3, 1)
    assert torch.equal(knn_votes(embeddings, embeddings, labels, neighbours=1), labels)


def test_nearer_images_count_more_the_smaller_the_temperature() -> None:
    embeddings, labels = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[1.0], [0.0]])
    (sharp,), (soft,) = (knn_votes(embeddings[:1], embeddings, labels, 2, t)[:, 0].tolist() for t in (0.1, 1.0))
    assert sharp == pytest.approx(1 / (1 + torch.tensor(-4.0).exp().item()))
    assert 0.5 < soft < sharp


def test_a_constant_encoder_answers_the_frequency_of_each_class() -> None:
    same = drawn(1, 8).expand(10, 8)
    labels = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 7)
    votes = knn_votes(same[:4], same, labels, neighbours=2)
    torch.testing.assert_close(votes, torch.tensor([[0.3, 0.7]]).expand(4, 2))


def test_ties_do_not_depend_on_the_order_of_the_labelled_images() -> None:
    embeddings = drawn(4, 8).repeat(3, 1)  # three images at each place
    labels = torch.rand(12, 2, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    queries = drawn(6, 8, seed=5)
    votes = knn_votes(queries, embeddings, labels, neighbours=1)
    torch.testing.assert_close(knn_votes(queries, embeddings[order], labels[order], neighbours=1), votes)
    nearest = (queries @ embeddings[:4].T).argmax(dim=1)
    torch.testing.assert_close(votes, labels.view(3, 4, 2).mean(0)[nearest])


def test_all_vote_where_there_are_fewer_than_k_and_nobody_where_nothing_is_known() -> None:
    queries, embeddings = drawn(2, 4), drawn(3, 4, seed=1)
    labels = torch.tensor([[1.0, NAN], [0.0, -1.0], [NAN, NAN]])
    few = knn_votes(queries, embeddings, labels, neighbours=100)
    torch.testing.assert_close(few[:, :1], knn_votes(queries, embeddings[:2], labels[:2, :1], neighbours=2))
    assert few[:, 1].isnan().all()


def batches(labels: Tensor, size: int = 2) -> Iterator[dict[str, Tensor]]:
    """Labelled images, some of them a batch."""
    images = torch.rand(len(labels), 1, 16, 16, generator=torch.Generator().manual_seed(3))
    for start in range(0, len(labels), size):
        rows = slice(start, start + size)
        yield {"image": images[rows], "label": labels[rows], "index": torch.arange(len(labels))[rows]}


def test_a_task_remembers_normalised_images_and_votes_with_them() -> None:
    task = KnnClassification(KnnClassifier(encoder(), 2, 0.5), ["a", "b"], mean=0.4, std=0.3)
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, NAN], [0.0, 1.0], [1.0, 0.0]])
    assert task.remember(batches(labels)) == 5
    images = torch.cat([batch["image"] for batch in batches(labels)])
    embeddings = normalize(task.encoder.embed((images - 0.4) / 0.3)[1], dim=1)
    torch.testing.assert_close(task.predict(images), knn_votes(embeddings, embeddings, labels, 2, 0.5))
    assert task.readings({"image": images, "label": labels}) == {}
    assert not any(parameter.requires_grad for parameter in task.parameters())


def test_an_image_that_stands_in_for_an_unreadable_one_votes_once() -> None:
    task = KnnClassification(KnnClassifier(encoder()), ["a"])
    given = list(batches(torch.tensor([[1.0], [0.0], [1.0], [0.0]])))
    given[0]["index"] = torch.tensor([1, 1])
    given[1]["index"] = torch.tensor([2, 1])
    assert task.remember(given) == 2
    assert task.network.labels.tolist() == [[1.0], [1.0]]


def test_where_classes_exclude_each_other_an_image_with_an_unknown_label_does_not_vote() -> None:
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [NAN, 1.0]])
    images = torch.rand(3, 1, 16, 16)
    answers = {}
    for kind in (MultiLabel(), MultiClass()):
        task = KnnClassification(KnnClassifier(encoder(), 3), ["a", "b"], kind)
        task.remember(batches(labels))
        answers[type(kind)] = task.predict(images).sum(1)
    torch.testing.assert_close(answers[MultiClass], torch.ones(3))
    assert (answers[MultiLabel] > 1.05).all()


def test_what_is_known_depends_on_the_kind_of_labels() -> None:
    label = torch.tensor([[1.0, NAN], [-1.0, 0.0], [0.0, 1.0]])
    assert MultiLabel().known(label).tolist() == [[True, False], [False, True], [True, True]]
    assert MultiClass().known(label).tolist() == [[False, False], [False, False], [True, True]]


def test_a_class_that_no_image_shows_is_named(caplog: pytest.LogCaptureFixture) -> None:
    task = KnnClassification(KnnClassifier(encoder()), ["a", "b"])
    with caplog.at_level(logging.WARNING, logger="monai_lamps"):
        task.remember(batches(torch.tensor([[1.0, 0.0], [0.0, 0.2]])))
    assert "none of 2 labelled images shows b" in caplog.text
    assert (task.predict(torch.rand(3, 1, 16, 16))[:, 1] < 0.5).all()


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0; 20 is usual"):
        KnnClassifier(encoder(), neighbours=0)
    with pytest.raises(ValueError, match=r"temperature must be above 0, got 0.0; 0.07 is usual"):
        KnnClassifier(encoder(), temperature=0.0)
    task = KnnClassification(KnnClassifier(encoder()), ["a", "b"])
    with pytest.raises(RuntimeError, match="remembers no labelled image; call remember first"):
        task.predict(torch.rand(1, 1, 16, 16))
    with pytest.raises(ValueError, match="there is no labelled image to remember"):
        task.remember([])
    with pytest.raises(ValueError, match="none of 2 labelled images has a known label of b; take the class out"):
        task.remember(batches(torch.tensor([[1.0, NAN], [0.0, -1.0]])))
    size = task.encoder.embed_dim
    with pytest.raises(ValueError, match=rf"must be \(N, {size}\) and \(N, K\) with N >= 1, got \(2, 3\) and \(2, 1\)"):
        task.network.remember(torch.ones(2, 3), torch.ones(2, 1))
    with pytest.raises(ValueError, match="1 of 2 embeddings are not finite: the encoder's weights are damaged"):
        task.network.remember(torch.tensor([[1.0], [NAN]]).expand(2, size), torch.ones(2, 1))


def test_rounded_weights_make_no_probability_above_one() -> None:
    generator = torch.Generator().manual_seed(0)
    unit = normalize(torch.randn(300, 16, generator=generator), dim=1)
    for neighbours in range(2, 60):  # without the limit some of these are 1 + 1e-7
        votes = knn_votes(unit[:150], unit[150:], torch.ones(150, 1), neighbours)
        assert votes.max() <= 1
        assert torch.allclose(votes, torch.ones_like(votes))
