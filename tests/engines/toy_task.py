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
"""A supervised task small enough to be trained in a test: where in the picture is the bright square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.transforms import Compose, RandGaussianNoised
from torch import Tensor, nn
from torch.utils.data import DataLoader

from monai_lamps.data import RadiographDataset, ResumableBatchSampler
from monai_lamps.engines import PretrainingTrainer
from monai_lamps.networks import Encoder, build_encoder
from monai_lamps.tasks import Classification, LinearClassifier, Segmentation

SIDE = 16
STRUCTURES = ["square", "corner"]


class TinySegmenter(nn.Module):
    """The finest feature map, a 1 x 1 convolution, enlarged."""

    def __init__(self, encoder: Encoder, out_channels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Conv2d(encoder.channels[0] + 1, out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = nn.functional.interpolate(self.encoder.features(images)[0], images.shape[2:])
        logits: Tensor = self.head(torch.cat([features, images], dim=1))
        return logits


def encoder() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_encoder("resnet18", stride=8, base_channels=4)


def segmentation(**kwargs: Any) -> Segmentation:
    body = encoder()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Segmentation(TinySegmenter(body, 2), STRUCTURES, **kwargs)


def classification(classes: Sequence[str] = ("left", "bright"), **kwargs: Any) -> Classification:
    body = encoder()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Classification(LinearClassifier(body, len(classes)), classes, **kwargs)


def items(count: int = 6) -> list[dict[str, Any]]:
    """Images with a bright square, its mask, an empty mask that is annotated in every second item, and a patient."""
    made = []
    for number in range(count):
        image, label = torch.full((1, SIDE, SIDE), 0.2), torch.zeros(2, SIDE, SIDE)
        left = 1 + number % 8
        image[:, 3:10, left : left + 7] = 0.8
        label[0, 3:10, left : left + 7] = 1
        annotated = torch.tensor([True, number % 2 == 0])
        made.append({"image": image, "label": label, "annotated": annotated, "patient": f"p{number // 2}"})
    return made


def loader(data: Sequence[dict[str, Any]], batch_size: int = 4, **kwargs: Any) -> DataLoader:
    """Validation batches without the patient, which the dataset keeps."""

    def select(item: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in item.items() if key in ("image", "label", "annotated")}

    return DataLoader(RadiographDataset(data, Compose([select]), seed=1), batch_size=batch_size, **kwargs)


def trainer(task: Any, epochs: int = 3, handlers: Sequence[Any] = (), lr: float = 0.01) -> PretrainingTrainer:
    """Fine-tunes on noisy copies of the items, three batches of two an epoch."""
    data = [{key: value for key, value in item.items() if key != "patient"} for item in items()]
    dataset = RadiographDataset(data, Compose([RandGaussianNoised("image", prob=1.0, std=0.1)]), seed=1)
    sampler = ResumableBatchSampler(len(data), 2, 1, epochs)
    return PretrainingTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=DataLoader(dataset, batch_sampler=sampler),
        network=task,
        optimizer=torch.optim.AdamW([p for p in task.parameters() if p.requires_grad], lr=lr),
        seed=1,
        train_handlers=list(handlers),
    )
