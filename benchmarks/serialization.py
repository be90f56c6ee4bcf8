"""How fast are parameters saved and loaded, compared with other libraries and the limits of the machine?

python benchmarks/serialization.py [--cases CASE ...] [--rounds N] [--write]

Every time is the median of the calls within a fifth of a second, or of a hundred calls, in a separate
process, after two calls that are not counted. The first way to load and the first way to save are the
limits: a cell has the ratio to the limit of the same round, and the time.
"""

import gc
import json
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from measure import arguments, fresh, origin, ratio, seconds, show, table, take_turns
from torch import Tensor, nn

from d2lblocks import load_parameters, save_parameters

CASES = {  # the number of layers, and their width
    "1 MiB": (4, 256),
    "100 MiB": (25, 1024),
    "1 GiB": (256, 1024),
    "2,000 layers": (2000, 4),
}
Action = Callable[[nn.Module, Path], object]
Way = Callable[[nn.Module, Path], Any]  # an action, or a function that prepares and returns one


def make(case: str, device: str = "cpu") -> nn.Module:
    """A net whose memory is really allocated."""
    layers, width = CASES[case]
    with torch.device("meta"):
        net = nn.Sequential(*(nn.Linear(width, width) for _ in range(layers)))
    if device == "cpu":
        net = net.to_empty(device="cpu")
        torch._foreach_zero_(tensors(net))
    return net


def tensors(net: nn.Module) -> list[Tensor]:
    return [parameter.detach() for parameter in net.parameters()]


def copy(net: nn.Module, folder: Path) -> Action:
    source = [tensor.clone() for tensor in tensors(net)]
    return lambda net, folder: torch._foreach_copy_(tensors(net), source)


def load_unverified(net: nn.Module, folder: Path) -> None:
    load_parameters(net, folder / "ours.st", verify=False)


def load_verified(net: nn.Module, folder: Path) -> None:
    load_parameters(net, folder / "ours.st")


def load_file(net: nn.Module, folder: Path) -> None:
    net.load_state_dict(safetensors.torch.load_file(folder / "peer.st"))


def load_model(net: nn.Module, folder: Path) -> None:
    safetensors.torch.load_model(net, folder / "peer.st")


def safe_open(net: nn.Module, folder: Path) -> None:
    with safetensors.safe_open(folder / "peer.st", "pt") as file:
        for name, tensor in net.state_dict().items():
            tensor.copy_(file.get_tensor(name))


def torch_load(net: nn.Module, folder: Path) -> None:
    net.load_state_dict(torch.load(folder / "torch.pt"))


def torch_load_mapped(net: nn.Module, folder: Path) -> None:
    net.load_state_dict(torch.load(folder / "torch.pt", mmap=True))


def torch_load_assigned(net: nn.Module, folder: Path) -> None:
    net.load_state_dict(torch.load(folder / "torch.pt", mmap=True), assign=True)


def read(net: nn.Module, folder: Path) -> Action:
    buffer = bytearray(os.path.getsize(folder / "ours.st"))

    def action(net: nn.Module, folder: Path) -> None:
        with open(folder / "ours.st", "rb", buffering=0) as file:
            view, at = memoryview(buffer), 0
            while done := file.readinto(view[at:]):
                at += done

    return action


def touch(net: nn.Module, folder: Path) -> None:
    size = os.path.getsize(folder / "ours.st")
    handle = os.open(folder / "ours.st", os.O_RDONLY)
    with mmap.mmap(handle, size, access=mmap.ACCESS_READ) as pages:
        sum(pages[:: mmap.PAGESIZE])
    os.close(handle)


def write(net: nn.Module, folder: Path, *, sync: bool = False) -> Action:
    content = bytes(sum(tensor.nbytes for tensor in tensors(net)))

    def action(net: nn.Module, folder: Path) -> None:
        with open(folder / "new", "wb", buffering=0) as file:
            view, at = memoryview(content), 0
            while at < len(content):
                at += file.write(view[at:])
            if sync:
                os.fsync(file.fileno())

    return action


def write_and_sync(net: nn.Module, folder: Path) -> Action:
    return write(net, folder, sync=True)


def save_unsynced(net: nn.Module, folder: Path) -> Action:
    os.fsync = lambda fd: None
    return save


def save(net: nn.Module, folder: Path) -> None:
    save_parameters(net, folder / "new")


def save_file(net: nn.Module, folder: Path) -> None:
    safetensors.torch.save_file(net.state_dict(), folder / "new")


