"""Devices: their names, their number, and the best one there is."""

import operator

import torch

__all__ = ["cpu", "gpu", "num_gpus", "try_all_gpus", "try_gpu"]


def cpu() -> torch.device:
    """The CPU: all of its cores, and the main memory.

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
    """The name of a GPU, whether or not there is one.

    It is a device of the [accelerator](https://docs.pytorch.org/docs/stable/accelerator.html) that PyTorch
    was built for: `cuda` (also AMD's), `mps` on a Mac, `xpu` for Intel's; `cuda` for a build without any.
    Making a tensor there raises PyTorch's own error when the device does not exist.

    Args:
        i: its number, from 0.

    Raises:
        TypeError: when the number is not a whole one.
        ValueError: when it is negative.

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
    """How many GPUs there are; 0 without a GPU, or without a driver or a build of PyTorch for it.

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
    """The GPU of this number if there is one, and otherwise the CPU.

    Args:
        i: its number, from 0.

    Raises:
        TypeError: when the number is not a whole one.
        ValueError: when it is negative.

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
    """All GPUs, or the CPU if there are none; so the list is never empty.

    Examples:
        ```python
        from d2lblocks import num_gpus, try_all_gpus

        print(len(try_all_gpus()) == max(num_gpus(), 1))
        #> True
        ```
    """
    return [gpu(i) for i in range(num_gpus())] or [cpu()]
