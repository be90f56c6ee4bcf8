"""A stranger's training script."""

import contextlib
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d2lblocks.diagnosis import diagnose

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from ._watch import Step, Stopped, Watch, calls_of, located, same_values, with_graph

LEVEL = "hard"
SECONDS = 30
PAGE = "diagnosis.md#with-a-loss-and-an-optimizer"
TASK = """
A stranger's script learns to tell the points of three spirals apart, but gets only about half of the test points right.
Fix its six mistakes so that `main(0)`, which returns this share after each of three rounds of training, ends at 85% or more.

With `net, optimizer = build()` and `X, y = spirals(60)`, `diagnose(net, X, loss=lambda Y: criterion(Y, y), optimizer=optimizer)` names four of them, one only after another is fixed.
The other two are in `train` and `accuracy`.

Do not change anything else: names and arguments, the data, the layers and their sizes, dropout, Adam and its learning rate, the batches and the number of epochs.
"""
_TOP = """\
import math

import torch
from torch import nn
from torch.nn import functional as F

criterion = nn.CrossEntropyLoss()


def spirals(n):
    y = torch.arange(n) % 3
    radius = torch.rand(n)
    angle = 2 * math.pi * (radius + y / 3) + 0.2 * torch.randn(n)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), y


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.gain = nn.Parameter(torch.full((width,), 0.1))
        self.dropout = nn.Dropout(0.2)

"""
_MAIN = """\
def main(seed):
    torch.manual_seed(seed)
    X, y = spirals(300)
    X_test, y_test = spirals(300)
    net, optimizer = build()
    shares = []
    for _ in range(3):
        train(net, optimizer, X, y, epochs=10)
        shares.append(accuracy(net, X_test, y_test))
    return shares
"""
STUB = f"""\
{_TOP}\
    def forward(self, X):
        return X + self.gain.data * self.dropout(F.relu(self.linear(X)))


class Classifier(nn.Module):
    def __init__(self, width, depth, classes):
        super().__init__()
        self.first = nn.Linear(2, width)
        self.blocks = [Block(width) for _ in range(depth)]
        self.head = nn.Linear(width, classes)

    def forward(self, X):
        X = F.relu(self.first(X))
        for block in self.blocks:
            X = block(X)
        return F.softmax(self.head(X), dim=1)


def build():
    net = Classifier(width=32, depth=3, classes=10)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    net.head = nn.Linear(32, 3)  # we have three classes, not ten
    return net, optimizer


def train(net, optimizer, X, y, epochs):
    for _ in range(epochs):
        for batch in torch.randperm(len(X)).split(30):
            loss = criterion(net(X[batch]), y[batch])
            loss.backward()
            optimizer.step()


def accuracy(net, X, y):
    with torch.no_grad():
        right = net(X).argmax(dim=1) == y
    return right.float().mean().item()


{_MAIN}"""
SOLUTION = f"""\
{_TOP}\
    def forward(self, X):
        return X + self.gain * self.dropout(F.relu(self.linear(X)))


class Classifier(nn.Module):
    def __init__(self, width, depth, classes):
        super().__init__()
        self.first = nn.Linear(2, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, classes)

    def forward(self, X):
        X = F.relu(self.first(X))
        for block in self.blocks:
            X = block(X)
        return self.head(X)


def build():
    net = Classifier(width=32, depth=3, classes=10)
    net.head = nn.Linear(32, 3)  # we have three classes, not ten
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    return net, optimizer


def train(net, optimizer, X, y, epochs):
    net.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(X)).split(30):
            loss = criterion(net(X[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def accuracy(net, X, y):
    net.eval()
    with torch.no_grad():
        right = net(X).argmax(dim=1) == y
    return right.float().mean().item()


{_MAIN}"""
HINTS = (
    "What does `diagnose` say of the net, the loss and the optimizer that `build()` returns?",
    "Read diagnosis.md#with-a-loss-and-an-optimizer for what `diagnose` names; what it cannot see is in "
    "parameters.md#resetting-gradients-zero_grad and in "
    "modules.md#the-same-input-gives-a-different-output-every-time.",
    "`nn.ModuleList` around the blocks, `self.gain` without `.data`, the head without softmax, the optimizer after "
    "the new head, `optimizer.zero_grad()` before `backward()`, `net.eval()` in `accuracy` and `net.train()` in "
    "`train`.",
)
AFTER = """
`diagnose` sees the net, the loss and the optimizer, but not your loop: it cannot know what is left in `grad` from the step before, or in which mode you measure.
If the net returned `F.log_softmax(...)`, `nn.NLLLoss()` would be the right criterion.
"""
_CODES = (
    "softmax-twice",
    "unused",
    "frozen",
    "one-layer-many-names",
)  # questions of `diagnose` that count as mistakes here
_ROUNDS, _STEPS, _BATCH = 3, 100, 30  # steps of a round, points of a batch
_ACCURACY = 0.85
_IN_EVALUATION = "modules.md#the-same-input-gives-a-different-output-every-time"


