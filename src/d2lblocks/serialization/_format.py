"""Named tensors in a safetensors file with checksums, which show whether it is damaged.

The file is plain safetensors, which many programs read. Its metadata holds the further names of shared
tensors, as `safetensors.torch.save_model` writes them. The key `d2lblocks` holds our own data: the same
names, the checksums of the tensors, and the notes. Another key holds the checksum of that text.
"""

import ctypes
import json
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import accumulate, pairwise
from typing import Any, BinaryIO

import safetensors
import torch
import xxhash
from torch import Tensor

from ._file_kinds import SAFETENSORS, kind_of_file, open_to_read
from ._files import FilePath
from .errors import DamagedFileError

_OURS = "d2lblocks"
_OURS_CHECKSUM = "d2lblocks.xxh3_64"
_CHUNK = 2**20  # bytes: small enough to be still in the cache after hashing, when it is written
_MAX_HEADER = 100_000_000  # bytes: the limit of programs that read the format
_NO_NAME = re.compile("__metadata__|.*[\ud800-\udfff].*", re.DOTALL)  # a reserved name, or not valid UTF-8


def write(
    file: BinaryIO,
    tensors: Mapping[str, Tensor],
    ties: Mapping[str, str],
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write tensors, the further names of shared tensors, and notes, which must be valid JSON.

    Tensors on other devices are copied to the CPU one at a time.
    """
    for name in (*tensors, *ties):
        if _NO_NAME.fullmatch(name):
            raise ValueError(f"cannot save {name!r}: safetensors does not allow such a name")
    # Wider types come first, so that each tensor starts at a multiple of its width.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    entries = dict(zip(names, _entries([tensors[name] for name in names]), strict=True))
    checksums = dict.fromkeys(names, xxhash.xxh3_64_hexdigest(b""))
    ours = {"ties": ties, "xxh3_64": checksums, "notes": notes}
    start = file.tell()
    file.write(_header(entries, ties, ours))  # a placeholder of the same length; the real one comes last
    for name in names:
        values = _values(tensors[name])
        digest = _digest(values)
        for at in range(0, values.nbytes, _CHUNK):
            chunk = bytes(_bytes(values)[at : at + _CHUNK])  # another thread may be changing the tensor
            digest.update(chunk)
            file.write(chunk)
        checksums[name] = digest.hexdigest()
    end = file.tell()
    file.seek(start)
    file.write(_header(entries, ties, ours))
    file.seek(end)


def _entries(tensors: list[Tensor]) -> Iterator[dict[str, Any]]:
    """Yield the header's entry for each tensor, if the tensors are stored one after another."""
    ends = [0, *accumulate(tensor.nbytes for tensor in tensors)]
    for tensor, offsets in zip(tensors, pairwise(ends), strict=True):
        dtype, numbers = _code(tensor.dtype)
        *first, last = tensor.shape or [1]
        shape = [*first, last * numbers] if tensor.ndim else []
        yield {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _header(entries: Mapping[str, Any], ties: Mapping[str, str], ours: Mapping[str, Any]) -> bytes:
    """The length of the header and the header itself: JSON, padded with spaces to a multiple of 8 bytes."""
    text = json.dumps(ours)
    metadata = {"format": "pt", **ties, _OURS: text, _OURS_CHECKSUM: xxhash.xxh3_64_hexdigest(text.encode())}
    header = json.dumps({"__metadata__": metadata, **entries}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > _MAX_HEADER:
        found = f"names and values that are not tensors take {len(header):,} bytes"
        raise ValueError(f"cannot save: {found}, and safetensors has a place for {_MAX_HEADER:,}")
    return len(header).to_bytes(8, "little") + header


def _digest(values: Tensor) -> xxhash.xxh3_64:
    """Start a checksum with the type and the shape of a tensor; its bytes are added later."""
    return xxhash.xxh3_64(f"{values.dtype} {list(values.shape)}".encode())


@cache
def _code(dtype: torch.dtype) -> tuple[str, int]:
    """The format's name for a type, and how many numbers of the file make up one of torch's."""
    one = torch.empty(dtype.itemsize, dtype=torch.uint8, device="cpu")
    name = str(dtype).removeprefix("torch.")
    spec = safetensors.TensorSpec(dtype=name, shape=[1], data_ptr=one.data_ptr(), data_len=one.nbytes)
    header = safetensors.serialize({"": spec}, {})[8:].partition(b"}}")[0] + b"}}"
    entry = json.loads(header)[""]
    return entry["dtype"], entry["shape"][0]


def has_code(dtype: torch.dtype) -> bool:
    """Whether the installed version of safetensors can write a type."""
    try:
        _code(dtype)
    except Exception:
        return False
    return True


@cache
def _dtypes() -> dict[str, tuple[torch.dtype, int]]:
    """A dict from the format's names to types, the inverse of `_code`."""
    dtypes = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    codes = {dtype: _code(dtype) for dtype in dtypes if has_code(dtype)}
    return {code: (dtype, numbers) for dtype, (code, numbers) in codes.items()}


def _values(tensor: Tensor) -> Tensor:
    """The values of a tensor, contiguous and on the CPU."""
    return tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()


def _bytes(values: Tensor) -> memoryview:
    """The memory of a tensor returned by `_values`. The tensor must live longer than this view."""
    return memoryview((ctypes.c_ubyte * values.nbytes).from_address(values.data_ptr())).cast("B")


class FileContent:
    """The content of a file: its names, which of them share a tensor, and the tensors, read on demand."""

    notes: Any
    checksums: dict[str, str] | None

    def __init__(self, path: FilePath, content: mmap.mmap) -> None:
        self._path = path
        self._content = content
        self._start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : self._start])
        metadata: dict[str, str] = header.pop("__metadata__", None) or {}
        self._entries: dict[str, dict[str, Any]] = header
        self._tensors: dict[str, Tensor] = {}
        self.ties = {name: first for name, first in metadata.items() if first in header}
        self.notes = self.checksums = None
        if (text := metadata.get(_OURS)) is not None:
            if xxhash.xxh3_64_hexdigest(text.encode()) != metadata[_OURS_CHECKSUM]:
                raise ValueError("its metadata have changed since it was written")
            ours = json.loads(text)
            self.ties, self.notes, self.checksums = dict(ours["ties"]), ours["notes"], dict(ours["xxh3_64"])
            if {*self.checksums, *self.ties.values()} != header.keys():
                raise ValueError("its names have changed since it was written")
        self.names = header.keys() | self.ties.keys()

    def __getitem__(self, name: str) -> Tensor:
        """A tensor in the mapped memory of the file. Writing to the tensor does not change the file."""
        first = self.ties.get(name, name)
        if first not in self._tensors:
            try:
                self._tensors[first] = self._tensor(**self._entries[first])
            except Exception as error:  # for example, torch does not have its type
                reason = f"'{first}' cannot be read: {error!r}"
                raise DamagedFileError(f"cannot load {os.fspath(self._path)}: {reason}") from error
        return self._tensors[first]

    def _tensor(self, dtype: str, shape: list[int], data_offsets: tuple[int, int]) -> Tensor:
        kind, numbers = _dtypes()[dtype]
        start, end = data_offsets
        if numbers > 1:
            shape = [*shape[:-1], shape[-1] // numbers]
        if start == end:
            return torch.empty(shape, dtype=kind, device="cpu")
        # Several times as fast as `get_tensor` of safetensors, which matters for thousands of tensors.
        count, offset = (end - start) // kind.itemsize, self._start + start
        return torch.frombuffer(self._content, dtype=kind, count=count, offset=offset).view(shape)

    def verify(self) -> None:
        """Compare every tensor with its checksum, which reads the file once."""
        if self.checksums is None:
            remedy = "verify=False loads it unverified"
            raise DamagedFileError(f"cannot verify {os.fspath(self._path)}: it has no checksums: {remedy}")
        content = memoryview(self._content)
        for name, checksum in self.checksums.items():
            start, end = self._entries[name]["data_offsets"]
            digest = _digest(self[name])
            digest.update(content[self._start + start : self._start + end])
            if digest.hexdigest() != checksum:
                raise DamagedFileError(f"cannot load {os.fspath(self._path)}: '{name}' is damaged")


@contextmanager
def reading(path: FilePath) -> Iterator[FileContent]:
    with open_to_read(path) as file:
        # The descriptor still refers to this file, even if another file has replaced it at the path.
        number = f"/dev/fd/{file.fileno()}"
        try:
            # The library checks the header: all tensors are inside the file, and none overlap.
            with safetensors.safe_open(number if os.path.exists(number) else path, framework="pt"):
                pass
            content = FileContent(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        except Exception as error:
            reason = f"it is not a safetensors file, or it is damaged: {error}"
            if kind := kind_of_file(path, but=SAFETENSORS):
                reason = f"it is {kind}"
            raise DamagedFileError(f"cannot load {os.fspath(path)}: {reason}") from error
        yield content
