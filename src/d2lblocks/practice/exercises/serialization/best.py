"""Keep the best weights."""

from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "serialization.md#state_dict-is-not-a-copy-the-best-weights-have-changed"
TASK = """
In each epoch, `best_state` calls `train(net)`, which changes `net`, and `loss(net)`, which returns a number.
It should return the state dict after the epoch with the smallest loss, but it returns the last one.
Repair it.
"""
STUB = """\
def best_state(net, train, loss, epochs):
    best, least = None, float("inf")
    for _ in range(epochs):
        train(net)
        if (now := loss(net)) < least:
            best, least = net.state_dict(), now
    return best
"""
SOLUTION = """\
import copy


def best_state(net, train, loss, epochs):
    best, least = None, float("inf")
    for _ in range(epochs):
        train(net)
        if (now := loss(net)) < least:
            best, least = copy.deepcopy(net.state_dict()), now
    return best
"""
HINTS = (
    "Do the tensors in `best` have memory of their own?",
    "Read serialization.md#state_dict-is-not-a-copy-the-best-weights-have-changed, and look at what the fix copies.",
    "Write `copy.deepcopy(net.state_dict())` where the state dict is kept, and import `copy`.",
)
AFTER = """
The copy has tensors of its own, so the next step of training does not change it.
`{name: tensor.clone() for name, tensor in net.state_dict().items()}` is another way, and so is writing the state dict to a file at once.
"""


def check(answer: Answer) -> None:
    """The state of the best epoch comes back, buffers included."""
    best_state = answer.function("best_state")
    for losses in [1.0, 2.0], [3.0], [2.0, 1.0], [4.0, 2.0, 5.0, 3.0], [2.0, 3.0, 1.0, 1.5]:
        net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        seen: list[dict[str, torch.Tensor]] = []
        answer.given = f"losses of {', '.join(map(str, losses))}, one an epoch"

        def train(net: nn.Module, seen: list[dict[str, torch.Tensor]] = seen) -> None:
            for tensor in net.state_dict().values():
                tensor.add_(1)
            seen.append({name: tensor.clone() for name, tensor in net.state_dict().items()})

        def loss(net: nn.Module, seen: list[Any] = seen, losses: list[float] = losses) -> float:
            return losses[max(len(seen) - 1, 0)]

        state = best_state(net, train, loss, len(losses))
        if len(seen) != len(losses):
            raise Wrong(
                "`train(net)` has to be called once in each epoch.",
                came=f"{len(seen)} calls",
                expected=f"{len(losses)} calls",
            )
        answer.kind(state, "best_state(net, train, loss, epochs)", dict, "a dictionary")
        _compare(state, net, seen, losses.index(min(losses)))


def _compare(state: dict[str, Any], net: nn.Module, seen: list[dict[str, torch.Tensor]], least: int) -> None:
    """Raise `Wrong` unless the state is that of the epoch with the smallest loss."""
    if missing := [name for name in seen[0] if name not in state]:
        raise Wrong(
            "The buffers are missing, such as the running mean: parameters alone are not the state of a net.",
            came=f"no {', '.join(missing)}",
            expected=f"also {', '.join(missing)}",
        )
    epochs = [
        number
        for number, epoch in enumerate(seen)
        if all(torch.equal(torch.as_tensor(state[name]), epoch[name]) for name in epoch)
    ]
    if least in epochs:
        return
    live = {tensor.data_ptr() for tensor in net.state_dict().values()}
    if any(isinstance(each, torch.Tensor) and each.data_ptr() in live for each in state.values()):
        why = (
            "The tensors in `state_dict()` are those of the net, so training changed them after you kept them; "
            "a copy of only the dictionary holds the same tensors."
        )
    elif epochs:
        why = "The state dict is that of another epoch: is `least` the smallest loss so far?"
    else:
        why = "The tensors are not those that the net had after one of the epochs."
    came = f"the state after epoch {epochs[0] + 1}" if epochs else "the state after no epoch"
    raise Wrong(why, came=came, expected=f"the state after epoch {least + 1}")


WRONG = (
    WrongAnswer(
        "holds the same tensors", changes={"copy.deepcopy(net.state_dict())": "dict(net.state_dict())"}
    ),
    WrongAnswer("buffers are missing", changes={"net.state_dict()": "dict(net.named_parameters())"}),
    WrongAnswer("that of another epoch", changes={"< least": "> least", 'float("inf")': 'float("-inf")'}),
    WrongAnswer("not a dictionary", changes={"copy.deepcopy(net.state_dict())": "copy.deepcopy(net)"}),
)