def check(answer: Answer) -> None:
    """First what `diagnose` names, then the loop and the measuring, then what was to be kept."""
    _check_data(answer)
    _check_build(answer)
    _check_parts(answer)
    with located(answer.function("train")):
        _check_train(answer)
    with located(answer.function("accuracy")):
        _check_accuracy(answer)
    _check_main(answer)


def _check_data(answer: Answer) -> None:
    spirals = answer.function("spirals")
    answer.given = "spirals(30)"
    torch.manual_seed(2)
    came = answer.kind(spirals(30), "spirals(30)", tuple, "a tuple")
    torch.manual_seed(2)
    for part, expected in zip(came, _spirals(30), strict=True):
        answer.same(
            part, expected, "spirals(30)", "Leave `spirals` as it is: nothing is wrong with the data."
        )


def _check_build(answer: Answer) -> None:
    X, y = _spirals(60)
    criterion = answer["criterion"]
    net, optimizer = _built(answer)
    answer.given = "net, optimizer = build() and X, y = spirals(60)"
    Y = answer.tensor(net(X), "net(X)")
    answer.same(tuple(Y.shape), (60, 3), "net(X).shape", "The net has to return 3 numbers for each point.")
    places = {"optimizer": answer["build"], "softmax-twice": answer["Classifier"]}
    report = diagnose(net, X, loss=lambda Y: criterion(Y, y), optimizer=optimizer)
    for finding in [*report.errors, *report.questions]:
        harmless = finding.code == "softmax-twice" and "changes nothing" in finding.text
        if finding.level == "error" or (finding.code in _CODES and not harmless):
            line = finding.line if finding.file == answer.file else None
            raise Wrong(
                f"{finding.text} {finding.fix.partition(' If this is intended')[0]}",
                came=f"{finding.code}: {', '.join(finding.names)}",
                expected="nothing found",
                at=places.get(finding.code, line),
                page=finding.page,
            )

    if not torch.allclose(criterion(Y, y), F.cross_entropy(Y, y)):
        raise Wrong(
            "Keep the criterion: the mean cross entropy.",
            came=criterion(Y, y),
            expected=F.cross_entropy(Y, y),
        )


