"""Keep the best weights."""

from typing import Any

import torch
from torch import nn

from d2lblocks._arguments import kind_of

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
Three ways do this: `copy.deepcopy(net.state_dict())`, a dictionary with a `clone()` of each tensor, and a file that is written at once.
"""


def check(answer: Answer) -> None:
    """The state of the best epoch comes back, buffers included."""
    best_state = answer.function("best_state")
    for losses in [1.0, 2.0], [3000.0], [2.0, 1.0], [-0.5, -0.52, 3.0, -0.51], [2.0, 3.0, 1.0, 1.5]:
        answer.given = f"losses of {', '.join(map(str, losses))}, one per epoch"
        run = Run(losses)
        try:
            state = run(best_state)
        except AttributeError as error:
            if "has no attribute 'clone'" not in str(error):
                raise
            why = "A dictionary has no `clone`: its tensors have one each."
            raise Wrong(why, came=f"AttributeError: {error}", expected="a copy of each tensor") from None
        if len(run.seen) != len(losses):
            why = "`train(net)` has to be called once in each epoch."
            if len(run.seen) == 1:
                why = "`train(net)` was called only once: is `return` inside the loop, or does the loop leave out an epoch?"
            raise Wrong(why, came=_epochs(len(run.seen)), expected=_epochs(len(losses)))
        if state is None:
            why = "`best_state(...)` is `None`: a `return` is missing, or none of the losses counted as the smallest so far."
            raise Wrong(why, came=None, expected="a dictionary")
        answer.kind(state, "best_state(net, train, loss, epochs)", dict, "a dictionary")
        _compare(state, run, best_state)


class Run:
    """A net that is trained for a few epochs, and what its state was after each of them."""

    def __init__(self, losses: list[float]) -> None:
        self.net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.losses = losses
        self.begin = self._copy()
        self.seen: list[dict[str, torch.Tensor]] = []
        self.others = False  # whether another net was trained

    def train(self, net: nn.Module) -> None:
        """One epoch."""
        self.others |= net is not self.net
        for tensor in net.state_dict().values():
            tensor.add_(1)
        self.seen.append(self._copy())

    def __call__(self, best_state: Any) -> Any:
        """What the answer returns."""

        def loss(net: Any) -> float:
            if not isinstance(net, nn.Module):
                raise Wrong("`loss` takes the net.", came=f"loss({type(net).__name__})", expected="loss(net)")
            return self.losses[min(max(len(self.seen) - 1, 0), len(self.losses) - 1)]

        return best_state(self.net, self.train, loss, len(self.losses))

    def _copy(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.net.state_dict().items()}

    def epochs(self, state: dict[str, Any]) -> list[int]:
        """The epochs after which the net had this state; 0 is before the first."""
        return [
            number
            for number, epoch in enumerate([self.begin, *self.seen])
            if all(torch.equal(state[name], epoch[name]) for name in epoch)
        ]


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number} epochs"


def _compare(state: dict[str, Any], run: Run, best_state: Any) -> None:
    """Raise `Wrong` unless the state is that of the epoch with the smallest loss."""
    net, seen = run.net, run.seen
    least = run.losses.index(min(run.losses)) + 1
    if missing := [name for name in seen[0] if name not in state]:
        raise Wrong(
            "The buffers are missing, such as the running mean: parameters alone are not the state of a net.",
            came=f"no {', '.join(missing)}",
            expected=f"also {', '.join(missing)}",
        )
    for name in seen[0]:
        if not isinstance(state[name], torch.Tensor):
            raise Wrong(
                "The values are not tensors, so `load_state_dict` cannot use them: copy each with `clone()`.",
                came=f"{name}: {kind_of(state[name])}",
                expected=f"{name}: torch.Tensor",
            )
    epochs = run.epochs(state)
    if least in epochs:
        run.train(net)
        if least not in run.epochs(state):
            why = "The values are right, but the tensors are those of the net: the next epoch changes them."
            raise Wrong(why, came="the tensors of the net", expected="a copy of them")
        return
    live = {tensor.data_ptr() for tensor in net.state_dict().values()}
    if any(each.data_ptr() in live for each in state.values()):
        why = (
            "The tensors in `state_dict()` are those of the net, so training changed them after you kept them; "
            "a copy of only the dictionary holds the same tensors."
        )
    elif epochs == [0]:
        why = "This is the state before the first epoch: only a state after `train(net)` counts, with the loss that it has."
    elif run.others:
        why = "`train` gets another net: call `train(net)` with the net itself, and copy only its state dict."
    elif not epochs:
        why = "The tensors are not those that the net had after one of the epochs."
    elif epochs == [len(seen)] and _late(best_state):
        why = (
            "The state dict has the values after the last epoch: it was copied too late, or kept although the loss was "
            "not smaller."
        )
    else:
        why = "The state dict is that of another epoch: is `least` the smallest loss so far?"
    came = f"the state after epoch {epochs[0]}" if epochs else "the state after no epoch"
    if epochs == [0]:
        came = "the state before epoch 1"
    raise Wrong(why, came=came, expected=f"the state after epoch {least}")


def _late(best_state: Any) -> bool:
    """Whether even an infinite loss, which is smaller than no other, changes what is returned."""
    run = Run([1.0, float("inf")])
    state = run(best_state)
    return run.epochs(state) == [2]


WRONG = (
    WrongAnswer(
        "holds the same tensors", changes={"copy.deepcopy(net.state_dict())": "dict(net.state_dict())"}
    ),
    WrongAnswer(
        "the next epoch changes them",
        changes={"    return best": "    net.load_state_dict(best)\n    return net.state_dict()"},
    ),
    WrongAnswer(
        "gets another net",
        changes={"    best, least = None": "    net = copy.deepcopy(net)\n    best, least = None"},
    ),
    WrongAnswer("buffers are missing", changes={"net.state_dict()": "dict(net.named_parameters())"}),
    WrongAnswer(
        "are not tensors",
        changes={"copy.deepcopy(net.state_dict())": "{k: v.tolist() for k, v in net.state_dict().items()}"},
    ),
    WrongAnswer("that of another epoch", changes={"net.state_dict()), now": "net.state_dict()), least"}),
    WrongAnswer(
        "copied too late",
        changes={
            "copy.deepcopy(net.state_dict())": "net.state_dict()",
            "return best": "return copy.deepcopy(best)",
        },
    ),
    WrongAnswer("is `return` inside", changes={"    return best": "        return best"}),
    WrongAnswer("none of the losses", changes={"< least": "> least"}),
    WrongAnswer("not a dictionary", changes={"copy.deepcopy(net.state_dict())": "copy.deepcopy(net)"}),
)
