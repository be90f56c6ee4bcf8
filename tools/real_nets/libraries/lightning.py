"""Modules of Lightning, and nets in the wrappers of Fabric and Accelerate."""

from collections.abc import Iterator
from typing import Any

import lightning
import torch
import torchmetrics
from accelerate import Accelerator
from torch import Tensor, nn

from tools.real_nets.libraries import RealNet, images


class Classifier(lightning.LightningModule):
    """A module with hyperparameters, a loss, a metric and an example."""

    def __init__(self, width: int = 16, classes: int = 3, persistent: bool = False) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.example_input_array = torch.rand(1, 3, 8, 8)
        self.net = convolutional(width, classes)
        self.loss = nn.CrossEntropyLoss(weight=torch.ones(classes))
        self.accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=classes)
        self.accuracy.persistent(persistent)

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = self.net(X)
        return Y

    def training_step(self, batch: Any, index: int) -> Tensor:
        X, y = batch
        loss: Tensor = self.loss(self(X), y)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


class Adversaries(lightning.LightningModule):
    """Two nets that are trained in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.judge = convolutional(8, 192), convolutional(8, 1)

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = self.judge(self.generator(X).reshape(-1, 3, 8, 8))
        return Y


def convolutional(width: int = 16, classes: int = 3) -> nn.Sequential:
    layers = [nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(width * 36, classes))


def by_fabric(net: nn.Module | None = None) -> nn.Module:
    fabric = lightning.Fabric(accelerator="cpu", devices=1)
    return fabric.setup(net or convolutional())


def by_accelerate() -> nn.Module:
    return Accelerator(cpu=True).prepare(convolutional())


def nets() -> Iterator[RealNet]:
    call = images((2, 3, 8, 8))
    yield RealNet("LightningModule", Classifier, call)
    yield RealNet("LightningModule with a metric that is saved", lambda: Classifier(persistent=True), call)
    yield RealNet("LightningModule with two nets", Adversaries, call)
    yield RealNet("Fabric.setup", by_fabric, call)
    yield RealNet("Fabric.setup of a LightningModule", lambda: by_fabric(Classifier()), call)
    yield RealNet("Accelerator.prepare", by_accelerate, call)
    yield RealNet("torchmetrics.MetricCollection", metrics, call)


def metrics() -> nn.Module:
    parts = [torchmetrics.MeanMetric(), torchmetrics.MaxMetric()]
    collection = torchmetrics.MetricCollection(parts)
    collection.persistent(True)
    return collection