def _check_parts(answer: Answer) -> None:
    """The net is the stranger's: the same layers, which compute the same."""
    X, _ = _spirals(20)
    net, optimizer = _built(answer)
    answer.given = "net, optimizer = build()"
    kind: Any = answer.module_class("Block")
    answer.module_class("Classifier")
    other = answer.names["Classifier"](width=4, depth=1, classes=5)
    answer.same(
        tuple(other(X).shape),
        (20, 5),
        "Classifier(width=4, depth=1, classes=5)(X).shape",
        "The net does not return a number for each of its classes.",
    )
    blocks = [each for each in net.modules() if isinstance(each, kind)]
    linears = [each for each in net.modules() if isinstance(each, nn.Linear)]
    sizes = sorted((each.in_features, each.out_features) for each in linears)
    answer.same(
        sizes,
        [(2, 32), (32, 3), (32, 32), (32, 32), (32, 32)],
        "the sizes of the linear layers",
        "Keep the layers of the net, and their sizes.",
    )
    rates = [each.p for each in net.modules() if isinstance(each, nn.Dropout)]
    answer.same(rates, [0.2] * 3, "the rates of dropout", "Keep dropout as it is.")
    Y, called = calls_of(net.eval(), X, blocks)
    gains_of: list[tuple[nn.Linear, nn.Parameter]] = []
    for block in called:
        linear = next(each for each in block.modules() if isinstance(each, nn.Linear))
        gains = [each for each in block.parameters() if not any(each is own for own in linear.parameters())]
        if len(gains) != 1 or not torch.equal(gains[0].detach(), torch.full((32,), 0.1)):
            raise Wrong(
                "Keep the gain of each block: 32 numbers that begin at 0.1, and are trained.", at=kind
            )
        gains_of.append((linear, gains[0]))
    for scores in Y, _with_gains(net, gains_of, X):  # the second time with gains of different values
        expected = F.relu(_with_sizes(linears, 2, 32)(X))
        for linear, gain in gains_of:
            drawn = gain if scores is not Y else torch.full((32,), 0.1)
            expected = expected + drawn * F.relu(linear(expected))
        came, right = scores.log_softmax(dim=1), _with_sizes(linears, 32, 3)(expected).log_softmax(dim=1)
        if not torch.allclose(came, right, rtol=1e-4, atol=1e-5):
            why = "Apart from the mistakes, the net has to compute what it computed before."
            raise Wrong(why, came=came[0], expected=right[0], at=type(net))
    _check_dropout(answer, linears, blocks)
    adam = type(optimizer) is torch.optim.Adam and {each["lr"] for each in optimizer.param_groups} == {0.01}
    if not adam:
        answer.function("build")
        raise Wrong(
            "Keep Adam and its learning rate, 0.01.",
            came=f"{type(optimizer).__name__} with lr={optimizer.param_groups[0]['lr']}",
            expected="Adam with lr=0.01",
            at=answer.names["build"],
        )


def _with_gains(net: nn.Module, gains_of: list[tuple[nn.Linear, nn.Parameter]], X: Tensor) -> Tensor:
    """The scores after the gains have got random values."""
    for _, gain in gains_of:
        nn.init.uniform_(gain, 0.1, 0.5)
    scores: Tensor = net(X)
    return scores


def _check_dropout(answer: Answer, linears: list[nn.Linear], blocks: list[nn.Module]) -> None:
    """If dropout sets everything to 0, a block returns its input."""
    for block in blocks:
        block.train()
        for each in block.modules():
            if isinstance(each, nn.Dropout):
                each.p = 1.0
        X = torch.rand(2, 32)
        came = block(X)
        if not torch.equal(came, X):
            raise Wrong(
                "The block does not use what dropout returns.",
                came=f"block(X) differs from X in {int((came != X).sum())} of 64 numbers",
                expected="block(X) is X, because everything else is 0",
                given="a block in training mode, whose dropout sets everything to 0",
                at=type(block),
            )


def _check_train(answer: Answer) -> None:
    """Without dropout, and with a learning rate of 0, equal batches give equal gradients."""
    net, _ = _built(answer)
    for each in net.modules():
        if isinstance(each, nn.Dropout):
            each.p = 0
    train = answer.function("train")
    X, y = torch.tensor([[0.3, -0.5]]).expand(2 * _BATCH, 2).clone(), torch.ones(2 * _BATCH, dtype=torch.long)
    answer.given = "equal points and a learning rate of 0, so that all gradients should be equal"
    with Watch(type(net)) as watch:
        train(net, torch.optim.SGD(net.parameters(), lr=0), X, y, epochs=2)
    steps = watch.steps
    if len(steps) != 4:
        raise Wrong(
            "Keep the batches of 30 points.", came=f"{len(steps)} steps", expected="4 steps in 2 epochs"
        )
    if not all(step.X is not None for step in steps):
        why = "The optimizer takes a step without a call of the net before it: call `net(X)`, not `net.forward(X)`."
        raise Wrong(why, came="no call", expected="net(X)", page="diagnosis.md#layerforwardx-skips-the-hooks")
    norms = [_norm(step) for step in steps]
    if None in norms:
        raise Wrong(
            "There is no gradient at the step of the optimizer: `zero_grad()` after `backward()` removes it.",
            came="grad is None",
            expected="the gradient of the batch",
            page="parameters.md#resetting-gradients-zero_grad",
        )
    if any(abs((norm or 0) - (norms[0] or 0)) > 1e-3 * (norms[0] or 0) for norm in norms):
        raise Wrong(
            "The gradients of earlier batches are still there: `backward()` adds to `grad`, and they have to be reset for "
            "each batch.",
            came=f"norms of the gradients {', '.join(f'{norm:.2f}' for norm in norms)}",
            expected="equal norms",
            page="parameters.md#resetting-gradients-zero_grad",
        )


