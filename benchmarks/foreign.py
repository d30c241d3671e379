"""Peers with pins of their own: each gets a virtual environment, made on demand, and a script that runs in it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SCRIPTS: Final = Path(__file__).parent / "foreign_scripts"
ENVIRONMENTS: Final = Path.home() / ".cache" / "beton-benchmarks"
INSTALL_LIMIT_S: Final = 600
RUN_LIMIT_S: Final = 600


@dataclass(frozen=True)
class Peer:
    """A library with its pinned version, and the script that times it."""

    library: str
    version: str

    @property
    def pin(self) -> str:
        return f"{self.library}=={self.version}"


PYSUBGROUP: Final = Peer("pysubgroup", "0.9.0")
TSFRESH: Final = Peer("tsfresh", "0.21.2")


def environment(peer: Peer, root: Path) -> Path | str:
    """Return the peer's interpreter, installing it if need be, or why there is none."""
    folder = root / peer.pin
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    if stamp.exists():
        return python
    commands = (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", peer.pin],
    )
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_LIMIT_S)
        except (subprocess.SubprocessError, OSError) as problem:
            said = (getattr(problem, "stderr", None) or str(problem)).strip().splitlines()
            return said[-1] if said else "no reason given"
    stamp.touch()
    return python


def ready(peer: Peer, root: Path | None) -> Path | None:
    """Return the peer's interpreter below ``root``; None, and a line that says why, where there is none."""
    python = "not asked for" if root is None else environment(peer, root)
    if isinstance(python, Path):
        return python
    print(f"Skipped {peer.pin}: {python}", file=sys.stderr, flush=True)
    return None


def ask(peer: Peer, python: Path, arrays: dict[str, NDArray[Any]], **options: Any) -> dict[str, Any]:
    """Run the peer's script on arrays and return the JSON that it prints.

    Raises:
        RuntimeError: it failed or took too long; the text says how.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arrays.npz"
        np.savez(file, **arrays)
        command = [str(python), str(SCRIPTS / f"time_{peer.library}.py"), str(file), json.dumps(options)]
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=RUN_LIMIT_S)
        except subprocess.TimeoutExpired as problem:
            raise RuntimeError(f"{peer.pin} took more than {RUN_LIMIT_S} s") from problem
        except subprocess.CalledProcessError as problem:
            raise RuntimeError(f"{peer.pin} failed: {problem.stderr.strip().splitlines()[-1]}") from problem
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
