"""The global random number generators of Python, NumPy and PyTorch."""

import random
import sys
from typing import Any

import torch


def global_generators() -> list[Any]:
    """The generators. NumPy's is included only if NumPy is imported, those of GPUs only if CUDA is in use."""
    functions: list[Any] = [random.getstate]
    if numpy_random := sys.modules.get("numpy.random"):
        functions.append(numpy_random.get_state)
    of_gpus = torch.cuda.default_generators if _cuda_is_in_use() else ()
    return [*(each.__self__ for each in functions), torch.default_generator, *of_gpus]


def random_states() -> dict[str, Any]:
    """The states of the global generators, in the form in which a checkpoint stores them."""
    states = {
        "python": random.getstate(),
        "torch": torch.get_rng_state(),
        # Empty while CUDA is not in use: asking for the states would start CUDA. That takes memory, and it
        # fails in a forked process.
        "cuda": torch.cuda.get_rng_state_all() if _cuda_is_in_use() else [],
    }
    if numpy := sys.modules.get("numpy"):
        name, numbers, *others = numpy.random.get_state()
        states["numpy"] = (name, numbers.tolist(), *others)
    return states


def set_random_states(states: dict[str, Any]) -> None:
    """Set the generators to these states; raise a ValueError if NumPy's state is invalid."""
    random.setstate(states["python"])
    torch.set_rng_state(states["torch"])
    if "numpy" in states and (numpy := sys.modules.get("numpy")):
        _, numbers, position, *_ = states["numpy"]
        if position not in range(len(numbers) + 1):  # NumPy does not check, and would read outside its memory
            raise ValueError(f"NumPy's generator has no position {position}")
        numpy.random.set_state(states["numpy"])
    for device, state in zip(range(torch.cuda.device_count()), states.get("cuda", ()), strict=False):
        torch.cuda.set_rng_state(state, device)


def put_back_random_states(states: dict[str, Any]) -> None:
    """Restore states taken earlier. GPUs that were not in use then get the seed of the CPU generator."""
    set_random_states(states)
    if not states["cuda"]:
        torch.cuda.manual_seed_all(torch.initial_seed())


def _cuda_is_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
