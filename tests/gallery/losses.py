"""What the loss is given, and errors that the call raises."""

import torch
from torch import nn
from torch.nn import functional as F

from ._case import Given, batch, case, classes


@case("softmax-twice", "output", level="question")
def softmax_before_cross_entropy(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Softmax(dim=-1) if wrong else nn.Identity())
    y = classes(6, 4)
    return Given(net, (batch(6, 4),), {"loss": lambda Y: F.cross_entropy(Y, y)})  # here


@case("softmax-twice", "output", level="question")
def sigmoid_before_a_loss_with_logits(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid() if wrong else nn.Identity())
    y = classes(6, 2).float()
    criterion = nn.BCEWithLogitsLoss()
    return Given(net, (batch(6, 4),), {"loss": lambda Y: criterion(Y.squeeze(-1), y)})  # here


@case("softmax-twice", "output")
def softmax_before_nll_loss(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Softmax(dim=-1) if wrong else nn.LogSoftmax(dim=-1))
    y = classes(6, 4)
    return Given(net, (batch(6, 4),), {"loss": lambda Y: F.nll_loss(Y, y)})  # here


@case("softmax-twice", "output", level="question")
def softmax_in_a_dict(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 4)

        def forward(self, X):
            scores = self.out(X)
            return {"Y": scores.softmax(dim=-1)[:, :] if wrong else scores}

    y = classes(6, 4)
    return Given(Net(), (batch(6, 4),), {"loss": lambda found: F.cross_entropy(found["Y"], y)})  # here


@case("softmax-twice", "output", level="question")
def softmax_before_a_loss_in_forward(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 4)

        def forward(self, X, y):
            scores = self.out(X)
            return F.cross_entropy(scores.softmax(dim=-1) if wrong else scores, y)  # here

    return Given(Net(), (batch(6, 4), classes(6, 4)), {"loss": lambda loss: loss})


@case("broadcast", "output", level="question")
def each_prediction_with_each_target(wrong: bool) -> Given:
    y = batch(6)
    return Given(
        nn.Linear(4, 1),
        (batch(6, 4),),
        {"loss": lambda Y: ((Y if wrong else Y.squeeze(-1)) - y).square().mean()},  # here
    )


@case("raises", "2")
def shapes_that_do_not_fit(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(6 if wrong else 8, 2))
    return Given(net, (batch(3, 4),))


@case("raises", "loss")
def targets_of_the_wrong_dtype(wrong: bool) -> Given:
    y = classes(6, 2)
    y = y.to(torch.int32) if wrong else y
    return Given(nn.Linear(4, 2), (batch(6, 4),), {"loss": lambda Y: F.cross_entropy(Y, y)})  # here
