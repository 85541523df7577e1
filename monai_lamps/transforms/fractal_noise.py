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

"""Smooth random fields of one grain or of several, for outlines and textures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from monai_lamps.transforms.elastic import add_smooth_noise, lattice_shape, lattice_weights

__all__ = ["fractal_noise"]


def fractal_noise(
    shape: Sequence[int], grain: float, random: np.random.RandomState, octaves: int = 1, gain: float = 0.5
) -> Tensor:
    """A smooth random field; each further octave is twice as fine, as in Perlin's noise (SIGGRAPH 1985).

    An octave is white noise on a coarse lattice, each node of which carries a Gaussian (see
    :func:`~monai_lamps.transforms.elastic.add_smooth_noise`): isotropic, unlike Perlin's lattice of gradients.

    Args:
        shape: px, 2-D or 3-D.
        grain: sigma of the coarsest octave's Gaussians, px, > 0; finer ones stop at half a pixel.
        random: where the numbers come from.
        octaves: how many.
        gain: amplitude of an octave relative to the one before.

    Returns:
        (*shape) float32 of mean 0 and variance 1 over the draws.

    Raises:
        ValueError: when ``grain`` is not positive or ``octaves`` is less than 1.
    """
    if not grain > 0 or octaves < 1:
        raise ValueError(f"grain must be above 0 px and octaves at least 1, got {grain} and {octaves}.")
    field, power = torch.zeros(1, *shape, 1), 0.0
    for octave in range(octaves):
        sigma, weight = max(0.5, grain / 2**octave), gain**octave
        noise = random.standard_normal((1, 1, *lattice_shape(shape, sigma))) * weight
        add_smooth_noise(field, torch.from_numpy(noise.astype(np.float32)), lattice_weights(shape, sigma, field))
        power += weight**2
    result: Tensor = field[0, ..., 0] / power**0.5
    return result
