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

"""Synthetic lesions on healthy images, with the healthy image and the mask kept."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import TransformBackends
from torch import Tensor

from monai_lamps.transforms.body_region import body_region, lucent_part
from monai_lamps.transforms.lesion_place import fade_in, place_at, tissue_around
from monai_lamps.transforms.lesion_shape import LesionShape
from monai_lamps.transforms.lesion_textures import TEXTURES, LesionSite, LesionTexture
from monai_lamps.transforms.resample import as_image

__all__ = [
    "LesionPlan",
    "LesionedImage",
    "RandSyntheticLesion",
    "RandSyntheticLesionD",
    "RandSyntheticLesionDict",
    "RandSyntheticLesiond",
]

_SLIMMEST = 0.5  # shorter over longest axis of a lesion, at least
_RIM = (0.45, 1.0)
_IRREGULARITY = (0.03, 0.18)
_SATURATED = 0.95  # grey value above which nothing can be put
_VISIBLE = 0.02  # mean change of the grey values in a lesion's core, below which it is put elsewhere
_FAINTEST = 1 / 256  # opacity that is taken for none
_TRIES = 6
_GOLDEN = 0.6180339887  # steps of this share visit all parts of a region in turn


@dataclass(frozen=True)
class LesionedImage:
    """A healthy image, and the same with lesions.

    Args:
        lesioned: (C, *spatial) float32 in [0, 1].
        healthy: (C, *spatial) float32, equal to ``lesioned`` wherever ``mask`` is 0.
        mask: (1, *spatial) float32 in [0, 1], the opacity of the lesions.
    """

    lesioned: Tensor
    healthy: Tensor
    mask: Tensor


@dataclass(frozen=True)
class LesionPlan:
    """All that is drawn for one lesion; the rest follows from the image.

    Args:
        texture: number of the texture.
        place: where among the places of the region, in [0, 1).
        lucent: whether the place is one of the region's darker part.
        shape: its outline.
        seed: of the texture.
    """

    texture: int
    place: float
    lucent: bool
    shape: LesionShape
    seed: int


class RandSyntheticLesion(RandomizableTransform):
    """Put a few synthetic lesions into the body on a healthy image, 2-D or 3-D.

    The precedent of RadLAS's lesions is AFiRe (arXiv 2504.10972): one to four patches of the image's own texture, 7 to
    57 % of its side, soft-edged and added anywhere on the image, made once and stored. Here they are drawn anew each
    time, lie inside the body, have irregular outlines, and may be opacities or noise as well. A lesion that could not
    be seen, as on saturated grey values, is put elsewhere, and left out if six places do not show it.

    Args:
        kinds: what lesions are made of, each with the same probability: "self", "opacity", "noise", or any
            :data:`LesionTexture`, such as a :class:`ForeignTexture` with its donors.
        count: smallest and largest number of lesions.
        size: smallest and largest length of a lesion's longest axis, share of the image's shorter side, log-uniform.
        prob: probability that an image gets lesions at all.
        lucent: share of the lesions whose centre lies in the darker part of the body (:func:`lucent_part`; of a chest
            mostly the lungs). Where a region is given, all of it is alike.

    Attributes:
        plans: what was drawn last, one :class:`LesionPlan` for each lesion.

    Raises:
        ValueError: when a kind is unknown, or a range or share is none.
    """

    backend = [TransformBackends.TORCH]

    def __init__(
        self,
        kinds: Sequence[str | LesionTexture] = ("self", "opacity", "noise"),
        count: tuple[int, int] = (1, 4),
        size: tuple[float, float] = (0.07, 0.57),
        prob: float = 1.0,
        lucent: float = 0.75,
    ) -> None:
        RandomizableTransform.__init__(self, prob)
        if isinstance(kinds, str) or not kinds:
            raise ValueError(f"kinds must be a list of at least one kind, such as ['self', 'opacity'], got {kinds!r}.")
        if len(count) != 2 or not 1 <= count[0] <= count[1] or any(int(number) != number for number in count):
            raise ValueError(f"count must be whole numbers (low, high) with 1 <= low <= high, got {count}.")
        if len(size) != 2 or not 0 < size[0] <= size[1] <= 1:
            raise ValueError(f"size must be shares (low, high) of the side with 0 < low <= high <= 1, got {size}.")
        for name, value in (("prob", prob), ("lucent", lucent)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {value}.")
        self.textures = [_texture(kind) for kind in kinds]
        self.count, self.size, self.lucent = (int(count[0]), int(count[1])), tuple(size), lucent
        self.plans: list[LesionPlan] | None = None

    def randomize(self, data: Sequence[int]) -> None:
        """Draw lesions for an image of spatial shape ``data`` (px)."""
        super().randomize(None)
        count = int(self.R.randint(self.count[0], self.count[1] + 1)) if self._do_transform else 0
        self.plans = [self._plan(data) for _ in range(count)]

    def __call__(
        self, img: NdarrayOrTensor, region: NdarrayOrTensor | None = None, randomize: bool = True
    ) -> LesionedImage:
        """Make one image ill.

        Args:
            img: (C, *spatial) in [0, 1], 2-D or 3-D.
            region: where lesions may be, (*spatial) or (1, *spatial), > 0 inside; found by :func:`body_region` if it is
                not given. An empty one leaves the image healthy and warns.
            randomize: draw anew; False repeats the last draw.

        Raises:
            ValueError: when the grey values leave [0, 1], or the region has another shape than the image.
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
        """
        healthy = as_image(img)
        low, high = float(healthy.min()), float(healthy.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"grey values must lie in [0, 1], got {low:.4g} to {high:.4g}; scale the image first.")
        inside = None if region is None else _checked(region, healthy)
        if randomize:
            self.randomize(healthy.shape[1:])
        if self.plans is None:
            raise RuntimeError("no lesions have been drawn yet; call randomize(shape) before randomize=False.")
        return self._ill(healthy, inside)

    def _plan(self, shape: Sequence[int]) -> LesionPlan:
        texture = int(self.R.randint(len(self.textures)))
        place, lucent = float(self.R.uniform()), bool(self.R.uniform() < self.lucent)
        longest = float(np.exp(self.R.uniform(*np.log(self.size)))) * min(shape)
        others = self.R.uniform(_SLIMMEST, 1, len(shape) - 1) * longest
        rim, irregularity = float(self.R.uniform(*_RIM)), float(self.R.uniform(*_IRREGULARITY))
        outline, seed = (int(number) for number in self.R.randint(0, 2**32, 2, dtype=np.uint32))
        shape_ = LesionShape((longest, *others.tolist()), rim, irregularity, outline)
        return LesionPlan(texture, place, lucent, shape_, seed)

    def _ill(self, healthy: Tensor, given: Tensor | None) -> LesionedImage:
        mask = torch.zeros(1, *healthy.shape[1:])
        if not self.plans:
            return LesionedImage(healthy.clone(), healthy, mask)
        region = body_region(healthy) if given is None else given
        if not region.any():
            warnings.warn("the region for lesions is empty: the image stays healthy.", stacklevel=3)
            return LesionedImage(healthy.clone(), healthy, mask)
        open_to = region & (healthy.amin(0) < _SATURATED)
        lucent = lucent_part(healthy, region) & open_to if given is None else open_to
        lesioned = healthy.clone()
        for plan in self.plans:
            allowed = lucent if plan.lucent and lucent.any() else open_to
            for number in range(_TRIES if allowed.any() else 0):
                centre = place_at(allowed, (plan.place + number * _GOLDEN) % 1)
                if self._put(plan, number, centre, region, lesioned, mask):
                    break
        return LesionedImage(lesioned, healthy, mask)

    def _put(
        self, plan: LesionPlan, number: int, centre: tuple[int, ...], region: Tensor, lesioned: Tensor, mask: Tensor
    ) -> bool:
        """Put one lesion, the given try, into image and mask; False, and nothing changes, where nothing would show."""
        box = plan.shape.box(centre, region.shape)
        opacity = plan.shape.opacity(centre, box) * fade_in(region, box)
        opacity = torch.where(opacity < _FAINTEST, 0, opacity)
        site = LesionSite(lesioned, box, *tissue_around(lesioned, region, box))
        full = self.textures[plan.texture](site, np.random.RandomState((plan.seed + number) % 2**32))
        there = (slice(None), *box)
        changed = (lesioned[there] + opacity * (full - lesioned[there])).clamp(0, 1)
        core = opacity >= opacity.max() / 2
        if not float((changed - lesioned[there]).abs().mean(0)[core].mean()) >= _VISIBLE:
            return False
        lesioned[there] = changed
        mask[there] = torch.maximum(mask[there], opacity)
        return True


class RandSyntheticLesiond(RandomizableTransform, MapTransform):
    """Dictionary form of :class:`RandSyntheticLesion`: the image becomes the lesioned one.

    Args:
        keys: the image (one key).
        mask_key: key that the soft mask, (1, *spatial) float32, is written to.
        healthy_key: key that the healthy image is written to.
        region_key: entry with the region for lesions, such as a lung mask; None: the body is looked for.
        allow_missing_keys: leave items without the image as they are.
        options: see :class:`RandSyntheticLesion`.

    Raises:
        ValueError: when there are several keys: each image needs a mask of its own.
    """

    backend = RandSyntheticLesion.backend

    def __init__(
        self,
        keys: KeysCollection,
        mask_key: str = "lesion",
        healthy_key: str = "healthy",
        region_key: str | None = None,
        allow_missing_keys: bool = False,
        **options: Any,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob=1.0)  # the array transform draws whether there are lesions
        if len(self.keys) != 1:
            raise ValueError(
                f"keys must be one image, as its mask is its own, got {self.keys}; use one transform each."
            )
        self.mask_key, self.healthy_key, self.region_key = mask_key, healthy_key, region_key
        self.lesion = RandSyntheticLesion(**options)

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> RandSyntheticLesiond:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.lesion.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Make the image ill and add the healthy one and the mask.

        Raises:
            KeyError: when the image or the region is missing.
        """
        d = dict(data)
        for key in self.key_iterator(d):
            result = self.lesion(d[key], None if self.region_key is None else d[self.region_key])
            d[key], d[self.healthy_key], d[self.mask_key] = result.lesioned, result.healthy, result.mask
        return d


RandSyntheticLesionD = RandSyntheticLesionDict = RandSyntheticLesiond


def _texture(kind: str | LesionTexture) -> LesionTexture:
    if not isinstance(kind, str):
        return kind
    if kind not in TEXTURES:
        extra = "; pass ForeignTexture(donors), as it needs other images" if kind == "foreign" else ""
        raise ValueError(f"unknown kind of lesion '{kind}', expected one of {list(TEXTURES)} or a texture{extra}.")
    return TEXTURES[kind]()


def _checked(region: NdarrayOrTensor, image: Tensor) -> Tensor:
    inside: Tensor = torch.as_tensor(region) > 0
    shape = tuple(image.shape[1:])
    if tuple(inside.shape) not in (shape, (1, *shape)):
        raise ValueError(f"region must be {shape} or {(1, *shape)}, as the image, got {tuple(inside.shape)}.")
    return inside.reshape(shape)