def _check_accuracy(answer: Answer) -> None:
    net, _ = _built(answer)
    for each in net.modules():
        if isinstance(each, nn.Dropout):
            each.p = 0.9
        if isinstance(each, answer.names["Block"]):
            for gain in each.parameters(recurse=False):
                nn.init.constant_(gain, 10)
    measure = answer.function("accuracy")
    for n, wrong in (40, 10), (100, 30):
        X, _ = _spirals(n)
        with torch.no_grad():
            y = net.eval()(X).argmax(dim=1)
        y[:wrong] = (y[:wrong] + 1) % 3
        right = (n - wrong) / n
        for training in False, True:
            mode = "training" if training else "evaluation"
            answer.given = f"a net in {mode} mode and {n} points, of which it gets {right:.0%} right"
            came, recorded = with_graph(measure, net.train(training), X, y)
            answer.kind(came, "accuracy(net, X, y)", float, "a float")
            if abs(came - right) > 1e-6:
                why = (
                    "The accuracy is measured in training mode, in which dropout sets values to 0 at random."
                )
                if not training:
                    why = "This is not the share of right predictions, which `accuracy` returned before."
                page = _IN_EVALUATION if training else ""
                raise Wrong(why, came=round(came, 4), expected=right, page=page)
        if any(each.p != 0.9 for each in net.modules() if isinstance(each, nn.Dropout)):
            raise Wrong(
                "`accuracy` changes the rate of dropout, and it stays changed: `net.eval()` turns dropout off, and "
                "`net.train()` turns it on again.",
                came="another rate after the call",
                expected="the rate that it had",
                page=_IN_EVALUATION,
            )
        if recorded:
            raise Wrong(
                "Keep `torch.no_grad()`, which saves memory while you measure.",
                came="net(X).requires_grad is True",
                expected="net(X).requires_grad is False",
            )


def _check_main(answer: Answer) -> None:
    main = answer.function("main")
    answer.given = "main(0)"
    kind = answer.names["Classifier"]
    torch.manual_seed(3)
    with Watch(kind, _STEPS) as watch:
        shares = main(0)
    steps = watch.steps
    if any(not step.training for step in steps):
        number = [step.training for step in steps].index(False)
        answer.function("train")
        when = "After the first measuring, the" if number else "The"
        raise Wrong(
            f"{when} net trains in evaluation mode, without dropout.",
            came=f"evaluation mode in step {number + 1}",
            expected="training mode",
            page=_IN_EVALUATION,
        )
    answer.kind(shares, "main(0)", list, "a list")
    if len(steps) != _ROUNDS * _STEPS or len(shares) != _ROUNDS:
        raise Wrong(
            "Keep the three rounds of ten epochs, and the batches of 30 points.",
            came=f"{len(shares)} shares after {len(steps)} steps",
            expected="3 shares after 300 steps",
        )
    epochs = [steps[i : i + 10] for i in range(0, len(steps), 10)]
    batches = [torch.cat([step.X for step in epoch if step.X is not None]) for epoch in epochs]
    if any(step.X is None or len(step.X) != _BATCH for step in steps):
        raise Wrong("Keep the batches of 30 points.", at=answer.names["train"])
    sets = [{tuple(row) for row in rows.tolist()} for rows in batches]
    if len(sets[0]) != 10 * _BATCH or any(each != sets[0] for each in sets):
        raise Wrong("Each epoch takes each of the 300 points once.", at=answer.names["train"])
    if len({tuple(rows.flatten().tolist()) for rows in batches}) != len(batches):
        raise Wrong("Keep the random order, a new one in each epoch.", at=answer.names["train"])
    if any(tuple(row) in sets[0] for X in watch.measured for row in X.tolist()):
        raise Wrong(
            "The share is measured on the points that the net is trained with: `main` passes `X_test` and `y_test` to "
            "`accuracy`.",
            came="points of X",
            expected="points of X_test",
            at=main,
        )
    if any(abs(300 * share - round(300 * share)) > 1e-3 for share in shares):
        raise Wrong("Keep the 300 test points.", came=shares, expected="multiples of 1/300")
    net = answer.module(watch.net, "the net that main(0) calls")
    X, y = _spirals(300)
    share = (net.eval()(X).argmax(dim=1) == y).float().mean().item()
    if min(share, shares[-1]) < _ACCURACY:
        raise Wrong(
            "The net has not learned enough yet.",
            came=f"{min(share, shares[-1]):.0%} of the points right",
            expected=f"{_ACCURACY:.0%} and more",
        )
    answer.given = "main(0) twice"
    torch.manual_seed(4)
    again = _begin(main, 0, kind)
    same = again.X is not None and torch.equal(again.X, batches[0][:_BATCH])
    if not same or not same_values(again.before, steps[0].before):
        raise Wrong("Keep the seed: `main(0)` is always the same.")
    if same_values(_begin(main, 1, kind).before, steps[0].before):
        raise Wrong("Keep the seed: `main(1)` differs from `main(0)`.")


