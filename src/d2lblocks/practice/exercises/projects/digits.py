"""A net that resumes to the bit."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from ._digits_runs import check_resuming, check_run, digits_data, share_right
from ._watch import calls_of, line_of, located, same_values, with_graph

LEVEL = "hard"
SECONDS = 30
MODULES = ("sklearn.datasets",)
PAGE = "serialization.md#checkpoints"
TASK = """
Train a small residual net on scikit-learn's images of digits so that a run that is stopped and started again ends with the same net, to the bit, as a run that is never stopped.

`Block(width)` returns its input plus the output of a branch: `nn.BatchNorm1d`, ReLU and `nn.Linear`, in this order.
`Net(width, depth)` is `nn.Linear(64, width)`, `depth` blocks and `nn.Linear(width, 10)`; it returns the scores of the ten digits.
`accuracy(net, X, y)` returns the share of right predictions as a `float`.
It calls the net in evaluation mode and without gradients, and leaves it in the mode that it was in before.

`train(folder, epochs)` trains the net of `start()` until `epochs` epochs are done, and returns it.
Each epoch visits all training images in a new random order, in batches of `BATCH`: one optimizer step per batch, with its mean cross entropy, and one scheduler step at the end of the epoch.
After each epoch, save a checkpoint in `folder`, which is a string.
When `train` is called again with the same folder, in a new process, it continues after the last complete epoch, even if the run before was stopped in the middle of an epoch.

