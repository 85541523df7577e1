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
"""Seeding a random transform anew for every sample, without making a generator each time."""

from __future__ import annotations

import numpy as np
from monai.transforms import Randomizable
from monai.utils import MAX_SEED

__all__ = ["Reseeded"]


class Reseeded(Randomizable):
    """A ``Randomizable`` whose generator is seeded in place.

    ``set_random_state(seed=...)`` gives the numbers that MONAI's gives, which makes a new generator for it: 60 us, as
    much as a percent of decoding a radiograph, for every transform and sample of a keyed data set. A generator that
    was given as ``state`` is used as it is and never seeded.
    """

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> Reseeded:
        """Seed the transform's own generator, or use that of the caller; see ``monai.transforms.Randomizable``."""
        own: np.random.RandomState | None = self.__dict__.get("_own_generator")
        if seed is None or own is None or not isinstance(seed, (int, np.integer)):
            super().set_random_state(seed, state)
            self._own_generator = None if seed is None else self.R
        else:
            own.seed(int(seed) % MAX_SEED)
            self.R = own
        return self
