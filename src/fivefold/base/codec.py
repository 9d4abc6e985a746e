"""Persistence: nested state as ``config.json`` + ``arrays.safetensors`` + ``manifest.json``.

A directory is written whole or not at all. Its manifest carries the format version and the SHA-256 of both files, so a
truncated or edited directory is refused before anything is read. Loading builds only classes that an installed card names
or that derive from :class:`Stateful`; nothing that a file says is ever executed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from .cards import all_cards
from .errors import ArtifactError, InputTypeError, StorageError
from .files import atomic_directory, recover_directory

FORMAT = "fivefold"
VERSION = 1


class Stateful:
    """A class whose instances can be saved: its state is nested plain values, arrays and other stateful objects."""

    def get_state(self) -> dict[str, Any]:
        """Return everything needed to build an equal object; by default the instance's attributes."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Any:
        """Build the object from what :meth:`get_state` returned."""
        self = cls.__new__(cls)
        vars(self).update(state)
        return self


class _Writer:
    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._seen: dict[int, str] = {}
        self._keep: list[Any] = []  # objects whose id() is in _seen must stay alive

    def encode(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, np.generic):
            return (
                {"$scalar": self.encode(value.item(), path), "dtype": value.dtype.str}
                if value.dtype.kind in "biuf"
                else self._odd_scalar(value, path)
            )
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, np.ndarray):
            return self._array(value, path)
        if isinstance(value, (list, tuple, set, frozenset)):
            items = [
                self.encode(v, f"{path}[{i}]")
                for i, v in enumerate(sorted(value) if isinstance(value, (set, frozenset)) else value)
            ]
            return (
                items
                if isinstance(value, list)
                else {f"${type(value).__name__}": items}
                if type(value) in (tuple, set, frozenset)
                else self._refuse(value, path)
            )
        if isinstance(value, dict):
            if all(isinstance(k, str) and not k.startswith("$") for k in value):
                return {k: self.encode(v, f"{path}.{k}") for k, v in value.items()}
            return {
                "$dict": [[self.encode(k, f"{path} key"), self.encode(v, f"{path}[{k!r}]")] for k, v in value.items()]
            }
        if isinstance(value, Stateful):
            cls = type(value)
            return {"$object": f"{cls.__module__}:{cls.__qualname__}", "state": self.encode(value.get_state(), path)}
        if type(value).__module__.startswith("torch") and hasattr(value, "detach"):
            return self._tensor(value, path)
        if hasattr(value, "tocsr") and hasattr(value, "nnz"):
            csr = value.tocsr()
            parts = {"data": csr.data, "indices": csr.indices, "indptr": csr.indptr}
            return {
                "$sparse": {k: self._array(v, f"{path}.{k}") for k, v in parts.items()},
                "shape": list(csr.shape),
                "format": value.format,
                "array": type(value).__name__.endswith("array"),
            }
        return self._refuse(value, path)

    def _refuse(self, value: Any, path: str) -> Any:
        raise InputTypeError(
            f"Cannot save the attribute {path}: it is a {type(value).__module__}.{type(value).__qualname__}; "
            "only plain values, arrays, tensors and fivefold's own objects are stored."
        )

    def _odd_scalar(self, value: np.generic, path: str) -> Any:
        return {"$item": self._array(np.asarray(value), path)}

    def _array(self, value: np.ndarray, path: str) -> Any:
        if value.dtype.kind in "mM":
            return {"$array": self._store(value.view(np.int64)), "view": value.dtype.str}
        if value.dtype.kind in "US":
            return {
                "$strings": value.ravel().tolist()
                if value.dtype.kind == "U"
                else [v.decode("latin1") for v in value.ravel()],
                "shape": list(value.shape),
                "dtype": value.dtype.str,
            }
        if value.dtype.kind == "O":
            return {
                "$objects": [self.encode(v, f"{path}[{i}]") for i, v in enumerate(value.ravel())],
                "shape": list(value.shape),
            }
        if value.dtype.names:
            return {
                "$record": {n: self._array(np.ascontiguousarray(value[n]), f"{path}.{n}") for n in value.dtype.names},
                "dtype": np.lib.format.dtype_to_descr(value.dtype),
                "shape": list(value.shape),
            }
        if value.dtype.kind not in "biuf":
            self._refuse(value, path)
        return {"$array": self._store(value)}

    def _store(self, value: np.ndarray) -> str:
        # safetensors writes the bytes of strided arrays as they lie in memory, which silently corrupts them.
        known = self._seen.get(id(value))
        if known is not None:
            return known
        name = f"a{len(self.arrays)}"
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        self.arrays[name] = np.ascontiguousarray(native).reshape(value.shape)
        self._seen[id(value)] = name
        self._keep.append(value)
        return name

    def _tensor(self, value: Any, path: str) -> Any:
        import torch

        if not isinstance(value, torch.Tensor):
            self._refuse(value, path)
        known = self._seen.get(id(value))
        if known is None:
            flat = value.detach().cpu().contiguous()
            array = flat.view(torch.int16).numpy() if value.dtype == torch.bfloat16 else flat.numpy()
            known = self._store(array)
            self._seen[id(value)] = known
            self._keep.append(value)
        return {"$tensor": known, "dtype": str(value.dtype).removeprefix("torch.")}


def _own_class(path: str, where: Path) -> type[Stateful]:
    module, _, name = path.partition(":")
    carded = {p for card in all_cards().values() for p in card.factory.values()}
    if path not in carded and module.split(".")[0] not in {"fivefold", *(c.origin for c in all_cards().values())}:
        raise ArtifactError(
            f"{where} wants to build {path!r}, which no installed card names; install the package that brings it."
        )
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ArtifactError(
            f"{where} wants to build {path!r}, which this version of fivefold does not have."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Stateful)):
        raise ArtifactError(f"{where} wants to build {path!r}, which is not a class that fivefold saves.")
    return found


