"""A run that is saved and resumed by a new program, compared with a run that is not stopped."""

import io
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from d2lblocks import load_checkpoint, save_checkpoint
from tools.real_nets.digests import (
    difference,
    digest,
    get_random_states,
    set_random_states,
    values_of,
)
from tools.real_nets.runs import NotTried


class Training(NamedTuple):
    """A training run.

    Attributes:
        parts: the parts to save in a checkpoint: the net and the objects that train it.
        step: runs one training step.
    """

    parts: dict[str, Any]
    step: Callable[[], object]

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def look(self) -> dict[str, Any]:
        """Digests of all values of all parts, and of the random states."""
        seen: dict[str, Any] = {"random numbers": digest(get_random_states())}
        for name, part in self.parts.items():
            values = values_of(part) if isinstance(part, nn.Module) else flat(part.state_dict())
            seen |= {f"{name}.{key}": value for key, value in values.items()}
        return seen


def flat(state: Any, prefix: str = "") -> dict[str, Any]:
    """The values of a nested state by their paths."""
    if not isinstance(state, dict):
        return {prefix or "state": digest(state)}
    found: dict[str, Any] = {}
    for key, value in state.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def resume(make: Callable[[int], Training], steps: int) -> None:
    """Compare a resumed run with one that is not stopped; raise an AssertionError if they differ.

    Args:
        make: returns a new training run; its random values depend on a seed.
        steps: the number of steps before the checkpoint, and after it.

    Raises:
        NotTried: if the run cannot be made or started, or differs even if torch itself saves and loads it.
    """
    try:
        unstopped = make(0)
        unstopped.run(steps)
    except NotTried:
        raise
    except Exception as error:
        raise NotTried(f"does not train: {type(error).__name__}: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        chance = get_random_states()
        try:
            by_torch = torch_saved(unstopped)
        except Exception as error:
            raise NotTried(f"torch does not save it: {error}") from error
        save_checkpoint(folder, steps, **unstopped.parts)
        resumed = make(1)
        assert load_checkpoint(folder, **resumed.parts) == steps
        resumed.run(steps)
        after = resumed.look()
        set_random_states(chance)
        unstopped.run(steps)
        expected = unstopped.look()
        if found := difference(expected, after):
            control = make(2)
            torch_load(control, by_torch)
            set_random_states(chance)
            control.run(steps)
            if difference(expected, control.look()):
                raise NotTried("a run resumed from torch's own state dicts differs, too")
            raise AssertionError(found)


def torch_saved(training: Training) -> bytes:
    """The states that one would save without this package."""
    file = io.BytesIO()
    states = {name: part.state_dict() for name, part in training.parts.items()}
    torch.save(states, file)
    return file.getvalue()


def torch_load(training: Training, content: bytes) -> None:
    saved = torch.load(io.BytesIO(content), weights_only=False)
    for name, part in training.parts.items():
        part.load_state_dict(saved[name])
