"""Folders that stand whole or not at all, each worked on by one process at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

__all__ = ["empty", "lock_folder", "put_in_place", "recover"]


def lock_folder(folder: Path) -> int | None:
    """Makes a folder and locks it for this process.

    The lock is the kernel's: it ends with the process, however that ends, and is not inherited by
    the processes that this one starts.

    Args:
        folder: Made where it is missing.

    Returns:
        An open file descriptor that holds the lock until it is closed, or None where another
        holder has it.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # renamed by its holder a moment ago
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        if _stands_at(folder, handle):
            return handle
        os.close(handle)


def empty(folder: Path) -> None:
    """Removes everything inside a folder; the folder itself stays, and with it a lock on it."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def put_in_place(fresh: Path, target: Path) -> None:
    """Renames a whole folder to ``target``; what stood there is removed once the new one stands.

    A kill between the two renames leaves the old folder aside; :func:`recover` brings it back.
    """
    aside = _aside(target)
    if target.exists():
        target.rename(aside)
    try:
        fresh.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def recover(target: Path) -> None:
    """Ends a replacement that was killed: the old folder comes back, or goes where a new stands."""
    aside = _aside(target)
    if not aside.exists():
        return
    if target.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(target)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old.partial")


def _stands_at(folder: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False