Do not change `start` or the lines above `Block`; if scikit-learn is missing, run `pip install scikit-learn`.
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
The next epoch depends on the net with its running statistics, Adam's moments, the learning rate, the order of the images and the number of the epoch, and after a stop all of them are as they would have been.
Other ways to an order that survives a stop: a `DataLoader` that shuffles with `generator=shuffling`, or a generator that each epoch makes from its own number, which needs no saving.
"""


def check(answer: Answer) -> None:
    """From the parts to the run: block, net, accuracy, a run, and runs that are stopped."""
    _check_block(answer)
    _check_net(answer)
    _check_accuracy(answer)
    _check_start(answer)
    with located(answer.function("train")):
        whole = check_run(answer)
        check_resuming(answer, whole)


def _check_block(answer: Answer) -> None:
    for n, width in (2, 3), (6, 5):
        make = answer.module_class("Block")
        X = torch.randn(n, width)
        answer.given = f"Block({width}) and X of shape ({n}, {width})"
        block = make(width)
        given = X.clone()
        try:
            output = answer.tensor(block(given), "block(X)")
        except RuntimeError as error:
            if "running_mean should contain" not in str(error):
                raise
            why = f"The batch normalization of `Block({width})` needs {width} features, as many as its input has."
            raise Wrong(
                why, came=f"RuntimeError: {error}", expected=f"nn.BatchNorm1d({width})", at=make
            ) from None
        answer.same(
            output.shape, X.shape, "block(X).shape", "The output of the block needs the shape of its input."
        )
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
            why = "The block does not return X plus the branch: batch normalization, ReLU and linear layer."
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
            why = "The number of blocks has to be `depth`."
            if len(blocks) == 1:
                why = (
                    "The net has only one block. (`[Block(width)] * depth` is one block under several names.)"
                )
            raise Wrong(
                why,
                came=f"{len(blocks)} block{'s' * (len(blocks) != 1)}",
                expected=f"{depth} block{'s' * (depth != 1)}",
                at=make.__init__,
                page="parameters.md#layer-3-makes-one-layer-not-three" if len(blocks) == 1 else "",
            )
        inside = {id(each) for block in blocks for each in block.modules()}
        outside = nn.ModuleList(each for each in net.modules() if _is_layer(each) and id(each) not in inside)
        first = _the(outside, nn.Linear, "Net", 64, width)
        last = _the(outside, nn.Linear, "Net", width, 10)
        came, called = calls_of(net.eval(), X, blocks)
        if sorted(map(id, called)) != sorted(map(id, blocks)):
            raise Wrong(
                "Each block has to be called once.",
                came=f"{len(called)} calls of {len(set(called))} blocks",
                expected=f"{depth} calls of {depth} blocks",
                at=make,
            )
        expected = nn.Sequential(first, *called, last)(X)
        if torch.allclose(came, expected.softmax(dim=1), atol=1e-5):
            raise Wrong(
                "The net returns probabilities: return the scores, because `F.cross_entropy` applies log-softmax "
                "itself.",
                came=came[0],
                expected=expected[0],
                at=make,
                page="diagnosis.md#the-loss-stays-high-softmax-before-cross_entropy",
            )
        if not torch.allclose(came, expected, rtol=1e-4, atol=1e-5):
            why = "The net is not the first linear layer, the blocks one after the other, and the last linear layer."
            if torch.allclose(came, last(first(X)), atol=1e-5):
                why = "The blocks are called, but the net does nothing with what they return."
            elif torch.allclose(came, nn.Sequential(first, nn.ReLU(), *called, last)(X), atol=1e-5):
                why = "There is a ReLU after the first linear layer: the net has it only inside the blocks."
            elif torch.allclose(came, nn.Sequential(first, *called, nn.ReLU(), last)(X), atol=1e-5):
                why = "There is a ReLU before the last linear layer: the net has it only inside the blocks."
            raise Wrong(why, came=came[0], expected=expected[0], at=make)


def _check_accuracy(answer: Answer) -> None:
    make = answer.module_class("Net")
    measure = answer.function("accuracy")
    for n, wrong in (6, 2), (205, 51):
        net = make(12, 2)
        while True:
            X = torch.rand(n, 64)
            for each in net.modules():
                if isinstance(each, nn.BatchNorm1d):
                    each.running_mean = torch.randn(12)
            y = net.eval()(X).argmax(dim=1)
            y[:wrong] = (y[:wrong] + 1) % 10
            other = share_right(copy.deepcopy(net).train(), X, y)
            if other != 1 - wrong / n:
                break
        for training in False, True:
            mode = "training" if training else "evaluation"
            answer.given = f"a net in {mode} mode and {n} images, of which it gets {n - wrong} right"
            net.train(training)
            expected = (n - wrong) / n
            try:
                came, recorded = with_graph(measure, net, X, y)
            except RuntimeError as error:
                raise _about_accuracy(error, expected) or error from None
            why = ""
            if isinstance(came, Tensor):
                why = "`accuracy(net, X, y)` is a tensor: `item()` makes a Python number of it."
            elif isinstance(came, int):
                why = "This is the number of right predictions, not their share."
            if why:
                raise Wrong(why, came=came, expected=round(expected, 4))
            answer.kind(came, "accuracy(net, X, y)", float, "a float")
            if training and abs(came - expected) > 1e-6:
                raise Wrong(
                    "The accuracy is measured in training mode, with the statistics of the batch: call "
                    "`net.eval()` first.",
                    came=round(came, 4),
                    expected=round(expected, 4),
                    page="modules.md#the-same-input-gives-a-different-output-every-time",
                )
            if abs(came - expected) > 1e-6:
                why = (
                    "This is not the share of right predictions: it has to depend on the arguments `net`, `X` and `y`, and "
                    "one prediction is the number of the largest score in a row."
                )
                if abs(came - 100 * expected) < 1e-3:
                    why = "This is a percentage: a share is between 0 and 1."
                elif abs(came - _mean_of_batches(net, X, y)) < 1e-6:
                    why = (
                        "This is the mean of the shares of the batches, and the last batch can be smaller: divide the "
                        "right predictions of all batches by the number of images."
                    )
                raise Wrong(why, came=round(came, 4), expected=round(expected, 4))
            if {each.training for each in net.modules()} != {training}:
                raise Wrong(
                    f"The net was in {mode} mode before the call and is not afterward: keep `net.training` before you call "
                    "`eval()`, and restore it with `net.train(...)`.",
                    came=f"net.training is {net.training}",
                    expected=f"net.training is {training}",
                    page="modules.md#the-same-input-gives-a-different-output-every-time",
                )
            if recorded:
                raise Wrong(
                    "The net is called with gradients, which costs memory: use `torch.no_grad()`.",
                    came="net(X).requires_grad is True",
                    expected="net(X).requires_grad is False",
                )


def _mean_of_batches(net: nn.Module, X: Tensor, y: Tensor) -> float:
    """The mean of the shares of right predictions in batches of 100 images."""
    parts = [slice(begin, begin + 100) for begin in range(0, len(X), 100)]
    return sum(share_right(net.eval(), X[part], y[part]) for part in parts) / len(parts)


def _about_accuracy(error: Exception, expected: float) -> Wrong | None:
    """The verdict on an error in `accuracy`, if it is one of the usual errors."""
    came = f"RuntimeError: {error}"
    if "mean()" in came or "mean(): could not infer" in came:
        why = "`mean` needs floating-point numbers, and these are `True` and `False`."
    elif "The size of tensor a" in came:
        why = "The predictions and `y` have different shapes: there has to be one prediction for each image, from the ten scores in its row."
    else:
        return None
    return Wrong(why, came=came, expected=round(expected, 4))


def _check_start(answer: Answer) -> None:
    X, y, X_test, y_test = digits_data()
    answer.given = "the data"
    for name, data in ("X_train", X), ("y_train", y), ("X_test", X_test), ("y_test", y_test):
        with located(line_of(answer.file, name)):
            answer.same(answer[name], data, name, f"Leave `{name}` as it is.", tolerance=0)
    with located(line_of(answer.file, "BATCH")):
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


WRONG = (
    WrongAnswer(
        "the mean of the shares of the batches",
        changes={
            "        right = net(X).argmax(dim=1) == y\n": "        shares = [\n"
            "            (net(a).argmax(dim=1) == b).float().mean()\n"
            "            for a, b in zip(X.split(100), y.split(100))\n        ]\n",
            "right.float().mean()": "torch.stack(shares).mean()",
        },
    ),
    WrongAnswer("call `start` in `train`", changes={
        "    net, optimizer, scheduler, shuffling = start()\n": "    net, optimizer, scheduler, shuffling = RUN\n",
        "def train(": "RUN = start()\n\n\ndef train(",
    }),
    WrongAnswer("returns the branch only", changes={"return X + self": "return self"}),
    WrongAnswer("Write self.blocks = nn.ModuleList", changes={
        "nn.Sequential(*[Block(width) for _ in range(depth)])": "[Block(width) for _ in range(depth)]",
        "return self.last(self.blocks(self.first(X)))":
            "X = self.first(X)\n        for block in self.blocks:\n            X = block(X)\n"
            "        return self.last(X)",
    }),
    WrongAnswer("does nothing with what they return", changes={
        "return self.last(self.blocks(self.first(X)))": "self.blocks(self.first(X))\n        return self.last(self.first(X))",
    }),
    WrongAnswer("ReLU after the first", changes={"self.first(X)": "F.relu(self.first(X))"}),
    WrongAnswer("only one block", changes={"[Block(width) for _ in range(depth)]": "[Block(width)] * depth"}),
    WrongAnswer("has to be `depth`", changes={"in range(depth)": "in range(3)"}),
    WrongAnswer("as many as its input", changes={"BatchNorm1d(width)": "BatchNorm1d(64)"}),
    WrongAnswer("number of right predictions", changes={"right.float().mean()": "right.sum()"}),
    WrongAnswer("is a percentage", changes={"return right": "return 100 * right"}),
    WrongAnswer("`True` and `False`", changes={".float()": ""}),
    WrongAnswer("from the ten scores", changes={"dim=1": "dim=0"}),
    WrongAnswer("it has to depend", changes={"net(X).argmax(dim=1) == y": "net(X_test).argmax(dim=1) == y_test"}),
    WrongAnswer("is measured in training mode", changes={"    net.eval()\n": "", }),
    WrongAnswer("is not afterward", changes={"    net.train(training)\n": ""}),
    WrongAnswer("in the same order as", changes={"y_train[batch])": "y_train[: len(batch)])"}),
    WrongAnswer("still in it", changes={"            optimizer.zero_grad()\n": ""}),
    WrongAnswer("and not the mean", changes={"y_train[batch])": "y_train[batch], reduction=\"sum\")"}),
    WrongAnswer("in the order of `X_train`", changes={"order.split": "torch.arange(len(X_train)).split"}),
    WrongAnswer("in another order", changes={"torch.randperm(len(X_train), generator=shuffling)": "torch.from_numpy(__import__(\"numpy\").random.permutation(len(X_train)))"}),
    WrongAnswer("before the epoch", changes={
        "        save_checkpoint(folder, epoch + 1, **parts)\n": "",
        "        order = torch": "        save_checkpoint(folder, epoch + 1, **parts)\n        order = torch",
    }),
    WrongAnswer("as named arguments", changes={"epoch + 1, **parts": "epoch + 1, parts"}),
    WrongAnswer("returns a step, not a net", changes={
        "    done = load_checkpoint(folder, **parts) or 0": "    net = load_checkpoint(folder, **parts)\n    done = 0"
    }),
    WrongAnswer("After epoch 2, the last checkpoint has the step 1", changes={"range(done, epochs)": "range(epochs - done)"}),
    WrongAnswer("and trains for 2 more", changes={"range(done, epochs)": "range(epochs)"}),
    WrongAnswer("as if there were no checkpoint", changes={"load_checkpoint(folder, **parts) or 0": "0"}),
    WrongAnswer("optimizer's moments", changes={'        "optimizer": optimizer,\n': ""}),
    WrongAnswer("the scheduler's", changes={'        "scheduler": scheduler,\n': ""}),
    WrongAnswer("generator that shuffles", changes={'        "shuffling": shuffling,\n': ""}),
    WrongAnswer("has the step 0", changes={"folder, epoch + 1": "folder, epoch"}),
    WrongAnswer("saved nothing", changes={
        "        save_checkpoint(folder, epoch + 1, **parts)": "    save_checkpoint(folder, epochs, **parts)"
    }),
)  # fmt: skip
