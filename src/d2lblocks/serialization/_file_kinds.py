"""Files of other kinds, recognized by their content, and the programs that open them."""

import errno
import json
import os
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ._files import FilePath

SAFETENSORS = "a safetensors file"
TORCH_SAVE = "a file of torch.save"
_OPENED_BY = {
    SAFETENSORS: "load_parameters loads it into a net, safetensors.torch.load_file gives its tensors",
    TORCH_SAVE: "torch.load reads it, and net.load_state_dict takes the state_dict from it",
    "a TorchScript archive": "torch.jit.load opens it",
    "a torch.export archive": "torch.export.load opens it",
    "a pickle": "pickle.load reads it, and runs the code in it, so only do that if you trust its source",
    "a Git LFS pointer": "git lfs pull puts the file in its place",
    "a GGUF file": "llama.cpp reads it, and so does transformers",
    "an ONNX model": "onnx.load reads it, and onnxruntime runs it",
    "an HDF5 file": "h5py reads it, and Keras if it is one of its models",
    "a Keras model": "keras.models.load_model reads it",
    "a TensorFlow Lite model": "TensorFlow Lite runs it",
    "a NumPy file": "numpy.load reads it",
    "a web page": "the link was to a page about the file, so download the file itself",
    "a compressed file": "unpack it first",
    "an archive": "unpack it first",
    "empty": "the program that wrote it was stopped, or the disk was full",
}
_BEGINNINGS = {
    b"version https://git-lfs": "a Git LFS pointer",
    b"GGUF": "a GGUF file",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": TORCH_SAVE,  # the format before PyTorch 1.6
    **{b"\x80" + bytes([protocol]): "a pickle" for protocol in range(2, 6)},
    **dict.fromkeys((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"), "a compressed file"),
    **dict.fromkeys((b"7z\xbc\xaf\x27\x1c", b"Rar!"), "an archive"),
}
_PAGES = (b"<!doctype html", b"<html", b"<head")
# The version of the format, then one of the other fields that can come first in a model.
_ONNX = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x28\x32\x3a\x42]")
_TEXT = 2**24  # bytes: even the index of the largest models is smaller


def kind_of_file(path: FilePath, *, but: str) -> str:
    """The kind of a file, and how to open it; empty if the kind is unknown or equal to `but`."""
    try:
        with open(path, "rb") as file:
            kind = _kind(file)
    except (OSError, ValueError, zipfile.BadZipFile):
        return ""
    return "" if kind == but else f"{kind}: {_OPENED_BY[kind]}" if kind in _OPENED_BY else kind


def kind_of_folder(path: FilePath) -> str:
    """The content of a folder, and how to open it; empty if it is not recognized."""
    names = {each.name for each in Path(path).iterdir()}
    if any(name.startswith("step-") and name.endswith(".safetensors") for name in names):
        return "a folder of checkpoints: load_checkpoint reads it"
    if ".metadata" in names:
        return "a distributed checkpoint: torch.distributed.checkpoint.load reads it"
    if "saved_model.pb" in names:
        return "a model of TensorFlow: tf.saved_model.load reads it"
    if "data.pkl" in names:
        return "an unpacked file of torch.save: zip it again, without compression"
    if files := sorted(name for name in names if name.endswith((".safetensors", ".bin", ".pt", ".pth"))):
        return f"a folder, with {', '.join(files[:3])}{', ...' if files[3:] else ''}"
    return ""


def open_to_read(path: FilePath) -> BinaryIO:
    """Open a file, or raise the system's error with the path; for a folder, also say what it contains."""
    try:
        return open(path, "rb")
    except OSError as error:
        if os.path.isdir(path) and (kind := kind_of_folder(path)):
            raise IsADirectoryError(errno.EISDIR, f"Is a directory, {kind}", os.fspath(path)) from error
        raise


def _kind(file: BinaryIO) -> str:
    beginning = file.read(1024)
    if not beginning:
        return "empty"
    for known, kind in _BEGINNINGS.items():
        if beginning.startswith(known):
            return kind
    if beginning[4:9] == b"\0\0\0\0{":  # after the length of the header: eight bytes, little-endian
        return SAFETENSORS
    if beginning[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if beginning[257:262] == b"ustar":
        return "an archive"
    if zipfile.is_zipfile(file):
        return _kind_of_zip(file)
    if _ONNX.match(beginning):
        return "an ONNX model"
    file.seek(0)
    return _kind_of_text(file.read(_TEXT))


def _kind_of_zip(file: BinaryIO) -> str:
    with zipfile.ZipFile(file) as archive:
        names = [name.partition("/")[2] or name for name in archive.namelist()]
    if "archive_format" in names:
        return "a torch.export archive"
    if "data.pkl" in names:
        return "a TorchScript archive" if "constants.pkl" in names else TORCH_SAVE
    if "model.weights.h5" in names:
        return "a Keras model"
    if names and all(name.endswith(".npy") for name in names):
        return "a NumPy file"
    return "an archive"


def _kind_of_text(content: bytes) -> str:
    if content.lstrip()[:20].lower().startswith(_PAGES):
        return "a web page"
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return ""
    with suppress(ValueError):
        match json.loads(text):
            case {"weight_map": dict(files)} if all(isinstance(file, str) for file in files.values()):
                shards = sorted({*files.values()})
                return (
                    f"the index of a checkpoint in {len(shards)} files: load the tensors of each of them, "
                    f"{', '.join(shards[:3])}{', ...' if shards[3:] else ''}"
                )
    line = text.partition("\n")[0][:60]
    return f"text, which begins with {line!r}" if text and line.isprintable() else ""