def save_model(net: nn.Module, folder: Path) -> None:
    safetensors.torch.save_model(net, str(folder / "new"))


def torch_save(net: nn.Module, folder: Path) -> None:
    torch.save(net.state_dict(), folder / "new")


# The first way of each is the limit.
PREPARED: tuple[Way, ...] = (copy, read, write, write_and_sync, save_unsynced)
LOADING: dict[str, Way] = {
    "from memory to memory: the limit": copy,
    "`load_parameters(..., verify=False)`": load_unverified,
    "`load_parameters`": load_verified,
    "safetensors: `load_file`, `load_state_dict`": load_file,
    "safetensors: `load_model`": load_model,
    "safetensors: `safe_open`, `copy_`": safe_open,
    "`torch.load`, `load_state_dict`": torch_load,
    "`torch.load(mmap=True)`, `load_state_dict`": torch_load_mapped,
    "the same with `assign=True`": torch_load_assigned,
    "reading the file into memory": read,
    "touching every page of the mapped file": touch,
}
SAVING: dict[str, Way] = {
    "writing as many bytes: the limit": write,
    "`save_parameters`, `fsync` left out": save_unsynced,
    "safetensors: `save_file`": save_file,
    "safetensors: `save_model`": save_model,
    "`torch.save`": torch_save,
    "`save_parameters`": save,
    "writing as many bytes, and `fsync`": write_and_sync,
}
WAYS = LOADING | SAVING


def measure(case: str, way: str, folder: Path) -> dict[str, float]:
    """The seconds of one action, and its peak of memory divided by the size of the net."""
    net = make(case)
    size = sum(tensor.nbytes for tensor in tensors(net))
    action = WAYS[way](net, folder) if WAYS[way] in PREPARED else WAYS[way]
    gc.collect()
    times: list[float] = []
    # The first call starts threads and imports modules; the second one measures the memory.
    while len(times) < 3 or (sum(times[2:]) < 0.2 and len(times) < 100):
        if WAYS[way] is torch_load_assigned:
            net = make(case, "meta")
        if len(times) == 1:
            Path("/proc/self/clear_refs").write_text("5")  # start measuring the peak
            before = memory("VmRSS")
        gc.disable()  # like timeit: garbage collection would come at random
        start = time.perf_counter()
        action(net, folder)
        times.append(time.perf_counter() - start)
        gc.enable()
        if len(times) == 2:
            peak = memory("VmHWM") - before
    return {"seconds": statistics.median(times[2:]), "memory": peak / size}


def memory(what: str) -> int:
    """A figure in bytes that Linux gives for this process; it includes pages of mapped files."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


Results = dict[str, list[dict[str, float]]]


def compare(case: str, rounds: int) -> Results:
    with tempfile.TemporaryDirectory() as name:
        folder, net = Path(name), make(case)
        save_parameters(net, folder / "ours.st")
        safetensors.torch.save_file(net.state_dict(), folder / "peer.st")
        torch.save(net.state_dict(), folder / "torch.pt")
        del net
        return take_turns(WAYS, lambda way: fresh(__file__, "--one", case, way, name), rounds)


def cells(results: dict[str, Results], ways: dict[str, Way]) -> list[list[str]]:
    """A row for each way: the ratio and the time for each case, and the memory for the largest case."""
    largest = results[max(results, key=lambda case: CASES[case][0] * CASES[case][1] ** 2)]
    rows = []
    for way in ways:
        row = [way]
        for found in results.values():
            times, limits = ([each["seconds"] for each in found[name]] for name in (way, next(iter(ways))))
            row.append(f"{ratio(times, limits)}, {seconds(times)}")
        rows.append([*row, f"{max(statistics.median(each['memory'] for each in largest[way]), 0):.2f}"])
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--one", nargs=3, metavar=("CASE", "WAY", "FOLDER"), help="what a fresh process does")
    options = parser.parse_args()
    if options.one:
        case, way, folder = options.one
        print(json.dumps(measure(case, way, Path(folder))))
        return
    results = {case: compare(case, options.rounds) for case in options.cases}
    notes = ["", origin(options.rounds, "torch", "safetensors", "xxhash")]
    tables = {
        ("speed.md", f"table of {title}"): [
            *table([title, *results, "memory"], cells(results, ways)),
            *notes,
        ]
        for title, ways in (("loading", LOADING), ("saving", SAVING))
    }
    show(tables, options.write)


if __name__ == "__main__":
    main()
