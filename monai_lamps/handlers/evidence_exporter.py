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

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from ignite.engine import Engine, Events

from monai_lamps.checkpoints import save_evidence_network

from .evaluating import batch_to_device, evaluating, trainer_autocast
from .exporter import EncoderExporter

__all__ = ["EvidenceExporter"]

_PIXELS = 1 << 12  # of an image that the scale is fitted to, about


class EvidenceExporter(EncoderExporter):
    """Fit the scale of the evidence map to normal images, and write the evidence network with its card.

    At the end of an epoch the exported network (``method.evidence_network``) restores some healthy validation images,
    and a percentile of the contrast becomes its scale, so that what is drawn and measured afterwards is in the unit
    that the file will have: attach it before pictures and validation figures. Where there are no validation images the
    scale stays that which followed the training. With several processes each looks at the same images.

    Args:
        data_loader: validation batches, with the healthy images (B, C, ...) in [0, 1] under ``image_key``, always in
            the same order; None for none.
        image_key: see there.
        images: how many images to look at, about (whole batches).
        percentile: of the contrast, in (0, 100).
        every_epochs: how often to fit and to write; also at the end, and when the run is stopped.
        options: see :class:`~monai_lamps.handlers.EncoderExporter`; ``path`` is e.g. ``OUT/evidence.pt``.

    Raises:
        ValueError: when a number is out of range.
    """

    def __init__(
        self,
        *,
        data_loader: Iterable[Mapping[str, Any]] | None = None,
        image_key: str = "healthy",
        images: int = 256,
        percentile: float = 99.5,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if images < 1 or not 0 < percentile < 100:
            raise ValueError(f"expected images >= 1 and percentile in (0, 100), got {images} and {percentile}.")
        self.data_loader, self.image_key = data_loader, image_key
        self.images, self.percentile = images, percentile
        self._fitted_at = -1

    def attach(self, engine: Engine) -> None:
        """Fit and write every ``every_epochs`` epochs, at the last one, and when the run is stopped.

        Args:
            engine: the trainer, with ``method`` and ``progress``.
        """
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        """Fit the scale of ``engine.method``, and write; once after a step.

        Args:
            engine: the trainer.
        """
        if self._fitted_at != engine.state.iteration:
            self.fit(engine.method, engine.state.device, trainer_autocast(engine))
            self._fitted_at = engine.state.iteration
        super().__call__(engine)

    @torch.no_grad()
    def fit(self, method: Any, device: Any = None, autocast: Any = None) -> None:
        """Set the scale of ``method.evidence_network``.

        Args:
            method: what is trained.
            device: where its inputs must lie.
            autocast: precision to compute in; None for the weights' own.
        """
        network, contrasts, seen = method.evidence_network, [], 0
        with evaluating(method, autocast):
            for batch in self.data_loader or ():
                images = method.normalize(batch_to_device({"x": batch[self.image_key]}, device)["x"].float())
                contrast = network.contrast(images, network.restore(images)).flatten(1)
                contrasts.append(contrast[:, :: contrast.shape[1] // _PIXELS + 1].flatten())
                seen += len(images)
                if seen >= self.images:
                    break
        if contrasts:
            network.fit_scale(torch.cat(contrasts), self.percentile)

    def _epoch_completed(self, engine: Any) -> None:
        if engine.state.epoch % self.every_epochs == 0 or engine.state.epoch == engine.state.max_epochs:
            self(engine)

    def _save(self, method: Any, card: Mapping[str, Any]) -> None:
        save_evidence_network(self.path, method.evidence_network, card)
