"""Files made to harm anyone who loads them, each loaded in a separate process.

python -m tests.package.malicious_files [MANY]

For each file, it prints the error, the seconds of CPU time and the MiB of memory that were used, the
size of the file in MiB, and the length of the message.
MANY is the number of names and other entries in the large files; the default is a million.
"""

import io
import json
import os
import pickle
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import nn

from d2lblocks.serialization import load_checkpoint, load_parameters, save_checkpoint, save_parameters

MANY = int(sys.argv[1]) if __name__ == "__main__" and sys.argv[1:] else 1_000_000


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: list[int], start: int = 0, end: int = 0, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def linear(**entries: Any) -> bytes:
    """A file with the names of the net that it is loaded into."""
    return safetensors({"weight": entry([1, 2], 0, 8), "bias": entry([1], 8, 12), **entries}, bytes(12))


def names(count: int, size: int) -> bytes:
    """Many tensors without values."""
    one = json.dumps(entry([0])).encode()
    return safetensors(b"{" + b",".join(b'"%0*d":%s' % (size, number, one) for number in range(count)) + b"}")


class Payload:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


def pickled(**options: Any) -> bytes:
    file = io.BytesIO()
    torch.save({"weight": Payload(), "bias": Payload()}, file, **options)
    return file.getvalue()


PATHS = ["../x", "/x", "C:\\x", "\0", ""]
FILES: dict[str, Callable[[], bytes]] = {
    "a pickle": lambda: pickle.dumps(Payload()),
    "a pickle of torch": pickled,
    "an old pickle of torch": partial(pickled, _use_new_zipfile_serialization=False),
    "a header of 4 GB": lambda: struct.pack("<Q", 2**32) + linear()[8:],
    "a header without an end": lambda: struct.pack("<Q", 2**64 - 1) + linear()[8:],
    "a header of blanks": lambda: safetensors(b"{" + b" " * (90 * MANY) + b"}"),
    "a header of zeros": lambda: safetensors(bytes(90 * MANY)),
    "overlapping tensors": lambda: linear(bias=entry([1], 4, 8)),
    "a tensor beyond the end": lambda: linear(bias=entry([1], 8, 2**40)),
    "a tensor that ends before it begins": lambda: linear(bias=entry([1], 8, 4)),
    "a tensor of more than all bytes": lambda: linear(bias=entry([2**62, 2**62], 8, 12)),
    "a tensor of no bytes, and a huge shape": lambda: linear(bias=entry([0, 2**62], 8, 8)),
    "a negative shape": lambda: linear(bias=entry([-1], 8, 12)),
    "too many dimensions": lambda: linear(weight=entry([1] * 9 + [1, 2] + [1] * 10 * MANY, 0, 8)),
    "a type that torch has not": lambda: linear(bias=entry([1, 4], 8, 11, "F6_E2M3"))[:-1],
    "too many names": lambda: names(MANY, 1),
    "a hundred long names": lambda: names(100, 10_000),
    "a long name": lambda: names(1, 90 * MANY),
    "too many metadata": lambda: safetensors({"__metadata__": {str(n): "weight" for n in range(MANY)}}),
    "names that are paths": lambda: linear(**dict.fromkeys(PATHS, entry([0], 12, 12))),
    "deep JSON": lambda: safetensors(b'{"weight":' * MANY),
    "deep JSON in the metadata": lambda: safetensors(b'{"__metadata__":{"d2lblocks":' + b"[" * MANY),
}


def signed(path: Path, change: Callable[[dict[str, Any]], str | None]) -> None:
    """Change the data of d2lblocks in a header, or replace it with the returned text; update its checksum."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    ours = json.loads(header["__metadata__"]["d2lblocks"])
    text = change(ours) or json.dumps(ours)
    checksum = xxhash.xxh3_64_hexdigest(text.encode())
    header["__metadata__"] |= {"d2lblocks": text, "d2lblocks.xxh3_64": checksum}
    path.write_bytes(safetensors(header, content[end:]))


def with_a_long_number(ours: dict[str, Any]) -> str:
    return json.dumps(ours).replace('"notes": ', f'"notes": 1{"0" * 5000}, "": ')


def with_many_ties(ours: dict[str, Any]) -> None:
    first = next(iter(ours["xxh3_64"]))
    ours["ties"] = dict.fromkeys([f"net.{number}" for number in range(MANY)], first)


DEEP = "[" * 900 + "]" * 900  # not too deep to be read
SIGNED: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "deep JSON with a checksum": lambda ours: '{"ties":' + "[" * MANY,
    "JSON that is deep, but can be read": lambda ours: f'{{"ties":{{}},"xxh3_64":{{}},"notes":{DEEP}}}',
    "a number of 5,000 digits": with_a_long_number,
    "ties to names that are not there": lambda ours: ours["ties"].update(x="gone"),
    "too many ties": with_many_ties,
    "checksums in a list": lambda ours: ours.update(xxh3_64=list(ours["xxh3_64"])),
    "checksums of other names": lambda ours: ours["xxh3_64"].update(x="0"),
    "checksums that are numbers": lambda ours: ours.update(xxh3_64=dict.fromkeys(ours["xxh3_64"], 0)),
}


def attempt(name: str, path: Path, load: Callable[[], Any]) -> None:
    """Load in a separate process, because its peak of memory is measured and because it may crash."""
    import resource  # not on Windows, which has no fork either

    unit = 20 if sys.platform == "darwin" else 10  # macOS counts bytes, Linux counts KiB
    size = path.stat().st_size >> 20
    process = os.fork()
    if process == 0:
        start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            load()
            error, message = "none", ""
        except BaseException as caught:
            error, message = type(caught).__qualname__, str(caught)
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> unit
        seconds = round(time.process_time() - start, 1)
        print(json.dumps([name, error, seconds, memory, size, len(message)]), flush=True)
        os._exit(os.path.exists("harm"))
    if status := os.waitpid(process, 0)[1]:
        print(json.dumps([name, f"crash or harm: {status}", 0, 0, size, 0]), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)  # a forked process has no other threads
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        x, step = Path("x"), Path("run/step-1.safetensors")
        step.parent.mkdir()
        for name, make in FILES.items():
            for path in (x, step):
                path.write_bytes(make())
            for verify in (True, False):
                attempt(name, x, partial(load_parameters, nn.Linear(2, 1), x, verify=verify))
            if x.stat().st_size < 10_000:
                attempt(name, step, partial(load_checkpoint, "run", 1, net=nn.Linear(2, 1)))
        for name, change in SIGNED.items():
            save_parameters(nn.Linear(2, 1), x)
            save_checkpoint("run", 1, net=nn.Linear(2, 1))
            for path in (x, step):
                signed(path, change)
            attempt(name, x, partial(load_parameters, nn.Linear(2, 1), x))
            attempt(name, step, partial(load_checkpoint, "run", 1, net=nn.Linear(2, 1)))
