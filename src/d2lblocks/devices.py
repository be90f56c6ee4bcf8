"""Devices: how to name them, count them, and choose the best one available."""

import operator

import torch

__all__ = ["cpu", "gpu", "num_gpus", "try_all_gpus", "try_gpu"]


def cpu() -> torch.device:
    """The CPU: all of its cores and the main memory.

    Examples:
        ```python
        import torch
        from d2lblocks import cpu

        print(torch.zeros(2, device=cpu()).device)
        #> cpu
        ```
    """
    return torch.device("cpu")


def gpu(i: int = 0) -> torch.device:
    """Name a GPU by its number, whether or not it exists.

    The device belongs to the [accelerator](https://docs.pytorch.org/docs/stable/accelerator.html) that
    PyTorch was built for: `cuda` for GPUs of NVIDIA and AMD, `mps` on a Mac, `xpu` for GPUs of Intel.
    A build for the CPU alone gives `cuda`.
    If the device does not exist, creating a tensor on it raises PyTorch's own error.

    Args:
        i: the number of the GPU, starting at 0.

    Raises:
        TypeError: if the number is not an integer.
        ValueError: if the number is negative.

    Examples:
        ```python
        from d2lblocks import gpu

        print(gpu(1).index)
        #> 1
        ```
    """
    i = operator.index(i)
    if i < 0:
        raise ValueError(f"expected the number of a GPU, 0 or larger, but got {i}")
    accelerator = torch.accelerator.current_accelerator()
    return torch.device("cuda" if accelerator is None else accelerator.type, i)


def num_gpus() -> int:
    """Count the GPUs; 0 if there is none, or if its driver or a PyTorch build for it is missing.

    Examples:
        ```python
        import torch
        from d2lblocks import num_gpus

        print((num_gpus() > 0) == torch.accelerator.is_available())
        #> True
        ```
    """
    return torch.accelerator.device_count()


def try_gpu(i: int = 0) -> torch.device:
    """Return the GPU with this number if it exists, and the CPU otherwise.

    Args:
        i: the number of the GPU, starting at 0.

    Raises:
        TypeError: if the number is not an integer.
        ValueError: if the number is negative.

    Examples:
        ```python
        import torch
        from d2lblocks import try_gpu

        X = torch.zeros(2, 3, device=try_gpu())
        print(X.shape)
        #> torch.Size([2, 3])
        ```
    """
    device = gpu(i)
    return device if device.index < num_gpus() else cpu()


def try_all_gpus() -> list[torch.device]:
    """List all GPUs, or only the CPU if there is no GPU; so the list is never empty.

    Examples:
        ```python
        from d2lblocks import num_gpus, try_all_gpus

        print(len(try_all_gpus()) == max(num_gpus(), 1))
        #> True
        ```
    """
    return [gpu(i) for i in range(num_gpus())] or [cpu()]
