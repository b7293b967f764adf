"""Backups, restored folders and what `lade admin` says, without a client: the command works on folders."""

import hashlib
import subprocess

from support.server import Server, binary


def admin(server, *arguments, env=None, timeout_s=60):
    """Runs `lade admin` in a server's environment, with its settings."""
    return subprocess.run(
        [binary(), "admin", *map(str, arguments)], env={**server.env, **(env or {})}, timeout=timeout_s,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )


def back_up(server, to, *arguments):
    done = admin(server, "backup", to, "--data-dir", server.data_dir, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def restore(server, backup, folder, with_key=True):
    """A server, not started, on a data folder that was restored; it gets the master key of the first one."""
    restored = Server(folder, arguments=server.arguments, env={k: v for k, v in server.env.items() if k.startswith("LADE_")})
    key = ["--master-key-file", server.data_dir / "master_key"] if with_key else []
    done = admin(server, "restore", backup, "--data-dir", restored.data_dir, *key)
    assert done.returncode == 0, done.stderr
    return restored


def state(folder, but=()):
    """The content of all files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in but]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
