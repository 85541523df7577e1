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

"""What a synthetic lesion looks like inside: textures of the same image, of other images, opacities and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F
from monai.config.type_definitions import NdarrayOrTensor
from torch import Tensor

from monai_lamps.transforms.fractal_noise import fractal_noise
from monai_lamps.transforms.resample import as_image

__all__ = ["TEXTURES", "ForeignTexture", "LesionSite", "LesionTexture", "NoiseTexture", "SelfTexture", "SmoothOpacity"]


@dataclass(frozen=True)
class LesionSite:
    """Where a texture is asked for.

    Args:
        image: the image so far, (C, *spatial) float32 in [0, 1].
        box: the lesion's part of it.
        dark: grey value of the darker tissue around (a low percentile).
        bright: grey value of the brighter tissue around (a high percentile), above ``dark``.
    """

    image: Tensor
    box: tuple[slice, ...]
    dark: float
    bright: float

    @property
    def there(self) -> Tensor:
        """The image in the box, (C, *box)."""
        channels_and_box = (slice(None), *self.box)
        return self.image[channels_and_box]

    @property
    def shape(self) -> tuple[int, ...]:
        """Sides of the box, px."""
        return tuple(part.stop - part.start for part in self.box)


LesionTexture = Callable[[LesionSite, np.random.RandomState], Tensor]
"""What the image shows where a lesion hides it entirely: (C, *box), any range. All randomness is the second argument's.
"""


class SelfTexture:
    """Another part of the same image, mirrored at random, laid over the place (AFiRe's synthetic lesions).

    AFiRe adds a patch from the middle of the chest; here it may come from anywhere, and brightens the less the brighter
    the place is already, as two superimposed shadows do, so that nothing saturates.

    Args:
        strength: smallest and largest share of the patch that is added, in [0, 1].

    Raises:
        ValueError: when the range is none.
    """

    def __init__(self, strength: tuple[float, float] = (0.4, 0.9)) -> None:
        self.strength = _share(strength)

    def __call__(self, site: LesionSite, random: np.random.RandomState) -> Tensor:
        """A part of the site's own image."""
        return _superimposed(site, _patch(site.image, site.shape, random), random.uniform(*self.strength))


class ForeignTexture:
    """A part of another image, laid over the place as :class:`SelfTexture` does (CutPaste and AnatPaste on donors).

    Args:
        donors: images (C, *spatial) in [0, 1] of the channels and dimensions of the images to come; whatever has a
            length and gives an image for an index. Smaller ones are enlarged.
        strength: see :class:`SelfTexture`.

    Raises:
        ValueError: when there are no donors, or one does not fit the image.
    """

    def __init__(self, donors: Sequence[NdarrayOrTensor], strength: tuple[float, float] = (0.4, 0.9)) -> None:
        if len(donors) == 0:
            raise ValueError("donors must hold at least one image, got none; the kind 'self' needs no others.")
        self.donors, self.strength = donors, _share(strength)

    def __call__(self, site: LesionSite, random: np.random.RandomState) -> Tensor:
        """A part of one of the donors."""
        number = int(random.randint(len(self.donors)))
        donor = as_image(self.donors[number])
        if donor.ndim != site.image.ndim or len(donor) != len(site.image):
            raise ValueError(
                f"donor {number} must have the channels and dimensions of the image, {tuple(site.image.shape)}, got "
                f"{tuple(donor.shape)}; convert the donors as the images."
            )
        factor = max(1.0, *(need / have for need, have in zip(site.shape, donor.shape[1:])))
        if factor > 1:
            size = [max(round(have * factor), need) for have, need in zip(donor.shape[1:], site.shape)]
            donor = F.interpolate(donor[None], size=size, mode="bilinear" if len(size) == 2 else "trilinear")[0]
        return _superimposed(site, _patch(donor, site.shape, random), random.uniform(*self.strength))


class SmoothOpacity:
    """A cloudy opacity: what is dark is lifted toward the bright part of the body, what is bright stays.

    So lungs turn white while ribs and vessels fade into it, as with a consolidation; slow noise makes it patchy.

    Args:
        strength: smallest and largest share of the way to the bright grey value, in [0, 1].
        patchiness: standard deviation of the noise, relative to the opacity.

    Raises:
        ValueError: when the range is none, or ``patchiness`` negative.
    """

    def __init__(self, strength: tuple[float, float] = (0.35, 0.85), patchiness: float = 0.2) -> None:
        if not patchiness >= 0:
            raise ValueError(f"patchiness must be at least 0, got {patchiness}; 0 is an even opacity.")
        self.strength, self.patchiness = _share(strength), patchiness

    def __call__(self, site: LesionSite, random: np.random.RandomState) -> Tensor:
        """The place, more or less white."""
        strength = random.uniform(*self.strength)
        noise = fractal_noise(site.shape, max(0.5, min(site.shape) / 10), random, octaves=3)
        share = (strength * (1 + self.patchiness * noise)).clamp(0, 1)
        return site.there + share * _room(site)


class NoiseTexture:
    """Fine mottled or net-like shadows on the place (the noise of DRAEM, arXiv 2108.07610, as a texture).

    Args:
        strength: smallest and largest share of the way to the bright grey value, in [0, 1].
        grain: smallest and largest sigma of the coarsest noise, share of the lesion's shorter side, in (0, 1].
        contrast: standard deviation of the noise, relative to the strength.

    Raises:
        ValueError: when a range is none, or ``contrast`` negative.
    """

    def __init__(
        self,
        strength: tuple[float, float] = (0.2, 0.5),
        grain: tuple[float, float] = (0.03, 0.1),
        contrast: float = 0.5,
    ) -> None:
        self.strength, self.grain, self.contrast = _share(strength), _share(grain), contrast
        if not grain[0] > 0:
            raise ValueError(f"grain must be above 0, got {grain}.")
        if not contrast >= 0:
            raise ValueError(f"contrast must be at least 0, got {contrast}; 0 is an even opacity.")

    def __call__(self, site: LesionSite, random: np.random.RandomState) -> Tensor:
        """The place with mottles, nearly all of them brighter than before."""
        share = random.uniform(*self.strength)
        grain = max(0.6, random.uniform(*self.grain) * min(site.shape))
        noise = fractal_noise(site.shape, grain, random, octaves=3)
        return site.there + share * (1 + self.contrast * noise) * _room(site)


TEXTURES: dict[str, Callable[[], LesionTexture]] = {
    "self": SelfTexture,
    "opacity": SmoothOpacity,
    "noise": NoiseTexture,
}
"""Textures that need nothing but the image, by their names."""


def _share(values: Any) -> tuple[float, float]:
    if len(values) != 2 or not 0 <= values[0] <= values[1] <= 1:
        raise ValueError(f"a range must be (low, high) with 0 <= low <= high <= 1, got {values}.")
    return float(values[0]), float(values[1])


def _patch(image: Tensor, shape: Sequence[int], random: np.random.RandomState) -> Tensor:
    """A part of the image of this shape at a random place, each axis mirrored or not, (C, *shape)."""
    starts = [int(random.randint(side - need + 1)) for side, need in zip(image.shape[1:], shape, strict=True)]
    chosen = (slice(None), *(slice(start, start + need) for start, need in zip(starts, shape)))
    return image[chosen].flip([axis + 1 for axis in range(len(shape)) if random.uniform() < 0.5])


def _room(site: LesionSite) -> Tensor:
    """How much brighter each pixel of the place may become: up to the bright tissue around, beyond it a little."""
    span = site.bright - site.dark
    return F.softplus((site.bright - site.there) / span, beta=6) * span


def _superimposed(site: LesionSite, patch: Tensor, strength: float) -> Tensor:
    """The place with the shadow of a patch over it."""
    shadow = ((patch - site.dark) / (site.bright - site.dark)).clamp(0, 1.2)
    return site.there + strength * shadow * _room(site)
