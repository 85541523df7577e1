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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from monai_lamps.checkpoints import save_encoder
from monai_lamps.version import __version__

__all__ = ["EncoderExporter"]


class EncoderExporter:
    """Write the method's encoder with its card, so that there is a usable one from the first epochs on.

    The card says what the encoder is and how its input is prepared (name and arguments, channels, size, normalisation),
    and where it comes from (method, data, epochs, steps, seed, code version).

    Args:
        path: file of the weights, e.g. ``OUT/encoder.pt``; the card lies beside it as .json.
        image_size: size of the images that it was trained on, in px per axis.
        data: what it was trained on, e.g. datalist and number of images.
        seed: the seed of the run.
        preparation: how a whole radiograph is brought to the scale of training, besides the normalisation.
        every_epochs: how often to write during training; it is always written at the end, also of an interrupted run.

    Raises:
        ValueError: when ``every_epochs`` is below 1.
    """

    def __init__(
        self,
        path: str | Path,
        image_size: int,
        data: Mapping[str, Any] | None = None,
        seed: int = 0,
        preparation: Mapping[str, Any] | None = None,
        every_epochs: int = 1,
    ) -> None:
        if every_epochs < 1:
            raise ValueError(f"every_epochs must be at least 1, got {every_epochs}.")
        self.path, self.image_size, self.data, self.seed = Path(path), image_size, dict(data or {}), seed
        self.preparation = dict(preparation or {})
        self.every_epochs = every_epochs
        self._written_at = -1
        self.logger = logging.getLogger(type(self).__module__)

    def attach(self, engine: Engine) -> None:
        """Export every ``every_epochs`` epochs, and at the end or when the run is stopped.

        Args:
            engine: the trainer, with ``method`` and ``progress``.
        """
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.every_epochs), self)
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        """Write the encoder of ``engine.method``, once after a step. A full disk is logged; it does not end the run.

        Args:
            engine: the trainer.
        """
        if engine.state.rank != 0 or self._written_at == engine.state.iteration:
            return
        method, progress = engine.method, engine.progress
        card = {
            "method": method.name,
            "image_size": [self.image_size] * method.encoder.spatial_dims,
            "normalization": {"mean": method.mean, "std": method.std, "of": "images in [0, 1], 0 dark and 1 bright"},
            "preparation": self.preparation,
            "data": self.data,
            "epochs": engine.state.iteration // progress.steps_per_epoch,
            "steps": engine.state.iteration,
            "planned_epochs": progress.total_epochs,
            "seed": self.seed,
            "code_version": __version__,
        }
        try:
            self._save(method, card)
            self._written_at = engine.state.iteration
        except OSError as error:
            self.logger.error(f"the encoder could not be written to '{self.path}' ({error}); free space there.")

    def _save(self, method: Any, card: Mapping[str, Any]) -> None:
        save_encoder(self.path, method.encoder, card)
