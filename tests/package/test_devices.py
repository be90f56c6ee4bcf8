"""The names of devices, on machines with and without GPUs."""

import pytest
import torch

from d2lblocks import cpu, gpu, num_gpus, try_all_gpus, try_gpu


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[str, int]:
    """A build of PyTorch for some accelerator, with some number of GPUs."""
    kind, count = request.param
    accelerator = torch.device(kind) if kind else None
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: accelerator)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    return kind or "cuda", count


MACHINES = [(None, 0), ("cuda", 0), ("cuda", 1), ("cuda", 3), ("mps", 1), ("xpu", 2)]


@pytest.mark.parametrize("machine", MACHINES, indirect=True)
def test_what_is_there_is_found(machine: tuple[str, int]) -> None:
    """All existing GPUs are found, the CPU replaces missing ones, and the list is never empty."""
    kind, count = machine
    there = [torch.device(kind, i) for i in range(count)]
    assert num_gpus() == count
    assert try_all_gpus() == (there or [torch.device("cpu")])
    assert [try_gpu(i) for i in range(count)] == there
    assert try_gpu(count) == torch.device("cpu") == cpu()
    assert try_gpu() == try_all_gpus()[0]
    assert gpu() == torch.device(kind, 0)
    assert gpu(count) == torch.device(kind, count)


def test_what_is_found_can_be_used() -> None:
    """On this machine, a tensor can be made on each device, and a device beyond the last raises an error."""
    for device in try_all_gpus():
        assert torch.ones(2, device=device).sum().item() == 2
        assert torch.ones(2, device=device).device == device
    with pytest.raises((AssertionError, RuntimeError), match=r"CUDA|NVIDIA|device"):
        torch.ones(2, device=gpu(num_gpus()))


@pytest.mark.parametrize("function", [gpu, try_gpu])
@pytest.mark.parametrize(("i", "error", "message"), [
    (-1, ValueError, "expected the number of a GPU, 0 or larger, but got -1"),
    (0.0, TypeError, "'float' object cannot be interpreted as an integer"),
    ("cuda", TypeError, "'str' object cannot be interpreted as an integer"),
    (None, TypeError, "'NoneType' object cannot be interpreted as an integer"),
])  # fmt: skip
def test_a_wrong_number_is_told(function: object, i: object, error: type[Exception], message: str) -> None:
    """A wrong number is an error instead of a name of some other device."""
    with pytest.raises(error, match=message):
        function(i)  # type: ignore[operator]