class _Reader:
    def __init__(self, arrays: dict[str, np.ndarray], where: Path) -> None:
        self.arrays = arrays
        self.where = where
        self.tensors: dict[tuple[str, str], Any] = {}

    def decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.decode(v) for v in value]
        if not isinstance(value, dict):
            return value
        tag = next((k for k in value if k.startswith("$")), None)
        if tag is None:
            return {k: self.decode(v) for k, v in value.items()}
        body = value[tag]
        if tag == "$float":
            return float(body)
        if tag == "$scalar":
            return np.dtype(value["dtype"]).type(self.decode(body))
        if tag == "$item":
            return self.decode(body)[()]
        if tag == "$array":
            array = self.arrays[body]
            return array.view(value["view"]) if "view" in value else array
        if tag == "$strings":
            dtype = np.dtype(value["dtype"])
            items = body if dtype.kind == "U" else [v.encode("latin1") for v in body]
            return np.array(items, dtype=dtype).reshape(value["shape"])
        if tag == "$objects":
            array = np.empty(len(body), dtype=object)
            array[:] = [self.decode(v) for v in body]
            return array.reshape(value["shape"])
        if tag == "$record":
            record = np.empty(
                value["shape"], dtype=[tuple(f) if len(f) == 2 else (f[0], f[1], tuple(f[2])) for f in value["dtype"]]
            )
            for name, field in body.items():
                record[name] = self.decode(field)
            return record
        if tag == "$tensor":
            return self._tensor(body, value["dtype"])
        if tag == "$sparse":
            import scipy.sparse

            parts = [self.decode(body[k]) for k in ("data", "indices", "indptr")]
            make = scipy.sparse.csr_array if value["array"] else scipy.sparse.csr_matrix
            return make(tuple(parts), shape=tuple(value["shape"])).asformat(value["format"])
        if tag in ("$tuple", "$set", "$frozenset"):
            return {"$tuple": tuple, "$set": set, "$frozenset": frozenset}[tag](self.decode(v) for v in body)
        if tag == "$dict":
            return {self.decode(k): self.decode(v) for k, v in body}
        if tag == "$object":
            return _own_class(body, self.where).from_state(self.decode(value["state"]))
        raise ArtifactError(
            f"{self.where} holds the unknown tag {tag!r}; it was written by a newer fivefold or by something else."
        )

    def _tensor(self, name: str, dtype: str) -> Any:
        import torch

        key = (name, dtype)
        if key not in self.tensors:  # one tensor for all its names, so tied weights stay tied
            plain = torch.from_numpy(np.array(self.arrays[name]))
            self.tensors[key] = plain.view(torch.bfloat16) if dtype == "bfloat16" else plain
        return self.tensors[key]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(
    value: Any, directory: str | os.PathLike[str], *, schema_hash: str | None = None, meta: dict[str, Any] | None = None
) -> Path:
    """Save nested state to ``directory``, replacing what was there atomically.

    Parameters
    ----------
    value : nested plain values, arrays, tensors, sparse matrices and :class:`Stateful` objects
    directory : path
    schema_hash : str, optional
        Hash of the data schema the value was fitted with.
    meta : dict of plain values, optional
        Facts for people and listings; not needed to load.

    Raises
    ------
    InputTypeError
        When something foreign is inside; the message names the attribute.
    StorageError
        When the disk refuses; what was there before is intact.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    target = Path(directory)
    writer = _Writer()
    name = type(value).__name__
    tree = writer.encode(value, name)
    with atomic_directory(target) as temporary:
        (temporary / "config.json").write_text(json.dumps(tree, ensure_ascii=False, allow_nan=False), encoding="utf8")
        try:
            save_file(writer.arrays, temporary / "arrays.safetensors")
        except (OSError, SafetensorError) as error:
            raise StorageError(f"Cannot write {target}: {error}; what was there before is intact.") from error
        from fivefold import __version__

        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "fivefold": __version__,
            "schema": schema_hash,
            "meta": meta or {},
            "sha256": {file: _sha256(temporary / file) for file in ("config.json", "arrays.safetensors")},
        }
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf8")
    return target


def read_manifest(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the manifest of a saved directory after checking that the directory is whole."""
    target = recover_directory(directory)
    if not target.is_dir():
        raise ArtifactError(
            f"There is no saved model at {target}; give the directory that `save` or `fivefold run` wrote."
        )
    try:
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"{target} is not a directory that fivefold saved: its manifest.json cannot be read."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactError(f"{target} is not a directory that fivefold saved: its manifest.json names another format.")
    if manifest.get("version", 0) > VERSION:
        raise ArtifactError(
            f"{target} has format version {manifest['version']}, this fivefold reads up to {VERSION}; upgrade fivefold."
        )
    for file in ("config.json", "arrays.safetensors"):
        stated = manifest.get("sha256", {}).get(file)
        if not (target / file).is_file() or stated != _sha256(target / file):
            raise ArtifactError(
                f"{target / file} is missing or was changed after it was saved: its SHA-256 differs from the manifest."
            )
    return manifest


def load(directory: str | os.PathLike[str]) -> Any:
    """Return what :func:`save` stored.

    Raises
    ------
    ArtifactError
        When the directory is missing, foreign, truncated, edited or of a newer format.
    """
    from safetensors.numpy import load_file

    read_manifest(directory)
    target = Path(directory)
    tree = json.loads((target / "config.json").read_text(encoding="utf8"))
    arrays = load_file(target / "arrays.safetensors")
    try:
        return _Reader(arrays, target).decode(tree)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{target} cannot be read: {type(error).__name__}: {error}.") from error
