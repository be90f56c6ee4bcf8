"""Ways in which a file can be damaged: by a disk, a network, an interrupted program, a text editor."""

import io
import json
import math
import pickletools
import zipfile
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

# The number of bits of one value, for each safetensors type.
TYPES = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
TYPES |= dict.fromkeys(["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"], 8)
TYPES |= dict.fromkeys(["I16", "U16", "F16", "BF16"], 16)
TYPES |= dict.fromkeys(["I32", "U32", "F32"], 32)
TYPES |= dict.fromkeys(["I64", "U64", "F64", "C64"], 64)


def corrupted(content: bytes, rng: Random) -> bytes:
    """The content after one random error, or after an edit of the part that describes the tensors."""
    if rng.random() < 0.5:
        change: Callable[[bytes, Random], bytes] = rng.choice(BLIND)
    else:
        change = in_pickle if content.startswith(b"PK") else in_header
    other = change(content, rng)
    return other if other != content else corrupted(content, rng)


# Changes that ignore the meaning of the bytes.


def block(content: bytes, rng: Random) -> tuple[int, int]:
    size = min(len(content), rng.choice([1, 8, 64, 512, 4096]))
    start = rng.randrange(len(content) - size + 1)
    return start, start + size


def flip(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, rng: Random) -> bytes:
    start, end = block(content, rng)
    value = rng.choice([bytes(end - start), b"\xff" * (end - start), rng.randbytes(end - start)])
    return content[:start] + value + content[end:]


def truncate(content: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content))]


def append(content: bytes, rng: Random) -> bytes:
    return content + rng.choice([rng.randbytes(rng.randrange(1, 99)), bytes(8), content])


def leave_out(content: bytes, rng: Random) -> bytes:
    start, end = block(content, rng)
    return content[:start] + content[end:]


def duplicate(content: bytes, rng: Random) -> bytes:
    """Repeat a block at the same place, or copy it over another part."""
    start, end = block(content, rng)
    there = rng.randrange(len(content) - (end - start) + 1)
    again = content[:there] + content[start:end] + content[there + end - start :]
    return rng.choice([content[:end] + content[start:], again])


def swap(content: bytes, rng: Random) -> bytes:
    (a, b), (c, d) = sorted([block(content, rng), block(content, rng)])
    return content if b > c else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


BLIND = [flip, overwrite, truncate, append, leave_out, duplicate, swap]


# Changes in the header of safetensors, which usually stays valid JSON.


def in_header(content: bytes, rng: Random) -> bytes:
    end = 8 + int.from_bytes(content[:8], "little")
    text, data = content[8:end], content[end:]
    if rng.random() < 0.3:
        text = scribble(text, rng)
    else:
        header = json.loads(text)
        metadata = header.setdefault("__metadata__", {})
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        rng.choice([rename, swap_names, swap_places, move, retype, reshape, retie, edit_metadata])(
            header, metadata, entries, rng
        )
        text = json.dumps(header).encode()
    length = len(text) + (rng.randrange(-99, 99) if rng.random() < 0.05 else 0)
    return max(length, 0).to_bytes(8, "little") + text + data


def scribble(text: bytes, rng: Random) -> bytes:
    """Change some characters, usually to others of the same kind."""
    changed = bytearray(text)
    for _ in range(rng.choice([1, 1, 3])):
        place = rng.randrange(len(text))
        sorts = [b"0123456789", b"abcdefghijklmnopqrstuvwxyz", b'{}[]",: ', bytes(range(256))]
        changed[place] = rng.choice(next(sort for sort in sorts if text[place] in sort))
    return bytes(changed)


def rename(header: Any, metadata: Any, entries: Any, rng: Random) -> None:
    old = rng.choice(list(entries))
    new = rng.choice([old + "x", old[:-1], old.upper(), rng.choice(list(entries)), "../x", "\x00"])
    header[new] = header.pop(old)


def swap_names(header: Any, metadata: Any, entries: Any, rng: Random) -> None:
    a, b = rng.choices(list(entries), k=2)
    header[a], header[b] = entries[b], entries[a]


def swap_places(header: Any, metadata: Any, entries: Any, rng: Random) -> None:
    """Swap the places of two tensors, which often have the same shape."""
    a, b = rng.choices(list(entries.values()), k=2)
    a["data_offsets"], b["data_offsets"] = b["data_offsets"], a["data_offsets"]


def move(header: Any, metadata: Any, entries: Any, rng: Random) -> None:
    entry = rng.choice(list(entries.values()))
    by = rng.choice([-8, -4, -1, 1, 4, 8, 2**31, 2**63])
    entry["data_offsets"] = [end + by * rng.choice([0, 1, 1, 1]) for end in entry["data_offsets"]]


def retype(header: Any, metadata: Any, entries: Any, rng: Random) -> None:
    """Read the same bytes as another type, and adapt the last size if necessary."""
    entry, new = rng.choice(list(entries.values())), rng.choice(list(TYPES))
    scale = TYPES[entry["dtype"]] / TYPES[new]
    if scale != 1 and entry["shape"]:
        entry["shape"][-1] = int(entry["shape"][-1] * scale)
    entry["dtype"] = new


def reshape(header: Any, metadata: Any, entries: Any, rng: Random) -> None:
    """Change the shape, but not the number of values."""
    entry = rng.choice(list(entries.values()))
    count = math.prod(entry["shape"])
    entry["shape"] = rng.choice([entry["shape"][::-1], [count], [1, *entry["shape"]], [count, 1, 1]])


def retie(header: Any, metadata: Any, entries: Any, rng: Random) -> None:
    """Change the ties, both in the data of d2lblocks and in the metadata of safetensors."""
    ours = json.loads(metadata.get("d2lblocks", "{}"))
    for ties in (metadata, ours.get("ties", {})):
        if ties and rng.random() < 0.5:
            ties.pop(rng.choice(list(ties)))
        if rng.random() < 0.5:
            ties[rng.choice(list(entries))] = rng.choice(list(entries))
    if ours:
        metadata["d2lblocks"] = json.dumps(ours)


def edit_metadata(header: Any, metadata: Any, entries: Any, rng: Random) -> None:
    key = rng.choice([*metadata, "new"])
    value = metadata.get(key) or "value"
    metadata[key] = rng.choice([scribble(value.encode(), rng).decode("latin-1"), value[:-1], ""])


# Changes in the pickle of torch.save.


def in_pickle(content: bytes, rng: Random) -> bytes:
    """Make the same kinds of edits in the pickle as far as possible, and write a new archive around it."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            part = old.read(entry)
            new.writestr(entry.filename, edited(part, rng) if entry.filename.endswith("data.pkl") else part)
    return made.getvalue()


def edited(code: bytes, rng: Random) -> bytes:
    """Scribble, or swap two names, two types or two numbers (of shapes, strides or offsets)."""
    kind = rng.choice(["BINUNICODE", "GLOBAL", "BININT1", "scribble"])
    if kind == "scribble":
        return scribble(code, rng)
    kinds, starts = zip(*((op.name, start) for op, _, start in pickletools.genops(code)), strict=True)
    parts = [code[start:end] for start, end in pairwise([*starts, len(code)])]
    a, b = rng.choices([place for place, name in enumerate(kinds) if name == kind], k=2)
    parts[a], parts[b] = parts[b], parts[a]
    return b"".join(parts)
