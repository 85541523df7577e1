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

from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from monai_lamps.data.keys import derive_seed
from monai_lamps.engines import Constant, Curriculum, Progress
from monai_lamps.engines.schedules import Schedule
from monai_lamps.losses import PrunedInfoNCELoss, contrast_figures
from monai_lamps.methods.adam.augment import AdamAugment
from monai_lamps.methods.adam.curriculum import adam_curriculum
from monai_lamps.methods.adam.negatives import queue_negatives
from monai_lamps.methods.adam.network import AdamNetwork
from monai_lamps.methods.adam.pictures import neighbour_picture, view_picture
from monai_lamps.methods.method import Method
from monai_lamps.networks import EMATeacher, Encoder, MemoryQueue, shuffle_ranks

__all__ = ["Adam", "batch_accuracy"]

_KEYS = 64  # the augmentation of view i of a sample is keyed by seed * KEYS + i
_CHUNK = 64  # images that are embedded at once for a picture


class Adam(Method):
    """Adam: anatomy learned from coarse to fine by contrast ("Towards Foundation Models Learned from Anatomy in Medical
    Imaging via Self-supervision", arXiv 2309.15358).

    Two views of a random anatomical part are brought together, and held apart from the parts of other images that a
    memory queue holds, *except* those that already look like the anchor: other patients have the same anatomy, and it
    is no negative. Stages go from whole images to finer and finer parts:

    - *Anatomy Decomposer*: the data pipeline cuts one of ``2**n`` parts
      (:class:`~monai_lamps.methods.adam.RandAdamViewsd`);
    - *Purposive Pruner*: negatives with a cosine of at least the threshold are left out
      (:class:`~monai_lamps.losses.PrunedInfoNCELoss`).

    What is exported is the student's encoder: the released ``best_checkpoint.pth`` is the bare ``encoder_q``. (There it
    is the one with the smallest validation loss, here the last.)

    Batch normalisation tells which images share a batch, and by that the two views of an image find each other. With
    several processes the teacher's batches are therefore shuffled among them, as in MoCo, wherever a layer normalises
    over its process's own share. With one process there is no other batch to go to.

    Where the released code deviates from the paper's text we follow the paper: parts are ``2**n`` and not ``n x n``
    (the same for n = 0, 2, 4). Validation moves neither the teacher nor the queue; in the released code it does both.
    The teacher moves after the optimizer step, there before the next forward pass, the same but for the first step.

    Args:
        encoder: the student's encoder (published: ResNet-50). The teacher is a copy of it.
        curriculum: stages with their granularity and threshold, by epochs; as published by default.
        momentum: schedule of the teacher's momentum; published 0.999 throughout.
        temperature: of the contrast, published 0.2.
        queue_size: K, embeddings in the memory, published 65536.
        hidden, out: widths of the projection head, published 2048 and 128.
        augment: photometric augmentation and rotation of the views, on images in [0, 1].
        negatives: (queue, keys of the batch) to what anchors are held apart from in training, and which of it is their
            own key; published :func:`queue_negatives`. In short runs :func:`queue_and_batch_negatives` learn faster.
        mean, std: normalisation of images in [0, 1] (released: that of ImageNet on three equal channels).

    Raises:
        ValueError: when the curriculum has another objective than ``contrast``, a stage without a granularity, or does
            not count epochs.
    """

    name = "adam"

    def __init__(
        self,
        encoder: Encoder,
        curriculum: Curriculum | None = None,
        momentum: Schedule | None = None,
        temperature: float = 0.2,
        queue_size: int = 65536,
        hidden: int = 2048,
        out: int = 128,
        augment: nn.Module | None = None,
        negatives: Callable[[MemoryQueue, Tensor], tuple[Tensor, Tensor | None]] = queue_negatives,
        mean: float = 0.5056,
        std: float = 0.252,
    ) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.curriculum = curriculum or adam_curriculum()
        self._check_curriculum()
        self.momentum: Schedule = momentum or Constant(0.999)
        self.student = AdamNetwork(encoder, hidden, out)
        self.teacher = EMATeacher(self.student)
        self.queue = MemoryQueue(queue_size, out)
        self.losses = nn.ModuleList(
            PrunedInfoNCELoss(temperature, phase.settings.get("threshold")) for phase in self.curriculum.phases
        )
        self.augment = augment or AdamAugment(7 * encoder.cell)
        self.negatives = negatives
        self._new_keys: Tensor | None = None

    def _check_curriculum(self) -> None:
        if set(self.curriculum.objectives) != {"contrast"} or self.curriculum.unit != "epoch":
            raise ValueError(
                f"the curriculum has the objectives {list(self.curriculum.objectives)} by {self.curriculum.unit}, "
                "expected contrast alone, by epoch; make it with adam_curriculum()."
            )
        for phase in self.curriculum.phases:
            if "granularity" not in phase.settings:
                raise ValueError(
                    f"a stage has the settings {dict(phase.settings)}, expected a granularity among them; make the "
                    "curriculum with adam_curriculum()."
                )

    @property
    def encoder(self) -> Encoder:
        """The student's encoder, as released."""
        return self.student.encoder

    def forward(self, batch: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        """The contrast of the stage: ``L = -log(e^(q.k/t) / (e^(q.k/t) + sum over kept negatives of e^(q.k_i/t)))``.

        Args:
            batch: ``views`` (b, 2, C, size, ...) float in [0, 1], and ``seed`` (b,), as :class:`RandAdamViewsd` draws
                them.
            progress: where the run stands.
        """
        query_view, key_view = self.views(batch)
        query = self.student(query_view)
        key = self._keys_among_ranks(key_view, progress)
        loss = self._loss(progress)
        contrast: Tensor = loss(query, key, *self.negatives(self.queue, key))
        self.latest = {
            "contrast": contrast.detach(),
            **self._figures(query, key, loss),
            "batch_accuracy": batch_accuracy(query, key),
        }
        if self.training:  # validation leaves no trace in the queue
            self._new_keys = key
        return {name: weight * contrast for name, weight in self.curriculum.weights(progress).items()}

    def views(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Both views, augmented and normalised, each (b, C, size, ...): what the student and what the teacher sees."""
        first, second = self.normalize(self._augmented(batch)).unbind(1)
        return first, second

    def _augmented(self, batch: Mapping[str, Tensor]) -> Tensor:
        views = batch["views"]
        key = batch["seed"][:, None] % 2**56 * _KEYS + torch.arange(2, device=views.device)
        augmented: Tensor = self.augment(views.flatten(0, 1), key.flatten()).unflatten(0, (-1, 2))
        return augmented

    def _loss(self, progress: Progress) -> PrunedInfoNCELoss:
        return cast(PrunedInfoNCELoss, self.losses[self.curriculum.phase_index(progress)])

    def _keys_among_ranks(self, images: Tensor, progress: Progress) -> Tensor:
        """The teacher's projections; where batch normalisation is local, of batches shuffled among the processes."""
        layers = self.teacher.modules()
        if not any(isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm) for layer in layers):
            key: Tensor = self.teacher(images)
            return key
        shuffled, restore = shuffle_ranks(images, derive_seed(progress.step))
        return restore(self.teacher(shuffled))

    def _figures(self, query: Tensor, key: Tensor, loss: PrunedInfoNCELoss) -> dict[str, Tensor]:
        return contrast_figures(query, key, self.queue.negatives, loss.threshold)

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """Teacher update, theta_k = m theta_k + (1 - m) theta_q; the batch's keys join the queue.

        At the end of a stage the queue is emptied, where the next stage asks for it (``reset_queue``).
        """
        self.teacher.update(self.student, self.momentum(progress))
        if self._new_keys is not None:
            self.queue.enqueue(self._new_keys)
            self._new_keys = None
        after = Progress.at(progress.step + 1, progress.steps_per_epoch, progress.total_epochs)
        begins = self.curriculum.phase_index(after) != self.curriculum.phase_index(progress)
        if begins and self.curriculum.settings(after).get("reset_queue"):
            self.queue.reset()

    @torch.no_grad()
    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Contrast and its figures on a validation batch, each sample with the threshold of its own granularity.

        The negatives are the training keys that the queue holds; nothing joins them.
        """
        query_view, key_view = self.views(batch)
        query, key = self.student(query_view), self.teacher(key_view)
        stages = {phase.settings["granularity"]: loss for phase, loss in zip(self.curriculum.phases, self.losses)}
        figures: dict[str, Tensor] = {}
        for granularity, loss in stages.items():
            rows = (batch["granularity"] == granularity).nonzero().flatten()  # waits for the device: validation only
            if not len(rows):
                continue
            some = (query[rows], key[rows], cast(PrunedInfoNCELoss, loss))
            values = {"contrast": loss(*some[:2], self.queue.negatives), **self._figures(*some)}
            for name, value in values.items():
                figures[name] = figures.get(name, torch.zeros_like(value)) + value * (len(rows) / len(query))
        return {**figures, "batch_accuracy": batch_accuracy(query, key)}

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The augmented views of some samples, and, where the batch has ``parts``, nearest neighbours of a few parts.

        ``parts`` (b, P, C, size, ...) come from :class:`AnatomyPartsd`; see :func:`neighbour_picture`.
        """
        pictures = {"views": view_picture(self._augmented(batch))}
        if "parts" in batch and len(batch["parts"]) > 1:
            parts = batch["parts"]
            embedded = torch.cat([self.embed(some)[1] for some in parts.flatten(0, 1).split(_CHUNK)])
            pictures["neighbours"] = neighbour_picture(parts, embedded.unflatten(0, parts.shape[:2]))
        return {name: picture.clamp(0, 1).cpu() for name, picture in pictures.items()}


@torch.no_grad()
def batch_accuracy(query: Tensor, key: Tensor) -> Tensor:
    """Share of the anchors whose own key is the nearest of all keys of the batch; by chance 1 / B.

    The accuracy against the queue is deceptive while the teacher moves fast: the queue is older than the batch, and old
    can be told from new without looking at the anatomy. The keys of a batch are all of one age.

    Args:
        query: embeddings of one view (B, D), float.
        key: embeddings of the other view (B, D), float.

    Returns:
        scalar float32 in [0, 1].
    """
    cosine = F.normalize(query.float(), dim=1) @ F.normalize(key.float(), dim=1).T
    return (cosine.argmax(dim=1) == torch.arange(len(query), device=query.device)).float().mean()
