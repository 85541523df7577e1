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
import gc
import logging
import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow

from .bundle_ids import config_files, known_ids
from .plan import EVALUATE
from .readings import is_trained
from .run import Record, Run, portable

__all__ = ["BundleRunner"]


@dataclass(frozen=True)
class BundleRunner:
    """Makes a run with a bundle, in this process: training, then each evaluation of ``best.pt`` that is missing.

    A training that was begun goes on as the bundle's own resume does it. What is printed goes to ``run.log`` in the
    run's folder. When all is done ``checkpoints`` is deleted, since a finished run is never gone on with, and the
    networks too unless the run keeps them.

    Args:
        bundle: folder of the bundle.
    """

    bundle: Path

    def __call__(self, run: Run) -> None:
        """Make a run.

        Args:
            run: what to do; its folder is there.

        Raises:
            SystemExit: when a signal ended the training, which was saved.
            RuntimeError: when the training ended before its end, or ``best.pt`` is not there to be judged.
        """
        with _logged(run.folder / "run.log"):
            if not is_trained(run.folder):
                self._train(run)
            for name in run.missing_evaluations:
                self._evaluate(run, name)
        shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)
        for network in () if run.keep_networks else ("best.pt", "last.pt"):
            (run.folder / network).unlink(missing_ok=True)

    def _train(self, run: Run) -> None:
        self._work([str(file) for file in run.config], "train", {**run.settings, "output_dir": str(run.folder)})
        if not is_trained(run.folder):
            raise RuntimeError(
                f"the training ended, but '{run.folder / 'metrics.json'}' does not say that it is finished; see "
                f"'{run.folder / 'run.log'}'."
            )

    def _evaluate(self, run: Run, name: str) -> None:
        """Overrides of the training that the evaluation knows too (where the data lie, the device) hold there."""
        network, folder = run.folder / "best.pt", run.evaluation_folder(name)
        if not network.is_file():
            raise RuntimeError(
                f"'{network}' is not there, so evaluation '{name}' cannot be made; delete '{run.folder}' to train it "
                "again, and leave keep_networks of the plan at true."
            )
        files = config_files(self.bundle, [EVALUATE])
        shared = {key: value for key, value in run.settings.items() if key.split("#")[0] in known_ids(files)}
        overrides = {**shared, **run.evaluations[name], "network_file": str(network), "output_dir": str(folder)}
        shutil.rmtree(folder, ignore_errors=True)
        self._work([str(files[0])], "infer", overrides)
        record = Record.read(run.folder)
        record.evaluations[name] = portable(run.evaluations[name])
        record.write(run.folder)

    def _work(self, files: list[str], kind: str, overrides: Mapping[str, Any]) -> None:
        """As ``monai.bundle run`` does it."""
        workflow = ConfigWorkflow(files, workflow_type=kind, **{"bundle_root": str(self.bundle), **overrides})
        try:
            workflow.initialize()
            workflow.run()
            workflow.finalize()
        finally:
            del workflow
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what is printed or logged to a file, and undo what a bundle does to the logging of this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with open(path, "a", encoding="utf-8") as file:
        root.handlers = [logging.StreamHandler(file)]
        root.setLevel(logging.INFO)
        moved = [(handler, handler.setStream(file)) for handler in _screens(sys.stdout, sys.stderr)]
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        except BaseException:
            traceback.print_exc(file=file)
            raise
        finally:
            root.handlers, root.level = handlers, level
            for handler, stream in moved:
                handler.setStream(stream)
            _forget(file)


def _loggers() -> list[logging.Logger]:
    return [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]


def _screens(*streams: Any) -> list[Any]:
    """Handlers of single loggers that write to one of these streams, such as those of MONAI's own."""
    found = [handler for logger in _loggers() for handler in logger.handlers]
    return [each for each in dict.fromkeys(found) if type(each) is logging.StreamHandler and each.stream in streams]


def _forget(stream: Any) -> None:
    """Take away the handlers that write to a stream which is about to be closed."""
    for logger in _loggers():
        logger.handlers = [handler for handler in logger.handlers if getattr(handler, "stream", None) is not stream]
