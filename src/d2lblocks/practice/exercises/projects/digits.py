"""A net that resumes to the bit."""

import contextlib
import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from ._watch import Step, Stopped, Watch, places, run_again, same_values

LEVEL = "hard"
SECONDS = 30
PAGE = "serialization.md#checkpoints"
TASK = """
Train a small residual net on scikit-learn's images of digits, so that a run that is stopped and started again ends with the same net, to the bit, as a run that is never stopped.
`Block(width)` returns the sum of its input and a branch: `nn.BatchNorm1d`, ReLU and `nn.Linear`, in this order.
`Net(width, depth)` is `nn.Linear(64, width)`, then `depth` blocks, then `nn.Linear(width, 10)`.
`accuracy(net, X, y)` returns, as a `float`, the share of the rows of `X` for which the largest of the net's scores is that of the label in `y`; it calls the net in evaluation mode and without gradients, and then puts it back into the mode that it was in.
`train(folder, epochs)` takes the net and the other objects from `start()`, trains for `epochs` epochs and returns the net.
Each epoch takes all training images in a new random order, in batches of `BATCH`; each batch gives one step of the optimizer with its mean cross entropy, and the end of the epoch gives one step of the scheduler.
After each epoch, `train` saves a checkpoint in `folder`, a string.
Called again with the same folder, in a new process, it goes on after the last epoch that was completed, even if the run was stopped in the middle of the next one.
Leave `start` and what is above `Block` as they are; if scikit-learn is missing, run `pip install scikit-learn`.
"""
_TOP = """\
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from d2lblocks import load_checkpoint, save_checkpoint

images, labels = load_digits(return_X_y=True)
X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
X_train, y_train, X_test, y_test = X[:1500], y[:1500], X[1500:], y[1500:]
BATCH = 100
"""
_START = """\
def start():
    torch.manual_seed(0)
    net = Net(width=32, depth=3)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    shuffling = torch.Generator().manual_seed(0)
    return net, optimizer, scheduler, shuffling
"""
STUB = f"""\
{_TOP}

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        ...

    def forward(self, X): ...


class Net(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        ...

    def forward(self, X): ...


{_START}

def accuracy(net, X, y): ...


def train(folder, epochs):
    net, optimizer, scheduler, shuffling = start()
    ...
"""
SOLUTION = f"""\
{_TOP}

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.linear = nn.Linear(width, width)

    def forward(self, X):
        return X + self.linear(F.relu(self.norm(X)))


class Net(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.first = nn.Linear(64, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.last = nn.Linear(width, 10)

    def forward(self, X):
        return self.last(self.blocks(self.first(X)))


{_START}

def accuracy(net, X, y):
    training = net.training
    net.eval()
    with torch.no_grad():
        right = net(X).argmax(dim=1) == y
    net.train(training)
    return right.float().mean().item()


def train(folder, epochs):
    net, optimizer, scheduler, shuffling = start()
    parts = {{
        "net": net,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "shuffling": shuffling,
    }}
    done = load_checkpoint(folder, **parts) or 0
    for epoch in range(done, epochs):
        order = torch.randperm(len(X_train), generator=shuffling)
        for batch in order.split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(net(X_train[batch]), y_train[batch]).backward()
            optimizer.step()
        scheduler.step()
        save_checkpoint(folder, epoch + 1, **parts)
    return net
"""
HINTS = (
    "Which objects does the next epoch read, and which of them are not as `start()` makes them?",
    "Read serialization.md#checkpoints: which parts `save_checkpoint` takes, and what `load_checkpoint` returns.",
    "Put the net, the optimizer, the scheduler and the generator into a dictionary `parts`, write "
    "`done = load_checkpoint(folder, **parts) or 0`, loop over `range(done, epochs)`, and end each epoch with "
    "`save_checkpoint(folder, epoch + 1, **parts)`.",
)
AFTER = """
The next epoch depends on the net with its running statistics, Adam's moments, the learning rate, the order of the images and the number of the epoch, and each checkpoint holds them all.
A `DataLoader` that shuffles with `generator=shuffling` would do as well; so would a generator that is made from the number of the epoch, which needs no saving.
"""
_BATCHES = 15  # of an epoch
_EPOCHS = 4
_ACCURACY = 0.8  # 0.89 and more in each of 12 runs with other seeds; 0.1 without training


