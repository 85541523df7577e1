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
"""``python release/check.py``: is this checkout fit to be released?

The files of the checkout are copied elsewhere, an sdist and from it a wheel are built there, the wheel is installed
into an environment of its own, and the README's quickstart is run with it in an empty folder. Ends with 0, or with 1
and what is wrong, a line each.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
CARRIED = ("bundles", "comparisons", "configs")
QUICK = ("--phantoms", "32", "--epochs", "1", "--val_interval", "1")
LEFT = ("encoder.pt", "encoder.json", "metrics.json", "history.csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check; the status is 0 when nothing was found."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        try:
            findings = _check(Path(temporary), options)
        except (RuntimeError, ValueError) as error:
            findings = [str(error)]
    for finding in findings:
        print(f"release: {finding}", file=sys.stderr)
    print(f"release: {'not ' if findings else ''}fit to be released", flush=True)
    return 1 if findings else 0


def _check(work: Path, options: argparse.Namespace) -> list[str]:
    """Go on as long as it makes sense: what does not agree in the sources is told before anything is built."""
    borrow = options.dependencies == "borrow"
    source = copied_checkout(ROOT, work / "checkout")
    findings = version_findings(source)
    if findings:
        return findings
    files = _files(source)
    _say("building the sdist, and from it the wheel")
    sdist, wheel = build(source, options.out or work / "dist", isolated=not borrow)
    findings = sdist_findings(sdist, files) + wheel_findings(wheel, files)
    if findings:
        return findings
    _say(f"installing {wheel.name} into an environment of its own")
    python = environment(work / "environment", wheel, source / "constraints.txt", borrow)
    _say("running the quickstart of the README in an empty folder")
    return quickstart_findings(python, work / "elsewhere", source, options.quick)


def copied_checkout(root: Path, to: Path) -> Path:
    """Copy what git knows or would take up, so that a build sees what a clone has and leaves nothing behind.

    Raises:
        RuntimeError: outside a git checkout.
    """
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        raise RuntimeError(
            f"'{root}' is no git checkout ({listed.stderr.strip()}); clone the repository and try there."
        )
    for name in sorted(set(filter(None, listed.stdout.split("\0")))):
        if (root / name).is_file():  # one that was deleted and not committed yet is still listed
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, to / name)
    return to


def version_findings(root: Path) -> list[str]:
    """Where another version stands than in ``monai_lamps/version.py``."""
    version = _one(r'__version__ = "(.+)"', root / "monai_lamps" / "version.py")
    told = {
        "CITATION.cff": _one(r"^version: \"?([^\"\n]+)", root / "CITATION.cff"),
        "CHANGELOG.md (first section)": _one(r"^## \[?([^\]\s]+)", root / "CHANGELOG.md"),
    }
    for file in sorted(root.glob("bundles/*/configs/metadata.json")):
        needed = json.loads(file.read_text(encoding="utf-8"))["required_packages_version"]
        told[file.relative_to(root).as_posix()] = needed.get("monai_lamps", "none")
    return [
        f"{name} says version {other}, monai_lamps/version.py {version}"
        for name, other in told.items()
        if other != version
    ]


def build(source: Path, out: Path, isolated: bool) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it.

    Args:
        source: the sources.
        out: where the two files go.
        isolated: with build requirements of their own from the package index; else with those of this environment.
    """
    extra = [] if isolated else ["--no-isolation", "--skip-dependency-check"]
    _run([sys.executable, "-m", "build", "--outdir", str(out), *extra, str(source)])
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def sdist_findings(sdist: Path, files: set[str]) -> list[str]:
    """Files of the checkout that the sdist lacks."""
    with tarfile.open(sdist) as archive:
        there = {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()}
    return [f"the sdist lacks {name}" for name in sorted(files - there)]


