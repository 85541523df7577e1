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
"""What supervised tasks have in common: a network with an encoder, its figures, and training as any other method."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from monai_lamps.methods import Method
from monai_lamps.metrics import Figures, Row
from monai_lamps.networks import Encoder

if TYPE_CHECKING:
    from monai_lamps.engines import Progress

__all__ = ["Look", "Task", "masked_mean"]

#: from positions of cases to their collated batch
Look = Callable[[Sequence[int]], Mapping[str, Any]]


class Task(Method):
    """A supervised task: an encoder and what reads its features, trained by the trainer of self-supervised methods.

    Whatever of the encoder is frozen stays in eval mode while the rest trains, so that neither its batch statistics nor
    its dropout move (:func:`~monai_lamps.engines.freeze_encoder`).

    Args:
        network: from normalised images (B, C, ...) to logits; its ``encoder`` is an :class:`Encoder`.
        figures: what the task is judged by.
        mean, std: normalisation of images in [0, 1] that the encoder was pretrained with (in its card).
        weights: factor of each loss term by name; 1 for those that are not named.

    Raises:
        TypeError: when the network has no encoder.
        ValueError: when ``std`` is not positive, or a weight is negative.
    """

    def __init__(
        self,
        network: nn.Module,
        figures: Figures,
        mean: float = 0.5056,
        std: float = 0.252,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(getattr(network, "encoder", None), Encoder):
            raise TypeError(
                f"the network of a task needs an attribute 'encoder' of type Encoder, that of {type(network).__name__} "
                f"is {type(getattr(network, 'encoder', None)).__name__}; take build_segmenter or LinearClassifier."
            )
        if not std > 0:
            raise ValueError(f"std must be positive, got {std}; take mean and std of the encoder's card.")
        if any(not weight >= 0 for weight in (weights or {}).values()):
            raise ValueError(f"weights of loss terms must be >= 0, got {dict(weights or {})}; 0 leaves a term out.")
        self.network, self.figures, self.mean, self.std = network, figures, mean, std
        self.weights = dict(weights or {})

    @property
    def encoder(self) -> Encoder:
        """The encoder that is fine-tuned."""
        encoder: Any = self.network.encoder
        return encoder  # type: ignore[no-any-return]

    def forward(self, batch: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        """Weighted loss terms by name.

        Args:
            batch: ``image`` (B, C, ...) float in [0, 1], and what :meth:`terms` reads.
            progress: where the run stands; not used.
        """
        terms = self.terms(self.logits(batch["image"]), batch)
        self.latest = {name: term.detach() for name, term in terms.items()}
        return {name: self.weights.get(name, 1.0) * term for name, term in terms.items()}

    def after_step(self, progress: Progress) -> None:
        """Nothing follows a step."""

    def train(self, mode: bool = True) -> Task:
        """As of any module, but what is frozen as a whole stays in eval mode."""
        super().train(mode)
        if mode:
            _rest(self.encoder)
        return self

    def logits(self, images: Tensor) -> Tensor:
        """The network's answer for images (B, C, ...) in [0, 1], in float32."""
        answer: Tensor = self.network(self.normalize(images))
        return answer.float()

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Probabilities, (B, K) or (B, K, ...), for images (B, C, ...) in [0, 1]."""
        return self.probabilities(self.logits(images))

    @torch.no_grad()
    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unweighted loss terms of a validation batch."""
        return self.terms(self.logits(batch["image"]), batch)

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits to probabilities."""

    @abstractmethod
    def terms(self, logits: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unweighted loss terms of a batch."""

    @abstractmethod
    def case_pictures(self, rows: Sequence[Row], look: Look) -> dict[str, Tensor]:
        """Pictures of a whole validation pass, (1 or 3, H, W), float in [0, 1].

        Args:
            rows: all cases, from ``figures.rows``.
            look: from positions in ``rows`` to the batch of these cases, on the task's device.
        """


def masked_mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of the values that count, 0 (with a gradient of 0) where none does.

    Args:
        values: any shape, finite.
        counts: the same shape, bool.
    """
    weight = counts.to(values)
    return (values * weight).sum() / weight.sum().clamp(min=1)


def _rest(module: nn.Module) -> None:
    """Put every sub-module whose parameters are all frozen into eval mode."""
    frozen = not any(parameter.requires_grad for parameter in module.parameters())
    if frozen and next(module.parameters(), None) is not None:
        module.eval()
        return
    for child in module.children():
        _rest(child)
