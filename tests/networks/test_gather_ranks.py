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

from collections.abc import Callable

import torch

from monai_lamps.networks import gather_ranks


def test_one_process_gets_its_own_tensor_uncopied_and_without_gradient() -> None:
    x = torch.randn(2, 3, requires_grad=True)
    assert gather_ranks(x).data_ptr() == x.data_ptr()
    assert not gather_ranks(x).requires_grad


def test_two_processes_get_the_tensors_of_both_in_the_order_of_the_ranks(on_two_ranks: Callable) -> None:
    both = torch.arange(4 * 3 * 2).reshape(4, 3, 2)

    def work(rank: int) -> None:
        mine = both[2 * rank : 2 * rank + 2]
        assert torch.equal(gather_ranks(mine), both)
        assert torch.equal(gather_ranks(mine.transpose(1, 2)), both.transpose(1, 2))  # not contiguous
        assert gather_ranks(mine.bfloat16().requires_grad_()).dtype == torch.bfloat16

    on_two_ranks(work)