def check(answer: Answer) -> None:
    """From the parts to the run: block, net, accuracy, a run, and runs that are stopped."""
    _check_block(answer)
    _check_net(answer)
    _check_accuracy(answer)
    _check_start(answer)
    whole = _check_run(answer)
    _check_resuming(answer, whole)


def _check_block(answer: Answer) -> None:
    for n, width in (2, 3), (6, 5):
        make = answer.module_class("Block")
        X = torch.randn(n, width)
        answer.given = f"Block({width}) and X of shape ({n}, {width})"
        block = make(width)
        given = X.clone()
        answer.same(answer.tensor(block(given), "block(X)").shape, X.shape, "block(X).shape")
        if not torch.equal(given, X):
            raise Wrong(
                "The block changes its input: `X += ...` writes into it, `X + ...` does not.",
                came="another X after the call",
                expected="the same X",
                page="modules.md#the-net-changes-its-input-tensor",
            )
        answer.without_mistakes(block, X)
        norm = _the(block, nn.BatchNorm1d, "Block")
        linear = _the(block, nn.Linear, "Block")
        with torch.no_grad():
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
        for training in True, False:
            block.train(training)
            mode = "training" if training else "evaluation"
            answer.given = f"Block({width}) in {mode} mode and X of shape ({n}, {width})"
            mean, var = (None, None) if training else (norm.running_mean, norm.running_var)
            normed = F.relu(F.batch_norm(X, mean, var, norm.weight, norm.bias, training=training))
            branch = F.linear(normed, linear.weight, linear.bias)
            came = block(X)
            _not(came, branch, "The block returns the branch only: add the input to it.")
            _not(came, F.relu(X + branch), "The sum goes through a ReLU: the input has to pass unchanged.")
            _not(
                came,
                normed + branch,
                "The block adds the normalized input: the input itself has to pass unchanged.",
            )
            why = "The block is not the sum of X and the branch: batch normalization, ReLU, linear layer."
            answer.same(came, X + branch, "block(X)", why)


def _check_net(answer: Answer) -> None:
    for width, depth in (12, 1), (20, 3):
        kind: Any = answer.module_class("Block")
        make = answer.module_class("Net")
        X = torch.rand(5, 64)
        answer.given = f"Net({width}, {depth}) and X of shape (5, 64)"
        net = make(width, depth)
        shape = answer.tensor(net(X), "net(X)").shape
        answer.same(tuple(shape), (5, 10), "net(X).shape", "The net does not return 10 scores for each row.")
        answer.without_mistakes(net, X)
        blocks = [each for each in net.modules() if isinstance(each, kind)]
        if len(blocks) != depth:
            raise Wrong(
                f"The net has {len(blocks)} of {depth} blocks: `[Block(width)] * depth` would be one block, "
                "several times.",
                came=f"{len(blocks)} blocks",
                expected=f"{depth} blocks",
                page="parameters.md#layer-3-makes-one-layer-not-three",
            )
        inside = {id(each) for block in blocks for each in block.modules()}
        outside = nn.ModuleList(each for each in net.modules() if _is_layer(each) and id(each) not in inside)
        first = _the(outside, nn.Linear, "Net", 64, width)
        last = _the(outside, nn.Linear, "Net", width, 10)
        came, called = _with_calls(net.eval(), X, blocks)
        if sorted(map(id, called)) != sorted(map(id, blocks)):
            raise Wrong(
                "Each block has to be called once.",
                came=f"{len(called)} calls of {len(set(called))} blocks",
                expected=f"{depth} calls of {depth} blocks",
            )
        expected = nn.Sequential(first, *called, last)(X)
        if torch.allclose(came, expected.softmax(dim=1), atol=1e-5):
            raise Wrong(
                "The net returns probabilities: return the scores, because `F.cross_entropy` applies log-softmax "
                "itself.",
                came=came[0],
                expected=expected[0],
                page="diagnosis.md#the-loss-stays-high-softmax-before-cross_entropy",
            )
        why = "The net is not the first linear layer, the blocks one after the other, and the last linear layer."
        answer.same(came, expected, "net(X)", why)


