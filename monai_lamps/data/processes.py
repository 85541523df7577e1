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
"""Fresh processes that read files: they start without torch and MONAI, and one that dies takes one file with it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Any

__all__ = ["default_workers", "map_in_processes", "serve"]

_AHEAD = 4  # chunks under way for every process: enough that none waits, few enough for the memory
_PATIENCE = 10  # seconds for a process to end by itself
_ENDED = (OSError, EOFError, pickle.UnpicklingError)  # what reading from or writing to a dead process gives
_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from monai_lamps.data.processes import serve; serve()"
)


def default_workers(most: int = 4) -> int:
    """How many processes load data where nobody says it: one for each core that this process may use.

    Args:
        most: the limit, where there are many cores.

    Returns:
        from 1 to ``most``; with more than there are cores PyTorch warns.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(most, cores)


def map_in_processes(
    function: Callable[[Any], Any],
    chunks: Iterable[Sequence[Any]],
    workers: int,
    lost: Callable[[Any, str], Any],
) -> Iterator[list[Any]]:
    """Apply a function to every value, in fresh Python processes.

    `concurrent.futures` would import the main module of this process again in every worker (MONAI and torch, five
    seconds each, when a bundle runs), and gives up all work under way when a single worker dies. Here a process
    imports the module of the function and nothing else, needs no ``__main__`` guard, and is replaced when it dies.

    Args:
        function: of one value; importable, picklable, like the values and what it returns.
        chunks: values that one process gets at a time; taken as they are needed, a few ahead of what is yielded.
        workers: number of processes, > 0.
        lost: gives the answer for a value whose reading ended the process, from the value and the exit status in words.

    Yields:
        the answers to each chunk, in the order of the chunks.

    Raises:
        OSError: when a process cannot be started, or cannot import the function; the reason is on its stderr.
    """
    children = [_Child(function) for _ in range(workers)]
    idle: SimpleQueue[_Child] = SimpleQueue()
    for child in children:
        idle.put(child)

    def work(chunk: Sequence[Any]) -> list[Any]:
        child = idle.get()
        try:
            return _answers(child, chunk, lost)
        finally:
            idle.put(child)

    threads = ThreadPoolExecutor(workers)
    try:
        waiting = iter(chunks)
        under_way: deque[Future[list[Any]]] = deque(threads.submit(work, c) for c in islice(waiting, _AHEAD * workers))
        while under_way:
            answers = under_way.popleft().result()
            under_way.extend(threads.submit(work, chunk) for chunk in islice(waiting, 1))
            yield answers
    finally:
        for child in children:
            child.kill()
        threads.shutdown(cancel_futures=True)
        for child in children:
            child.end()


def _answers(child: _Child, chunk: Sequence[Any], lost: Callable[[Any, str], Any]) -> list[Any]:
    answers: list[Any] = []
    while len(answers) < len(chunk):
        answers += child.map(chunk[len(answers) :])
        if len(answers) < len(chunk):
            answers.append(lost(chunk[len(answers)], child.end()))
    return answers


class _Child:
    """A process that applies a function to chunks, started when the first one comes, and again after it has died."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.process: subprocess.Popen[bytes] | None = None
        self.wanted = True

    def map(self, chunk: Sequence[Any]) -> list[Any]:
        """The function's value for each value of a chunk, as far as the process lives."""
        if self.process is None:
            self._start()
        answers: list[Any] = []
        try:
            self._send(chunk)
            answers.extend(self._receive() for _ in chunk)
        except _ENDED:
            pass
        return answers

    def kill(self) -> None:
        """Stop the process, which wakes whoever waits for its answer, and let no other follow it."""
        self.wanted = False
        process = self.process
        if process is not None:
            process.kill()

    def _start(self) -> None:
        if not sys.executable:
            raise OSError("this Python does not know its own executable")
        self.process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not self.wanted:
            self.process.kill()
        try:
            self._send(sys.path)
            self._send(self.function)
            self._receive()
        except _ENDED as error:
            raise OSError(f"a reading process did not start ({self.end()})") from error

    def end(self) -> str:
        """Clear the process away; its exit status in words."""
        process, self.process = self.process, None
        if process is None:
            return ""
        try:
            process.communicate(timeout=_PATIENCE)  # it ends when its stdin does
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        code = process.returncode
        return f"exit status {code}" if code >= 0 else f"signal {-code}"

    def _send(self, value: Any) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(pickle.dumps(value))
        self.process.stdin.flush()

    def _receive(self) -> Any:
        assert self.process is not None
        assert self.process.stdout is not None
        return pickle.load(self.process.stdout)


def serve() -> None:
    """What a process does: a function comes through stdin, then chunks; answers go to stdout until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoder prints must not get between the answers
    function = pickle.load(sys.stdin.buffer)
    pickle.dump(True, answers)
    answers.flush()
    while True:
        try:
            chunk = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        for value in chunk:
            pickle.dump(function(value), answers)
            answers.flush()
