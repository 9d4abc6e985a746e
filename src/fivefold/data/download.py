"""Files by URL: fetched on demand, checked, cached; nothing happens at import."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import os
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fivefold.base.errors import DataError, DataUnavailableError, StorageError
from fivefold.base.files import atomic_file

TIMEOUT = 60.0  # seconds without an answer
_BLOCK = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A public file that a data set needs.

    Parameters
    ----------
    name : str
        File name in cache and mirror.
    url : str
        Where it comes from.
    hash : str
        ``"sha256:..."`` (or ``"md5:..."`` where its home publishes only that) of the file.
    member : str
        Path inside the archive at ``url``; ``"*"`` for the content of a .gz file; empty when the file itself is meant.
    content : bool
        The hash is of the content after gunzip: homes and mirrors compress the same content differently.
    """

    name: str
    url: str
    hash: str
    member: str = ""
    content: bool = False


def cache_directory() -> Path:
    """Return where downloads are kept: ``FIVEFOLD_CACHE``, by default ``~/.cache/fivefold``."""
    given = os.environ.get("FIVEFOLD_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "fivefold"


def offline() -> bool:
    """Return whether ``FIVEFOLD_OFFLINE`` forbids the network."""
    return os.environ.get("FIVEFOLD_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def digest_of(path: Path, file: RemoteFile) -> str:
    """Return the hash of ``path`` in the manner of ``file``, with its algorithm in front."""
    algorithm = file.hash.partition(":")[0]
    make = functools.partial(hashlib.md5, usedforsecurity=False) if algorithm == "md5" else hashlib.sha256
    if file.content:
        with gzip_errors(str(path)), gzip.open(path) as stream:
            return f"{algorithm}:{hashlib.file_digest(stream, make).hexdigest()}"
    with open(path, "rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, make).hexdigest()}"


def verify(path: Path, file: RemoteFile) -> None:
    """Raise unless the file has the hash on record; both are named."""
    found = digest_of(path, file)
    if found != file.hash:
        raise DataError(
            f"{path} is not the file it should be: its hash is {found}, on record is {file.hash}. Delete it to fetch it "
            f"again from {file.url}."
        )


def at_hand(dataset: str, file: RemoteFile) -> Path | None:
    """Return the path of a file that needs no download: from the mirror directory, else the cache, else None."""
    mirror = os.environ.get("FIVEFOLD_DATA_MIRROR", "")
    places = [] if not mirror or "://" in mirror else [Path(mirror).expanduser() / dataset / file.name]
    places.append(cache_directory() / "data" / dataset / file.name)
    return next((place for place in places if place.is_file()), None)


def fetch(dataset: str, file: RemoteFile) -> Path:
    """Return the checked local path of a file, downloading it on first use.

    Sources in order: the directory ``FIVEFOLD_DATA_MIRROR``, the cache, the mirror where that is a URL, the home.

    Raises
    ------
    DataError
        When the hash differs (both are named), the network is switched off or the download fails.
    """
    path = at_hand(dataset, file)
    if path is not None:
        verify(path, file)
        return path
    target = cache_directory() / "data" / dataset / file.name
    if offline():
        raise DataUnavailableError(
            f"{file.name} of the data set {dataset!r} is not at hand and FIVEFOLD_OFFLINE forbids the network; unset it, or "
            f"put the file from {file.url} at {target}."
        )
    mirror = os.environ.get("FIVEFOLD_DATA_MIRROR", "")
    with atomic_file(target) as temporary:
        if "://" in mirror:
            _write(temporary, read_url(f"{mirror.rstrip('/')}/{dataset}/{file.name}"))
        else:
            # Several files of a data set lie in one archive: it is fetched once.
            _write(temporary, _member(_archive_once(file.url), file) if file.member else read_url(file.url))
        found = digest_of(temporary, file)
        if found != file.hash:
            raise DataError(
                f"{file.name} of {dataset!r} from {mirror or file.url} is not the file on record: its hash is {found}, "
                f"expected {file.hash}. Nothing was kept; the file may have changed at its home."
            )
    return target


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StorageError(f"Cannot write {path}: {error}.") from error


def _member(data: bytes, file: RemoteFile) -> bytes:
    """Return the part of a downloaded archive that is meant."""
    try:
        if file.member == "*":
            return gzip.decompress(data)
        if file.url.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return archive.read(file.member)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            stream = tar.extractfile(file.member)
            return stream.read() if stream is not None else b""
    except (OSError, EOFError, zlib.error, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise DataError(f"The archive at {file.url} is damaged or lacks {file.member!r}: {error}.") from error


def read_url(url: str) -> bytes:
    """Return the bytes behind an http(s) or file URL.

    Raises
    ------
    DataError
        When the server refuses, does not answer, sends less than it announced, or the network is switched off.
    """
    return open_url(url)[0]


@functools.lru_cache(maxsize=2)
def _archive_once(url: str) -> bytes:
    return read_url(url)


def open_url(url: str) -> tuple[bytes, str]:
    """Return the bytes behind a URL and the content type its server stated (empty for files)."""
    scheme = urllib.parse.urlsplit(url).scheme.lower()
    if scheme == "file":
        path = file_url_path(url)
        try:
            return path.read_bytes(), ""
        except OSError as error:
            raise DataError(f"Cannot read {url}: {error.strerror or error}.") from error
    if scheme not in ("http", "https"):
        raise DataError(f"Cannot read {public_url(url)}: {scheme}:// is not supported; use http, https or file.")
    here = urllib.parse.urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")  # this machine is no network
    if offline() and not here:
        raise DataUnavailableError(
            f"Cannot read {public_url(url)}: FIVEFOLD_OFFLINE forbids the network; unset it or give a file."
        )
    return _download(url)


def _download(url: str) -> tuple[bytes, str]:
    request = urllib.request.Request(url, headers={"User-Agent": "fivefold"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            parts: list[bytes] = []
            while block := answer.read(_BLOCK):
                parts.append(block)
            data = b"".join(parts)
            length = answer.headers.get("Content-Length")
            kind = answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        raise DataError(f"Cannot read {public_url(url)}: the server answered {error.code} {error.reason}.") from error
    except (urllib.error.URLError, TimeoutError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataUnavailableError(f"Cannot read {public_url(url)}: {reason}.") from error
    if length is not None and int(length) != len(data):
        raise DataError(f"Cannot read {public_url(url)}: {len(data):,} of {int(length):,} bytes came; try again.")
    return data, kind


def file_url_path(url: str) -> Path:
    """Return the path that a file URL means."""
    return Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))


def public_url(url: str) -> str:
    """Return a URL without its password and query secrets, for messages."""
    scheme, mark, rest = url.partition("?")[0].partition("#")[0].partition("://")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    name = f"{user.partition(':')[0]}:***" if at else ""
    return f"{scheme}{mark}{name}{at}{host}{slash}{path}"


@contextmanager
def gzip_errors(label: str) -> Iterator[None]:
    """Turn what gzip raises for truncated and damaged streams into one sentence."""
    try:
        yield
    except EOFError as error:
        raise DataError(f"{label} is truncated: its gzip stream ends too early; copy or download it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{label} is not a sound gzip file: {error}; copy or download it again.") from error