def wheel_findings(wheel: Path, files: set[str]) -> list[str]:
    """What the wheel lacks of the package and of the bundles, and what it has that belongs to neither."""
    expected = {name for name in files if name.startswith("monai_lamps/")}
    expected |= {f"monai_lamps/_collection/{name}" for name in files if name.split("/")[0] in CARRIED}
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
    return [f"the wheel lacks {name}" for name in sorted(expected - there)] + [
        f"the wheel has {name}, which is not in the checkout" for name in sorted(there - expected)
    ]


def environment(folder: Path, wheel: Path, constraints: Path, borrow: bool) -> Path:
    """Make an environment and install the wheel.

    Args:
        folder: of the environment.
        wheel: what is installed.
        constraints: versions of its dependencies.
        borrow: take the dependencies from the environment that runs this, without the package index; packages that
            are there in editable form are not seen.

    Returns:
        Its Python.
    """
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    if not borrow:
        _run([*pip, "-c", str(constraints), str(wheel)])
        return python
    _run([*pip, "--no-deps", "--no-index", str(wheel)])
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(_run([str(python), "-c", asked]).strip())
    lent = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    lent = list(dict.fromkeys([*lent, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]))
    (packages / "borrowed.pth").write_text("".join(f"{path}\n" for path in lent))
    return python


def quickstart_findings(python: Path, folder: Path, source: Path, quick: bool) -> list[str]:
    """Hand the bundles out into a new folder, and run the quickstart there.

    Args:
        python: of the environment that the wheel is installed in.
        folder: the new folder.
        source: the checkout, whose README has the command.
        quick: one epoch of a few phantoms instead of the whole quickstart.
    """
    folder.mkdir()
    origin = _run([str(python), "-c", "import monai_lamps; print(monai_lamps.__file__)"], folder).strip()
    if not Path(origin).resolve().is_relative_to(python.parent.parent.resolve()):
        return [f"the environment imports monai_lamps from '{origin}', not from the wheel"]
    _run([str(python), "-m", "monai_lamps", "copy"], folder)
    findings = [f"the copied {name} differs from the checkout's" for name in _differing(source, folder)]
    command = quickstart_command((source / "README.md").read_text(encoding="utf-8"))
    _run([str(python), *command, *(QUICK if quick else ())], folder)
    out = folder / command[command.index("--output_dir") + 1]
    return findings + [f"the quickstart left no {name}" for name in LEFT if not (out / name).is_file()]


def quickstart_command(readme: str) -> list[str]:
    """Words of the README's quickstart after ``python``.

    Raises:
        ValueError: when the README has none.
    """
    found = re.search(r"<!-- quickstart command -->\n```bash\n(.*?)\n```", readme, flags=re.DOTALL)
    runs = [part for part in found[1].split("&&") if "-m monai.bundle run" in part] if found else []
    if len(runs) != 1:
        raise ValueError(
            "README.md needs one 'python -m monai.bundle run' in the block after <!-- quickstart command -->."
        )
    return shlex.split(runs[0])[1:]


def _differing(root: Path, folder: Path) -> list[str]:
    names = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file()]
    return [str(name) for name in names if not filecmp.cmp(root / name, folder / name, shallow=False)]


def _files(root: Path) -> set[str]:
    return {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()}


def _one(pattern: str, file: Path) -> str:
    if not file.is_file():
        return "nothing, it is missing"
    found = re.search(pattern, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return found[1] if found else "nothing"


def _run(command: list[str], folder: Path | None = None) -> str:
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{done.stdout}{done.stderr}\nended with {done.returncode}: {shlex.join(command)}")
    return done.stdout


def _say(line: str) -> None:
    print(f"release: {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python release/check.py", description=__doc__)
    parser.add_argument("--out", type=Path, help="keep the sdist and the wheel here (an empty folder)")
    parser.add_argument(
        "--dependencies",
        choices=("install", "borrow"),
        default="install",
        help="install what is needed from the package index, as a user does (default), or borrow the packages of the "
        "environment that runs this, without a network",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one epoch of 32 phantoms instead of the whole quickstart (minutes)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
