"""Images of any size."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "lazy.md#lazy-convolutions-and-normalization-layers"
TASK = """
After its first batch, the net that `convnet(classes)` returns accepts only images of the size in that batch.
Repair it by changing one line: the pooling should return channels of height and width 4, whatever the height and width of the images (3 pixels or more).
The net takes a batch of images and returns a tensor of shape `(batch, classes)`.
"""
STUB = """\
from torch import nn


def convnet(classes):
    return nn.Sequential(
        nn.LazyConv2d(16, kernel_size=3),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.LazyLinear(classes),
    )
"""
SOLUTION = """\
from torch import nn


def convnet(classes):
    return nn.Sequential(
        nn.LazyConv2d(16, kernel_size=3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.LazyLinear(classes),
    )
"""
HINTS = (
    "Which layer cannot handle an input of another size, and which layer before it decides how many values it gets?",
    "Read the end of lazy.md#lazy-convolutions-and-normalization-layers: what the convolution and the linear layer accept after the first batch. Then look for a pooling layer in PyTorch's list whose argument is the size of its output.",
    "Replace `nn.MaxPool2d(4)`, which divides the size by 4, by `nn.AdaptiveAvgPool2d(4)`, whose result has a height and a width of 4.",
)
AFTER = """
A convolution needs a fixed number of channels but no fixed height or width; a linear layer needs a fixed number of values, which an adaptive pooling gives it.
`nn.AdaptiveAvgPool2d(4)` and `nn.AdaptiveMaxPool2d(4)` both do this.
"""


def check(answer: Answer) -> None:
    """After a first batch of one size, batches of other sizes run, and give what the layers compute."""
    make = answer.function("convnet")
    for classes, channels in (2, 1), (10, 3):
        answer.given = f"net = convnet({classes})"
        net = answer.module(_make(make, classes), f"convnet({classes})")
        results: list[tuple[str, Tensor, Tensor]] = []
        for batch, height, width in (2, 32, 32), (5, 64, 48), (1, 20, 21), (2, 3, 3):
            X = torch.rand(batch, channels, height, width)
            size = f"{height} x {width}"
            answer.given = f"net = convnet({classes}) and images of {size} pixels" + (
                "" if height == 32 else ", after a first batch of 32 x 32 pixels"
            )
            came = answer.tensor(_call(net, X, size), "net(X)")
            if came.shape != (batch, classes):
                raise Wrong(
                    "The result does not have one row for each image and one column for each class.",
                    came=f"shape {tuple(came.shape)}",
                    expected=f"shape {(batch, classes)}",
                )
            results.append((answer.given, X, came))
        for answer.given, X, came in results:
            _check_values(net, X, came, classes)


def _make(make: Callable[[int], object], classes: int) -> object:
    try:
        return make(classes)
    except TypeError as error:
        if "_Adaptive" not in str(error):
            raise
        why = "The pooling takes one argument: one number for the height and the width, or a tuple of two numbers."
        raise Wrong(why, came=f"TypeError: {error}") from error


def _call(net: nn.Module, X: Tensor, size: str) -> object:
    try:
        return net(X)
    except (RuntimeError, AttributeError) as error:
        message = f"{type(error).__name__}: {error}"
        if "'tuple' object" in message:
            why = "A layer returns a tuple, and the next one needs a tensor: the second argument of `nn.AdaptiveMaxPool2d` is `return_indices`."
        elif "Expected 2 to 3 dimensions" in message or "Expected 2D or 3D" in message:
            why = "The pooling is for one dimension, but an image has a height and a width."
        elif "channels, but got" in message:
            why = "The convolution was built for another number of channels: leave it lazy, so that it reads the number from the first batch."
        elif "mat1 and mat2" in message:
            why = "The linear layer gets a number of values that depends on the size of the image: fix the size before it."
        elif "Expected 3D or 4D" in message:
            why = "The pooling comes after `nn.Flatten`, but it needs the height and the width of the images."
        elif "Output size is too small" in message:
            why = "An image of 3 x 3 pixels has one value for each channel after the convolution, too few for this pooling."
        elif "0 elements" in message or "should be" in message or "too large" in message:
            why = f"The net cannot process images of {size} pixels."
        else:
            raise
        raise Wrong(why, came=message[:120], expected="no error") from error


def _check_values(net: nn.Module, X: Tensor, came: Tensor, classes: int) -> None:
    """The net still is a convolution, a pooling and a linear layer, as in the stub."""
    shapes = [tuple(each.shape) for each in net.parameters()]
    expected = [(16, X.shape[1], 3, 3), (16,), (classes, 256), (classes,)]
    if shapes[-2:] != expected[-2:] and shapes[:2] == expected[:2]:
        why = "The linear layer does not get 4 x 4 values for each of the 16 channels."
        raise Wrong(why, came=f"weight of shape {shapes[-2]}", expected=f"weight of shape {expected[-2]}")
    if shapes != expected:
        raise Wrong(
            "The convolution or the linear layer is not as it was: change only the line of the pooling.",
            came=shapes,
            expected=expected,
        )
    for conv in net.modules():
        if isinstance(conv, nn.Conv2d) and (conv.stride, conv.padding, conv.dilation) != (
            (1, 1),
            (0, 0),
            (1, 1),
        ):
            why = "The convolution is not as it was: change only the pooling."
            raise Wrong(
                why, came=str(conv), expected=f"Conv2d({X.shape[1]}, 16, kernel_size=(3, 3), stride=(1, 1))"
            )
    weight, bias, last_weight, last_bias = net.parameters()
    features = F.conv2d(X, weight, bias).relu()
    results = [
        F.linear(each.flatten(1), last_weight, last_bias)
        for each in (F.adaptive_avg_pool2d(features, 4), F.adaptive_max_pool2d(features, 4))
    ]
    if not any(torch.allclose(came, each, atol=1e-5) for each in results):
        raise Wrong(
            "This is not the result of the convolution, the ReLU, an adaptive pooling and the linear layer, in this order.",
            came=came,
            expected=results[0],
        )


WRONG = (
    WrongAnswer("fix the size before it", changes={"AdaptiveAvgPool2d": "MaxPool2d"}),
    WrongAnswer("does not get 4 x 4 values", changes={"Pool2d(4)": "Pool2d(1)"}),
    WrongAnswer("The convolution is not as it was", changes={"kernel_size=3": "kernel_size=3, padding=1"}),
    WrongAnswer("another number of channels", changes={"LazyConv2d(16": "Conv2d(3, 16"}),
    WrongAnswer("takes one argument", changes={"Pool2d(4)": "Pool2d(4, 4)"}),
    WrongAnswer("returns a tuple", changes={"AvgPool2d(4)": "MaxPool2d(4, 4)"}),
    WrongAnswer("is for one dimension", changes={"Pool2d": "Pool1d"}),
    WrongAnswer("one row for each image", changes={"        nn.Flatten(),\n": ""}),
    WrongAnswer("change only the line of the pooling", changes={"LazyConv2d(16": "LazyConv2d(8"}),
    WrongAnswer(
        "This is not the result of the convolution",
        changes={
            "nn.ReLU(),\n        nn.AdaptiveAvgPool2d(4)": "nn.AdaptiveAvgPool2d(4),\n        nn.ReLU()"
        },
    ),
)
