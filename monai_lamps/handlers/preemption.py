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

import contextlib
import logging
import os
import signal
import threading
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from .checkpoint import CheckpointHandler
from .late import SAVING, attach_after

__all__ = ["PreemptionHandler", "leave_signals_to_main_process"]

_LOGGER = logging.getLogger(__name__)
_SIGNALS = ("SIGTERM", "SIGUSR1", "SIGINT")


class PreemptionHandler:
    """Answers a signal of the scheduler (or Ctrl-C): finishes the step, saves a checkpoint and ends the run.

    A signal only sets a flag. After the iteration in which it came, the run is saved and terminated (``COMPLETED``
    handlers still run). When this was the last iteration of an epoch, the epoch's handlers run first, so that the
    checkpoint holds a finished epoch. ``resume="auto"`` then continues exactly. A second Ctrl-C stops at once.

    With several processes the ranks must stop together: they compare their flags every ``agree_every`` iterations and
    at the end of an epoch (one integer; reading it waits for the device, hence not in every step).

    Give the data loader ``worker_init_fn=leave_signals_to_main_process``: schedulers signal the workers too, and a dead
    worker would end the run before it is saved.

    Signals can be caught in the main thread only; elsewhere the handler warns and does nothing. The old handlers come
    back when the run ends. If it ends by an exception, the next signal finds that the run is over and goes to the old
    handler; nothing is attached to ``EXCEPTION_RAISED``, where Ignite lets only the first handler act.

    Args:
        checkpoint: the handler that saves.
        signals: names of the signals to catch.
        exit_code: of :meth:`exit_if_preempted`.
        agree_every: iterations between two comparisons of the ranks' flags.

    Raises:
        ValueError: when a signal is unknown on this machine, or ``agree_every`` is below 1.
    """

    def __init__(
        self,
        checkpoint: CheckpointHandler,
        signals: Sequence[str] = _SIGNALS,
        exit_code: int = 85,
        agree_every: int = 10,
    ) -> None:
        known = {member.name: member for member in signal.Signals}
        unknown = [name for name in signals if name not in known]
        if unknown:
            raise ValueError(f"unknown signals {unknown}; expected names like {', '.join(_SIGNALS)}.")
        if agree_every < 1:
            raise ValueError(f"agree_every must be at least 1, got {agree_every}.")
        self.checkpoint = checkpoint
        self.signals = tuple(known[name] for name in signals)
        self.exit_code = exit_code
        self.agree_every = agree_every
        self.preempted = False
        self._caught: str | None = None
        self._old: dict[signal.Signals, Any] = {}
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        """Catch signals from the start of the run to its end.

        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.STARTED, self._install)
        engine.add_event_handler(Events.COMPLETED, self._uninstall)
        attach_after(engine, Events.ITERATION_COMPLETED, self._iteration_completed, SAVING)
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, SAVING)

    def exit_if_preempted(self) -> None:
        """Leave the process with ``exit_code`` when a signal ended the run; the last thing that a bundle calls.

        Raises:
            SystemExit: when the run was preempted.
        """
        if self.preempted:
            raise SystemExit(self.exit_code)

    def _install(self, engine: Engine) -> None:
        self._caught, self.preempted, self._engine = None, False, engine
        if threading.current_thread() is not threading.main_thread():
            warnings.warn(
                "signals can be caught in the main thread only: this run will not be saved when it is preempted.",
                stacklevel=2,
            )
            return
        for number in self.signals:
            self._old.setdefault(number, signal.signal(number, self._on_signal))

    def _uninstall(self, _engine: Engine | None = None) -> None:
        while self._old:
            number, old = self._old.popitem()
            signal.signal(number, signal.SIG_DFL if old is None else old)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again = self._caught == "SIGINT" and number == signal.SIGINT
        if again or not self._running(frame):
            self._uninstall()
            os.kill(os.getpid(), number)
        else:
            self._caught = signal.Signals(number).name

    def _running(self, frame: FrameType | None) -> bool:
        """Whether the engine's run is among the callers of what the signal has interrupted."""
        while frame is not None:
            if frame.f_locals.get("self") is self._engine:
                return True
            frame = frame.f_back
        return False

    def _iteration_completed(self, engine: Engine) -> None:
        iteration, length = engine.state.iteration, engine.state.epoch_length
        if length is not None and iteration % length == 0:
            return  # the end of the epoch answers
        if idist.get_world_size() == 1 or iteration % self.agree_every == 0:
            self._answer(engine)

    def _epoch_completed(self, engine: Engine) -> None:
        if engine.state.max_epochs is None or engine.state.epoch < engine.state.max_epochs:
            self._answer(engine)

    def _answer(self, engine: Engine) -> None:
        caught: Any = self._caught is not None
        if idist.get_world_size() > 1:
            caught = idist.all_reduce(int(caught), op="MAX")
        if not caught:
            return
        _LOGGER.warning("caught %s: saving and stopping", self._caught or "a signal on another rank")
        if not self.checkpoint.saved_at(engine):
            self.checkpoint.save(engine)
        self.preempted = True
        engine.terminate()


def leave_signals_to_main_process(_worker: int) -> None:
    """A ``worker_init_fn``: data loader workers ignore the signals by which a scheduler or Ctrl-C ends a run.

    The main process ends them when it has saved, by SIGTERM, which is obeyed when it comes from there; should it be
    killed, they notice and end by themselves.

    Args:
        _worker: number of the worker, not used.
    """
    for name in _SIGNALS:
        if name == "SIGTERM":
            _end_with_the_main_process()
            continue
        with contextlib.suppress(AttributeError, ValueError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _end_with_the_main_process() -> None:
    """Take SIGTERM from the parent alone; where a signal does not tell its sender (not on POSIX), it stays as it is."""
    if not hasattr(signal, "sigwaitinfo"):
        return
    parent = os.getppid()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def wait() -> None:
        while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=wait, name="end with the main process", daemon=True).start()