def _check_accuracy(answer: Answer) -> None:
    make = answer.module_class("Net")
    measure = answer.function("accuracy")
    for n, wrong in (6, 2), (20, 5):
        net = make(12, 2)
        while True:
            X = torch.rand(n, 64)
            for each in net.modules():
                if isinstance(each, nn.BatchNorm1d):
                    each.running_mean = torch.randn(12)
            y = net.eval()(X).argmax(dim=1)
            y[:wrong] = (y[:wrong] + 1) % 10
            other = _share(net.train(), X, y)
            if other != 1 - wrong / n:
                break
        for training in False, True:
            mode = "training" if training else "evaluation"
            answer.given = f"a net in {mode} mode and {n} images, of which it gets {n - wrong} right"
            net.train(training)
            came, with_graph = _with_graph(measure, net, X, y)
            answer.kind(came, "accuracy(net, X, y)", float, "a float")
            expected = (n - wrong) / n
            if training and abs(came - expected) > 1e-6:
                raise Wrong(
                    "The accuracy is measured in training mode, with the statistics of the batch: call "
                    "`net.eval()` first.",
                    came=round(came, 4),
                    expected=round(expected, 4),
                    page="modules.md#the-same-input-gives-a-different-output-every-time",
                )
            if abs(came - expected) > 1e-6:
                raise Wrong(
                    "This is not the share of right predictions.", came=came, expected=round(expected, 4)
                )
            if {each.training for each in net.modules()} != {training}:
                raise Wrong(
                    f"The net was in {mode} mode and is not any more: keep `net.training` before you call "
                    "`eval()`, and put it back with `net.train(...)`.",
                    came=f"net.training is {net.training}",
                    expected=f"net.training is {training}",
                    page="modules.md#the-same-input-gives-a-different-output-every-time",
                )
            if with_graph:
                raise Wrong(
                    "The net is called with gradients, which costs memory: use `torch.no_grad()`.",
                    came="net(X).requires_grad is True",
                    expected="net(X).requires_grad is False",
                )


def _check_start(answer: Answer) -> None:
    X, y, X_test, y_test = _data()
    answer.given = "the data"
    for name, data in ("X_train", X), ("y_train", y), ("X_test", X_test), ("y_test", y_test):
        answer.same(answer[name], data, name, f"Leave `{name}` as it is.", tolerance=0)
    answer.same(answer["BATCH"], 100, "BATCH", "Leave `BATCH` as it is.")
    answer.given = "start()"
    start = answer.function("start")
    net, optimizer, scheduler, shuffling = start()
    torch.manual_seed(0)
    other = answer.names["Net"](width=32, depth=3)
    expected_optimizer = torch.optim.Adam(other.parameters(), lr=0.01)
    expected_scheduler = torch.optim.lr_scheduler.StepLR(expected_optimizer, step_size=2, gamma=0.5)
    pairs: tuple[tuple[Any, Any], ...] = (
        (net, other),
        (optimizer, expected_optimizer),
        (scheduler, expected_scheduler),
    )
    same = all(
        type(came) is type(expected) and same_values(came.state_dict(), expected.state_dict())
        for came, expected in pairs
    )
    if not same or shuffling.initial_seed() != 0:
        raise Wrong("Leave `start` as it is: seed, sizes, optimizer, scheduler and generator.", at=start)
    answer.without_mistakes(net, X[:20], loss=lambda Y: F.cross_entropy(Y, y[:20]), optimizer=optimizer)


