"""Runs of the exercise `digits`: one that is not stopped, and others that are compared with it."""

import contextlib
import importlib
import re
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong
from ._watch import Step, Stopped, Watch, places, run_again, same_values

_BATCHES = 15  # of an epoch
_EPOCHS = 4
_ACCURACY = 0.8  # 0.89 and more in each of 12 runs with other seeds; 0.1 without training


def check_run(answer: Answer) -> "Run":
    """A run that is not stopped."""
    X, y, X_test, y_test = digits_data()
    whole = _run(answer, _new_folder("whole"), _EPOCHS)
    steps = whole.steps
    net = whole.net
    if not steps:
        raise Wrong(
            "`train` in a new folder takes no step of the optimizer.", came="0 steps", expected="60 steps"
        )
    if any(step.X is None for step in steps):
        raise Wrong(
            "The optimizer takes a step without a call of the net before it: call `net(X)`, not `net.forward(X)`.",
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
        why = "Two epochs visit the images in the same order: each epoch needs a new random one."
        if any(order == sorted(order) for order in orders):
            why = "The images are visited in the order of `X_train`, not in a random one."
        raise Wrong(
            why,
            came=f"{orders[1][:4]} first in epoch 2, {orders[0][:4]} in epoch 1",
            expected="different orders",
        )
    rates = [round(step.rate, 6) for step in steps]
    expected = [0.01 * 0.5 ** (number // (2 * _BATCHES)) for number in range(len(steps))]
    if rates != expected:
        number = next(i for i, pair in enumerate(zip(rates, expected, strict=True)) if pair[0] != pair[1])
        raise Wrong(
            f"In step {number + 1} of the optimizer, which is in epoch {number // _BATCHES + 1}, the learning rate is wrong: "
            "the scheduler takes one step at the end of each epoch.",
            came=f"learning rate {rates[number]}",
            expected=f"learning rate {expected[number]}",
        )
    if (share := share_right(net.eval(), X_test, y_test)) < _ACCURACY:
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
        if torch.allclose(came, len(rows) * parameter.grad, rtol=1e-2, atol=1e-3):
            why = f"The gradient is {len(rows)} times as large as it has to be: the loss is the sum over the batch, and not the mean."
        if not torch.allclose(came, parameter.grad, rtol=1e-3, atol=1e-5):
            raise Wrong(why, came=_size(name, came), expected=_size(name, parameter.grad))


def check_resuming(answer: Answer, whole: "Run") -> None:
    """Runs that are stopped after an epoch, once and twice, and in the middle of one."""
    folder = _new_folder("stopped")
    done = 0
    for epochs in 1, 2, _EPOCHS, _EPOCHS:
        answer.given = f"train(folder, {done}), and in a new process train(folder, {epochs})"
        if not done:
            answer.given = f"train(folder, {epochs}) with a new folder"
        saved = _steps_saved(folder)
        _check_goes_on(answer, _run(answer, folder, epochs, given=answer.given), whole, done, epochs, saved)
        done = epochs
    answer.given = "train(folder, 1) twice, each time with a new folder, in one process"
    names = run_again(answer.file)
    with Watch(names["Net"], _BATCHES) as watch:
        for name in "first", "second":
            names["train"](_new_folder(name), 1)
    steps = watch.steps
    if len(steps) != 2 * _BATCHES or not same_values(steps[0].before, steps[_BATCHES].before):
        raise Wrong(
            "The second run does not begin with the net of `start()`, but with what the first run left: call `start` in "
            "`train`.",
            came="the net of the first run",
            expected="a new net",
        )
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
        why = "The epoch in which the run was stopped counts as done: save only when an epoch is complete."
        raise Wrong(why, **count)
    _check_goes_on(answer, again, whole, 2, _EPOCHS)


def _check_goes_on(
    answer: Answer, came: "Run", whole: "Run", done: int, epochs: int, saved: list[int] | None = None
) -> None:
    """Compare a run from one epoch to another with the same epochs of the run that was not stopped."""
    expected = (epochs - done) * _BATCHES
    first = whole.steps[done * _BATCHES] if done < _EPOCHS else None
    if len(came.steps) != expected:
        raise Wrong(
            _why_not_on(came, first, done, epochs, saved or []),
            came=f"{len(came.steps)} steps",
            expected=f"{expected} steps",
        )
    if first:
        earlier = whole.steps[(done - 1) * _BATCHES] if done else None
        _check_begin(came, first, whole.steps[epochs * _BATCHES - 1].rate, earlier)
    after = whole.steps[epochs * _BATCHES].before if epochs < _EPOCHS else whole.net.state_dict()
    if not same_values(dict(came.net.state_dict()), dict(after)):
        raise Wrong(
            "The run does not end with the net of the run that was not stopped.",
            came="other values",
            expected="the same values, to the bit",
        )


def _steps_saved(folder: str) -> list[int]:
    """The steps of the checkpoints that `save_checkpoint` has written, in order."""
    names = [path.stem.removeprefix("step-") for path in Path(folder).glob("step-*.safetensors")]
    return sorted(int(name) for name in names if name.isdigit())


def _why_not_on(came: "Run", first: Step | None, done: int, epochs: int, saved: list[int]) -> str:
    """Why a run that is to go on with an epoch has a wrong number of steps."""
    if done == 0:
        return "A run in a new folder does not train from the first epoch on: does it use another folder?"
    if Path(came.folder, "step-0.safetensors").exists():
        return (
            "The checkpoint of the first epoch has the step 0: pass the number of epochs done, because the loop "
            "continues with the number that `load_checkpoint` returns."
        )
    if first and len(came.steps) == epochs * _BATCHES:
        if same_values(came.steps[0].before, first.before):
            return (
                f"The run has loaded the checkpoint of epoch {done} and trains for {epochs} more epochs, but only "
                f"{epochs - done} {'is' if epochs - done == 1 else 'are'} left."
            )
        return "The run begins with the first epoch again, as if there were no checkpoint: load it before the loop."
    if saved and saved[-1] != done:
        return (
            f"After epoch {done}, the last checkpoint has the step {saved[-1]}: the epochs of all runs count."
        )
    return f"The run has to go on after epoch {done}, until {epochs} epochs are done."


def _check_begin(came: "Run", first: Step, last_rate: float, earlier: Step | None) -> None:
    """Compare the first step of a run that goes on, and the last learning rate, with the run that was not stopped."""
    step = came.steps[0]
    page = "serialization.md#resuming-training"
    names = [name for name in first.before if not same_values(step.before[name], first.before[name])]
    if names:
        why = "The run does not go on with the net that the last complete epoch left."
        if earlier and same_values(step.before, earlier.before):
            why = (
                "The run begins with the net as it was before the last complete epoch: either it was saved before the epoch, "
                "or it is not loaded."
            )
        raise Wrong(
            why,
            came=f"{len(names)} of {len(first.before)} tensors differ, such as {names[0]}",
            expected="the tensors of the run that was not stopped",
        )
    if not same_values(step.moments, first.moments):
        why = (
            "The optimizer's moments are not those of the run that was not stopped. (With `save_checkpoint`, the optimizer "
            "itself is a part, not its `state_dict()`.)"
        )
        raise Wrong(why, came=_moments(step), expected=_moments(first), page=page)
    for rate, expected in (step.rate, first.rate), (came.steps[-1].rate, last_rate):
        if rate != expected:
            raise Wrong(
                "The learning rate is not that of the run that was not stopped: a checkpoint has to hold the scheduler's "
                "state, as it is after its step.",
                came=f"learning rate {rate}",
                expected=f"learning rate {expected}",
                page="serialization.md#the-learning-rate-is-reset-after-resuming",
            )
    X, *_ = digits_data()
    orders = [places(X, _batch(each)[:4]) for each in (step, first)]
    if orders[0] != orders[1]:
        why = (
            "The order of the images is not that of the run that was not stopped: the state of the generator that shuffles "
            "is lost."
        )
        if not earlier:
            why = (
                "A second run in a new folder visits the images in another order, although `start` sets the seed: where does "
                "the order come from?"
            )
        raise Wrong(
            why,
            came=f"images {orders[0]} first",
            expected=f"images {orders[1]} first",
            page=page,
        )


@dataclass(frozen=True)
class Run:
    """A call of `train`: the net that it returned, its steps, and its folder."""

    net: nn.Module
    steps: list[Step]
    folder: str


def _run(answer: Answer, folder: str, epochs: int, given: str = "", stop: int | None = None) -> Run:
    """Call `train` as in a new process."""
    answer.given = given or f"train(folder, {epochs}) with a new folder"
    names = run_again(answer.file)
    answer.function("train")
    with Watch(names["Net"], _BATCHES, stop) as watch:
        try:
            net = names["train"](folder, epochs)
        except (TypeError, ValueError, AttributeError, RuntimeError, NotImplementedError) as error:
            raise _mistake(error, answer.file) or error from None
    answer.kind(net, f"train(folder, {epochs})", names["Net"], "a Net")
    return Run(net, watch.steps, folder)


def _mistake(error: Exception, file: str) -> Wrong | None:
    """The verdict on an error of `train`, if it is one of the usual errors."""
    message = str(error)
    came = f"{type(error).__name__}: {message}"
    lines = [
        line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file
    ]
    if "'NoneType' object cannot be interpreted" in message:
        why = (
            "`load_checkpoint` returns `None` if there is no checkpoint yet, and the first epoch is epoch 0."
        )
    elif re.search("'(NoneType|int)' object (is not callable|has no attribute)", message):
        why = "Something here is `None` or a number where it has to be an object: `load_checkpoint` changes its parts, and returns a step, not a net."
    elif re.search(r"(save|load)_checkpoint\(\) takes|expected which to be", message):
        why = "Both functions take the parts as named arguments, such as `net=net`, or a whole dictionary with two stars."
    elif "for /: 'str'" in message:
        why = "`folder` is a string, not a `Path`."
    elif "Parent directory" in message and "does not exist" in message:
        why = "The folder does not exist yet, and `torch.save` does not make it."
    elif "log_softmax" in message and "not implemented" in message:
        why = "`F.cross_entropy` takes the scores first, and then the labels."
    else:
        return None
    shortened = came if len(came) <= 200 else f"{came[:200]}..."
    return Wrong(why, came=shortened, at=lines[-1] if lines else None)


def share_right(net: nn.Module, X: Tensor, y: Tensor) -> float:
    """The share of the rows that the net gets right, in its mode."""
    with torch.no_grad():
        return (net(X).argmax(dim=1) == y).float().mean().item()


def _size(name: str, gradient: Tensor | None) -> str:
    return f"{name}.grad is None" if gradient is None else f"{name}.grad has norm {gradient.norm():.3f}"


def _batch(step: Step) -> Tensor:
    return torch.empty(0, 64) if step.X is None else step.X


def _moments(step: Step) -> str:
    first = step.moments[0]
    return f"Adam has counted {int(first['step'])} steps" if first else "Adam begins without moments"


def digits_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images and labels to train with, and to test with."""
    datasets: Any = importlib.import_module("sklearn.datasets")  # not needed by other exercises
    images, labels = datasets.load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    return X[:1500], y[:1500], X[1500:], y[1500:]


def _new_folder(name: str) -> str:
    return str(Path(tempfile.mkdtemp(dir=".")) / name)
