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
from typing import Any

from ignite.engine import Engine, Events

__all__ = ["REPORTING", "SAVING", "attach_after"]

REPORTING = Events.STARTED
"""Phase of handlers that read the figures of an epoch (history, TensorBoard, the epoch line)."""

SAVING = Events.EPOCH_STARTED
"""Phase of handlers that save the state of the run; it must hold what the reporting handlers have added."""


def attach_after(engine: Engine, event: Any, handler: Callable[[Engine], None], phase: Events) -> None:
    """Attach a handler behind all that are attached before the run, whatever their order in a list.

    Ignite calls the handlers of an event in the order in which they were added. Handlers that measure are added when
    they are attached; those of :data:`REPORTING` are added when the run starts and those of :data:`SAVING` when its
    first epoch starts, so at the end of an epoch the order is always: measure, report, save.

    Args:
        engine: the trainer.
        event: the Ignite event to handle, possibly filtered (``Events.ITERATION_COMPLETED(every=10)``).
        handler: called with the engine.
        phase: :data:`REPORTING` or :data:`SAVING`.
    """
    added: list[Any] = []

    def add(engine: Engine) -> None:
        if not added:
            added.append(engine.add_event_handler(event, handler))

    engine.add_event_handler(phase, add)