def _check_run(answer: Answer) -> "_Run":
    """A run that is not stopped."""
    X, y, X_test, y_test = _data()
    whole = _run(answer, _new_folder("whole"), _EPOCHS)
    steps = whole.steps
    net = whole.net
    if not steps:
        raise Wrong(
            "`train` in a new folder takes no step of the optimizer.", came="0 steps", expected="60 steps"
        )
    if any(step.X is None for step in steps):
        raise Wrong(
            "A step of the optimizer has no call of the net before it: call `net(X)`, not `net.forward(X)`.",
            came="no call",
            expected="net(X)",
            page="diagnosis.md#layerforwardx-skips-the-hooks",
        )
    if any(not step.training for step in steps):
        number = [step.training for step in steps].index(False)
        raise Wrong(
            "The net trains in evaluation mode, in which batch normalization uses its stored statistics.",
            came=f"evaluation mode in step {number + 1}",
            expected="training mode",
            page="modules.md#the-same-input-gives-a-different-output-every-time",
        )
    _check_gradient(answer, steps[0], X, y, "The first gradient is not that of the mean cross entropy of the "
        "batch: are the labels in the same order as the images?")  # fmt: skip
    if len(steps) != _EPOCHS * _BATCHES:
        raise Wrong(
            f"A run of {_EPOCHS} epochs has {_EPOCHS * _BATCHES} steps: {_BATCHES} batches an epoch.",
            came=f"{len(steps)} steps",
            expected=f"{_EPOCHS * _BATCHES} steps",
        )
    _check_gradient(answer, steps[1], X, y, "The second gradient is not that of its batch alone: is the "
        "gradient of the first batch still in it?")  # fmt: skip
    orders = [
        places(X, torch.cat([_batch(step) for step in steps[i : i + _BATCHES]]))
        for i in range(0, len(steps), _BATCHES)
    ]
    for order in orders:
        if sorted(order) != list(range(len(X))):
            raise Wrong(
                "An epoch does not take each training image once.",
                came=f"{len(set(order) - {-1})} different images in {len(order)}",
                expected=f"{len(X)} different images",
            )
    if len({tuple(order) for order in [*orders, sorted(orders[0])]}) != _EPOCHS + 1:
        raise Wrong(
            "Each epoch needs a new random order: with the same seed in each, or without shuffling, it is the "
            "same one.",
            came=f"{orders[1][:4]} first in epoch 2, {orders[0][:4]} in epoch 1",
            expected="different orders",
        )
    rates = [round(step.rate, 6) for step in steps]
    expected = [0.01 * 0.5 ** (number // (2 * _BATCHES)) for number in range(len(steps))]
    if rates != expected:
        number = next(i for i, pair in enumerate(zip(rates, expected, strict=True)) if pair[0] != pair[1])
        raise Wrong(
            "The learning rate is wrong: the scheduler takes one step at the end of each epoch.",
            came=f"{rates[number]} in step {number + 1}",
            expected=expected[number],
        )
    if (share := _share(net.eval(), X_test, y_test)) < _ACCURACY:
        raise Wrong(
            "The net has not learned enough.",
            came=f"{share:.0%} of the test images right",
            expected=f"{_ACCURACY:.0%} and more",
        )
    return whole


def _check_gradient(answer: Answer, step: Step, X: Tensor, y: Tensor, why: str) -> None:
    rows = places(X, _batch(step))
    if -1 in rows:
        raise Wrong(
            "The net is trained with images that are not those of `X_train`.",
            came="other images",
            expected="rows of X_train",
        )
    net = answer.names["Net"](width=32, depth=3)
    net.load_state_dict(step.before)
    loss = F.cross_entropy(net(X[rows]), y[rows])
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in net.named_parameters():
        came = step.gradients[name]
        if came is None:
            raise Wrong(
                "There is no gradient at the step of the optimizer: `zero_grad()` after `backward()` removes it.",
                came=_size(name, came),
                expected=_size(name, parameter.grad),
            )
        if not torch.allclose(came, parameter.grad, rtol=1e-3, atol=1e-5):
            raise Wrong(why, came=_size(name, came), expected=_size(name, parameter.grad))


def _check_resuming(answer: Answer, whole: "_Run") -> None:
    folder = _new_folder("stopped")
    done = 0
    for epochs in 1, 2, _EPOCHS, _EPOCHS:
        answer.given = f"train(folder, {done}), and in a new process train(folder, {epochs})"
        if not done:
            answer.given = f"train(folder, {epochs}) with a new folder"
        _check_goes_on(answer, _run(answer, folder, epochs, given=answer.given), whole, done, epochs)
        done = epochs
    folder = _new_folder("interrupted")
    answer.given = "train(folder, 4), stopped in the middle of epoch 3, and in a new process train(folder, 4)"
    with contextlib.suppress(Stopped):
        _run(answer, folder, _EPOCHS, given=answer.given, stop=2 * _BATCHES + 7)
    again = _run(answer, folder, _EPOCHS, given=answer.given)
    count = {"came": f"{len(again.steps)} steps after the stop", "expected": f"{2 * _BATCHES} steps"}
    if len(again.steps) == _EPOCHS * _BATCHES:
        why = "A run that is stopped in the middle has saved nothing: save at the end of each epoch."
        raise Wrong(why, **count)
    if len(again.steps) < 2 * _BATCHES:
        why = "The epoch in which the run was stopped counts as done: save when an epoch is complete."
        raise Wrong(why, **count)
    _check_goes_on(answer, again, whole, 2, _EPOCHS)


def _check_goes_on(answer: Answer, came: "_Run", whole: "_Run", done: int, epochs: int) -> None:
    """Compare a run from one epoch to another with the same epochs of the run that was not stopped."""
    expected = (epochs - done) * _BATCHES
    first = whole.steps[done * _BATCHES] if done < _EPOCHS else None
    if len(came.steps) != expected:
        raise Wrong(
            _why_not_on(came, first, done, epochs),
            came=f"{len(came.steps)} steps",
            expected=f"{expected} steps",
        )
    if first:
        _check_begin(came, first, whole.steps[epochs * _BATCHES - 1].rate)
    after = whole.steps[epochs * _BATCHES].before if epochs < _EPOCHS else whole.net.state_dict()
    if not same_values(dict(came.net.state_dict()), dict(after)):
        raise Wrong(
            "The run ends with another net than the run that was not stopped.",
            came="other values",
            expected="the same values, to the bit",
        )


def _why_not_on(came: "_Run", first: Step | None, done: int, epochs: int) -> str:
    """Why a run that is to go on with an epoch has a wrong number of steps."""
    if done == 0:
        return "A run in a new folder does not train from the first epoch on: does it use another folder?"
    if Path(came.folder, "step-0.safetensors").exists():
        return (
            "The checkpoint of the first epoch has the step 0: save it with the number of epochs that are done, "
            "with which the loop goes on."
        )
    if first and len(came.steps) == epochs * _BATCHES:
        if same_values(came.steps[0].before, first.before):
            return (
                f"The run trains for {epochs} more epochs, although it has loaded a checkpoint: loop over "
                "`range(done, epochs)`."
            )
        return "The run begins with the first epoch again, as if there were no checkpoint: load it before the loop."
    return f"The run has to go on after epoch {done}, until {epochs} epochs are done."


def _check_begin(came: "_Run", first: Step, last_rate: float) -> None:
    """Compare the first step of a run that goes on, and the last learning rate, with the run that was not stopped."""
    step = came.steps[0]
    page = "serialization.md#resuming-training"
    names = [name for name in first.before if not same_values(step.before[name], first.before[name])]
    if names:
        raise Wrong(
            "The run does not go on with the net that the last complete epoch left.",
            came=f"{len(names)} of {len(first.before)} tensors differ, such as {names[0]}",
            expected="the tensors of the run that was not stopped",
        )
    if not same_values(step.moments, first.moments):
        why = "The optimizer has forgotten its moments: save and load its state, too."
        raise Wrong(why, came=_moments(step), expected=_moments(first), page=page)
    for rate, expected in (step.rate, first.rate), (came.steps[-1].rate, last_rate):
        if rate != expected:
            raise Wrong(
                "The learning rate is not that of the run that was not stopped: save and load the scheduler, too, "
                "after its step.",
                came=rate,
                expected=expected,
                page="serialization.md#the-learning-rate-is-reset-after-resuming",
            )
    X, *_ = _data()
    orders = [places(X, _batch(each)[:4]) for each in (step, first)]
    if orders[0] != orders[1]:
        raise Wrong(
            "The order of the images is not that of the run that was not stopped: save and load the generator that "
            "shuffles, too.",
            came=f"images {orders[0]} first",
            expected=f"images {orders[1]} first",
            page=page,
        )


@dataclass(frozen=True)
class _Run:
    net: nn.Module
    steps: list[Step]
    folder: str


def _run(answer: Answer, folder: str, epochs: int, given: str = "", stop: int | None = None) -> _Run:
    """Call `train` as in a new process."""
    answer.given = given or f"train(folder, {epochs}) with a new folder"
    names = run_again(answer.file)
    answer.function("train")
    with Watch(names["Net"], _BATCHES, stop) as watch:
        try:
            net = names["train"](folder, epochs)
        except TypeError as error:
            if "'NoneType' object cannot be interpreted" not in str(error):
                raise
            raise Wrong(
                "`load_checkpoint` returns `None` if there is no checkpoint yet: begin with 0 in that case.",
                came=f"TypeError: {error}",
                expected="0",
            ) from None
    answer.kind(net, f"train(folder, {epochs})", names["Net"], "a Net")
    return _Run(net, watch.steps, folder)


def _the(net: nn.Module, kind: Any, owner: str, *sizes: int) -> Any:
    """The only layer of its kind and sizes."""
    layers = [each for each in net.modules() if _is_layer(each)]
    found = [each for each in layers if isinstance(each, kind) and (not sizes or _sizes(each) == sizes)]
    name = f"nn.{kind.__name__}" + (f"({', '.join(map(str, sizes))})" if sizes else "")
    if len(found) != 1:
        raise Wrong(f"`{owner}` has to have one `{name}`.", came=layers, expected=f"one {name}")
    return found[0]


def _is_layer(module: nn.Module) -> bool:
    return bool(module._parameters)


def _sizes(layer: Any) -> tuple[int, int]:
    return layer.in_features, layer.out_features


def _not(came: Tensor, wrong: Tensor, why: str) -> None:
    if torch.allclose(came, wrong, rtol=1e-4, atol=1e-5):
        raise Wrong(why, came=came, expected="the sum of X and the branch")


def _with_calls(net: nn.Module, X: Tensor, blocks: list[nn.Module]) -> tuple[Tensor, list[nn.Module]]:
    """The output of the net, and the blocks in the order in which it calls them."""
    called: list[nn.Module] = []
    hooks = [block.register_forward_pre_hook(lambda block, args: called.append(block)) for block in blocks]
    Y: Tensor = net(X)
    for hook in hooks:
        hook.remove()
    return Y, called


def _with_graph(measure: Callable[..., Any], net: nn.Module, X: Tensor, y: Tensor) -> tuple[Any, bool]:
    """What the function returns, and whether it calls the net with gradients."""
    graphs: list[bool] = []
    hook = net.register_forward_hook(lambda net, args, Y: graphs.append(Y.requires_grad))
    came = measure(net, X, y)
    hook.remove()
    return came, any(graphs)


def _share(net: nn.Module, X: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (net(X).argmax(dim=1) == y).float().mean().item()


def _size(name: str, gradient: Tensor | None) -> str:
    return f"{name}.grad is None" if gradient is None else f"{name}.grad has norm {gradient.norm():.3f}"


def _batch(step: Step) -> Tensor:
    return torch.empty(0, 64) if step.X is None else step.X


def _moments(step: Step) -> str:
    first = step.moments[0]
    return f"Adam has counted {int(first['step'])} steps" if first else "Adam begins without moments"


def _data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    datasets: Any = importlib.import_module("sklearn.datasets")  # not needed by other exercises
    images, labels = datasets.load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    return X[:1500], y[:1500], X[1500:], y[1500:]


def _new_folder(name: str) -> str:
    return str(Path(tempfile.mkdtemp(dir=".")) / name)


WRONG = (
    WrongAnswer("returns the branch only", changes={"return X + self": "return self"}),
    WrongAnswer("Write self.blocks = nn.ModuleList", changes={
        "nn.Sequential(*[Block(width) for _ in range(depth)])": "[Block(width) for _ in range(depth)]",
        "return self.last(self.blocks(self.first(X)))":
            "X = self.first(X)\n        for block in self.blocks:\n            X = block(X)\n"
            "        return self.last(X)",
    }),
    WrongAnswer("is measured in training mode", changes={"    net.eval()\n": "", }),
    WrongAnswer("is not any more", changes={"    net.train(training)\n": ""}),
    WrongAnswer("the same order as the images", changes={"y_train[batch])": "y_train[: len(batch)])"}),
    WrongAnswer("still in it", changes={"            optimizer.zero_grad()\n": ""}),
    WrongAnswer("trains for 2 more epochs, although", changes={"range(done, epochs)": "range(epochs)"}),
    WrongAnswer("as if there were no checkpoint", changes={"load_checkpoint(folder, **parts) or 0": "0"}),
    WrongAnswer("forgotten its moments", changes={'        "optimizer": optimizer,\n': ""}),
    WrongAnswer("save and load the scheduler", changes={'        "scheduler": scheduler,\n': ""}),
    WrongAnswer("generator that shuffles", changes={'        "shuffling": shuffling,\n': ""}),
    WrongAnswer("has the step 0", changes={"folder, epoch + 1": "folder, epoch"}),
    WrongAnswer("saved nothing", changes={
        "        save_checkpoint(folder, epoch + 1, **parts)": "    save_checkpoint(folder, epochs, **parts)"
    }),
)  # fmt: skip
