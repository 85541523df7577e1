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

import subprocess
import sys

import pytest

from monai_lamps import data


def test_a_process_that_only_reads_images_starts_without_torch_and_monai() -> None:
    program = (
        "import sys, monai_lamps.data, monai_lamps.data.verify, monai_lamps.data.__main__; "
        "print([name for name in ('torch', 'monai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_name_can_be_had_whether_imported_early_or_late() -> None:
    assert sorted(data.__all__) == data.__all__
    for name in data.__all__:
        assert getattr(data, name).__doc__
    with pytest.raises(AttributeError, match=r"module 'monai_lamps\.data' has no attribute 'Nothing'"):
        data.Nothing  # noqa: B018