def _begin(main: Any, seed: int, kind: Any) -> Step:
    """The first step of a run."""
    watch = Watch(kind, stop=1)
    with contextlib.suppress(Stopped), watch:
        main(seed)
    return watch.steps[0]


def _built(answer: Answer) -> tuple[nn.Module, Any]:
    answer.given = "build()"
    build = answer.function("build")
    pair = answer.kind(build(), "build()", tuple, "a tuple")
    if len(pair) != 2:
        raise Wrong("`build()` returns the net and the optimizer.", came=pair, expected="net, optimizer")
    net = answer.kind(pair[0], "build()[0]", answer.module_class("Classifier"), "a Classifier")
    answer.function("build")
    return net, answer.kind(pair[1], "build()[1]", torch.optim.Optimizer, "an optimizer")


def _with_sizes(layers: list[nn.Linear], inputs: int, outputs: int) -> nn.Linear:
    return next(each for each in layers if (each.in_features, each.out_features) == (inputs, outputs))


def _norm(step: Step) -> float | None:
    gradients = [each for each in step.gradients.values() if each is not None]
    return torch.cat([each.flatten() for each in gradients]).norm().item() if gradients else None


def _spirals(n: int) -> tuple[Tensor, Tensor]:
    y = torch.arange(n) % 3
    radius = torch.rand(n)
    angle = 2 * math.pi * (y / 3 + radius) + torch.randn(n) * 0.2
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), y


WRONG = (
    WrongAnswer("A module does not look into a list", changes={
        "nn.ModuleList([Block(width) for _ in range(depth)])": "[Block(width) for _ in range(depth)]"
    }),
    WrongAnswer("computes with the .data", changes={"self.gain *": "self.gain.data *"}),
    WrongAnswer("will not learn. It holds 2", changes={
        "    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)\n": "",
        "    net.head =": "    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)\n    net.head =",
    }),
    WrongAnswer("goes into cross_entropy", changes={"return self.head(X)": "return F.softmax(self.head(X), dim=1)"}),
    WrongAnswer("goes into nll_loss", changes={
        "return self.head(X)": "return F.softmax(self.head(X), dim=1)", "CrossEntropyLoss": "NLLLoss"
    }),
    WrongAnswer("what dropout returns", changes={
        "return X + self.gain * self.dropout(F.relu(self.linear(X)))":
            "H = F.relu(self.linear(X))\n        self.dropout(H)\n        return X + self.gain * H"
    }),
    WrongAnswer("computed before", changes={"X = F.relu(self.first(X))": "X = self.first(X)"}),
    WrongAnswer("its learning rate, 0.01", changes={"lr=0.01": "lr=0.003"}),
    WrongAnswer("gradients of earlier batches", changes={"            optimizer.zero_grad()\n": ""}),
    WrongAnswer("at random", changes={"    net.eval()\n": ""}),
    WrongAnswer("the rate of dropout", changes={
        "    net.eval()\n": "    for block in net.blocks:\n        block.dropout.p = 0\n"
    }),
    WrongAnswer("that the net is trained with", changes={"accuracy(net, X_test, y_test)": "accuracy(net, X, y)"}),
    WrongAnswer("After the first measuring", changes={"    net.train()\n": ""}),
)  # fmt: skip
