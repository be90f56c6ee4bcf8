"""Layers and modules: blocks made of layers, and of blocks."""

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, Self, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["MLP", "FixedHiddenMLP", "MySequential", "NestMLP", "Parallel"]


class MLP(nn.Module):
    """A multilayer perceptron with one hidden layer: `out(relu(hidden(X)))`.

    Args:
        in_features: size of each input example; `None` leaves it to the first batch, by way of
            [`nn.LazyLinear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html),
            and until then the first weight has no shape.
        hidden_features: size of the hidden layer.
        out_features: size of each output example.
        device: where the parameters are made.
        dtype: the type of the parameters.

    Shape:
        - Input: `(*, in_features)`, with any number of leading dimensions, or none.
        - Output: `(*, out_features)`.

    Attributes:
        hidden: the first layer, with a weight of shape `(hidden_features, in_features)`.
        out: the second layer, with a weight of shape `(out_features, hidden_features)`.

    Raises:
        RuntimeError: PyTorch's own, when the last dimension of the input is not `in_features`.

    Examples:
        ```python
        import torch
        from d2lblocks import MLP

        net = MLP(in_features=20)
        print(net)
        #> MLP(
        #>   (hidden): Linear(in_features=20, out_features=256, bias=True)
        #>   (out): Linear(in_features=256, out_features=10, bias=True)
        #> )
        print(net(torch.rand(2, 20)).shape)
        #> torch.Size([2, 10])
        ```
    """

    def __init__(
        self,
        in_features: int | None = None,
        hidden_features: int = 256,
        out_features: int = 10,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if in_features is None:
            self.hidden: nn.Linear = nn.LazyLinear(hidden_features, device=device, dtype=dtype)
        else:
            self.hidden = nn.Linear(in_features, hidden_features, device=device, dtype=dtype)
        self.out = nn.Linear(hidden_features, out_features, device=device, dtype=dtype)

    def forward(self, X: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(X)))


class MySequential(nn.Module):
    """Modules called one after the other.

    It does what
    [`nn.Sequential`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html) does:
    a module given twice runs twice, an index may be negative, a slice is a `MySequential` again.
    It is changed in the same ways too: `append`, `extend`, `insert`, `pop`, `net[0] = module`, `del net[0]`,
    `net += other` and `net *= 2`, while `net + other` and `net * 2` make another `MySequential`.
    `torch.jit.script` refuses it: TorchScript can loop over modules only in PyTorch's own containers.

    Args:
        *args: the modules in the order in which they run, or one `OrderedDict` of names and modules.

    Shape:
        - Input: what the first module takes.
        - Output: what the last module gives; without modules, the input.

    Raises:
        TypeError: PyTorch's own, for an argument that is neither a module nor `None`
            (which `nn.Sequential` takes as well, and the call then refuses).
        KeyError: PyTorch's own, for a name that is empty, holds a dot, or is an attribute's already.
        IndexError: when there is no module at an index.

    Examples:
        ```python
        import torch
        from torch import nn
        from d2lblocks import MySequential

        net = MySequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))
        print(net(torch.rand(2, 20)).shape)
        #> torch.Size([2, 10])
        print(len(net), net[-1])
        #> 3 Linear(in_features=256, out_features=10, bias=True)
        ```
    """

    _modules: dict[str, nn.Module]  # type: ignore[assignment]

    def __init__(self, *args: nn.Module | OrderedDict[str, nn.Module]) -> None:
        super().__init__()
        named: Iterable[tuple[str, Any]] = ((str(index), module) for index, module in enumerate(args))
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            named = args[0].items()
        for name, module in named:
            self.add_module(name, module)  # checks the name and the type

    def forward(self, X: Tensor) -> Tensor:
        for module in self:
            X = module(X)
        return X

    def __iter__(self) -> Iterator[nn.Module]:
        # Not children(): it names every module once, however often it stands here.
        return iter(self._modules.values())

    def __len__(self) -> int:
        return len(self._modules)

    @overload
    def __getitem__(self, index: int) -> nn.Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> nn.Module | Self:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range")
        return list(self)[index]

    # These functions of nn.Sequential use nothing that is not above, so they are methods here as well.
    _get_item_by_idx: Any = nn.Sequential._get_item_by_idx
    append: Any = nn.Sequential.append
    extend: Any = nn.Sequential.extend
    insert: Any = nn.Sequential.insert
    pop: Any = nn.Sequential.pop
    __setitem__: Any = nn.Sequential.__setitem__
    __delitem__: Any = nn.Sequential.__delitem__
    __imul__: Any = nn.Sequential.__imul__

    def __iadd__(self, other: "MySequential | nn.Sequential") -> Self:
        added = nn.Sequential(*other) if isinstance(other, MySequential) else other
        nn.Sequential.__iadd__(self, added)  # type: ignore[type-var]
        return self

    def __add__(self, other: "MySequential | nn.Sequential") -> "MySequential":
        return MySequential(*self).__iadd__(other)

    def __mul__(self, times: int) -> "MySequential":
        return MySequential(*self).__imul__(times)

    __rmul__ = __mul__


class FixedHiddenMLP(nn.Module):
    """A block with a constant, a layer used twice, and a loop: what `forward` may hold.

    `linear` runs, then a hidden layer of weight `rand_weight` and bias 1, then the same `linear`.
    The result is halved until its absolute values sum to at most 1, and then summed.
    The constant `rand_weight` is a buffer: saved, moved and cast with the parameters, never trained.

    The number of halvings depends on the data, so the block runs neither on the meta device
    nor under `torch.compile(fullgraph=True)`, `torch.export` and `torch.func.vmap`.

    Args:
        num_features: size of each input example, and of all that is inside.
        device: where the parameters and the constant are made.
        dtype: their type.

    Shape:
        - Input: `(*, num_features)`, with any number of leading dimensions, or none.
        - Output: `()`, a scalar.

    Attributes:
        rand_weight: the constant, a buffer of shape `(num_features, num_features)` drawn from U(0, 1).
        linear: the layer that is used twice.

    Raises:
        RuntimeError: PyTorch's own, when the last dimension of the input is not `num_features`.
        ValueError: when the values to be halved are not finite: halving would never end.

    Examples:
        ```python
        import torch
        from d2lblocks import FixedHiddenMLP

        net = FixedHiddenMLP()
        print(net(torch.rand(2, 20)).shape)
        #> torch.Size([])
        print([name for name, _ in net.named_buffers()])
        #> ['rand_weight']
        ```
    """

    rand_weight: Tensor

    def __init__(
        self,
        num_features: int = 20,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        constant = torch.empty(num_features, num_features, device=device, dtype=dtype)
        self.register_buffer("rand_weight", constant)
        self.linear = nn.Linear(num_features, num_features, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the constant anew from U(0, 1); `linear` has a method of its own."""
        nn.init.uniform_(self.rand_weight)

    def forward(self, X: Tensor) -> Tensor:
        H = F.relu(self.linear(X) @ self.rand_weight + 1)
        Y = self.linear(H)
        if not Y.isfinite().all():
            raise ValueError(
                "expected finite values to halve until their absolute values sum to at most 1, "
                f"but got {(~Y.isfinite()).sum()} of {Y.numel()} that are inf or nan, "
                f"from an input of shape {tuple(X.shape)} with {(~X.isfinite()).sum()} of them"
            )
        while Y.abs().sum() > 1:
            Y = Y / 2
        return Y.sum()


class NestMLP(nn.Module):
    """A block made of blocks: an `nn.Sequential` of two layers, then one more layer.

    Args:
        in_features: size of each input example.
        device: where the parameters are made.
        dtype: the type of the parameters.

    Shape:
        - Input: `(*, in_features)`, with any number of leading dimensions, or none.
        - Output: `(*, 16)`.

    Attributes:
        net: `in_features` to 64 to 32, with a ReLU after each layer.
        linear: 32 to 16.

    Raises:
        RuntimeError: PyTorch's own, when the last dimension of the input is not `in_features`.

    Examples:
        ```python
        import torch
        from torch import nn
        from d2lblocks import FixedHiddenMLP, NestMLP

        chimera = nn.Sequential(NestMLP(), nn.Linear(16, 20), FixedHiddenMLP())
        print(chimera(torch.rand(2, 20)).shape)
        #> torch.Size([])
        ```
    """

    def __init__(
        self,
        in_features: int = 20,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(in_features, 64, device=device, dtype=dtype),
            nn.ReLU(),
            nn.Linear(64, 32, device=device, dtype=dtype),
            nn.ReLU(),
        )
        self.linear = nn.Linear(32, 16, device=device, dtype=dtype)

    def forward(self, X: Tensor) -> Tensor:
        return self.linear(self.net(X))


class Parallel(nn.Module):
    """Modules side by side: each gets the whole input, and their outputs are joined.

    Args:
        *nets: the modules; the outputs are joined in their order.
        dim: the dimension along which the outputs are joined; 1 joins the channels of images.

    Shape:
        - Input: what every module takes.
        - Output: the modules' outputs, joined: their sizes in dimension `dim` add up.

    Attributes:
        nets: the modules, in an `nn.ModuleList`.
        dim: as given.

    Raises:
        TypeError: PyTorch's own, for an argument that is not a module.
        ValueError: without modules.
        RuntimeError: PyTorch's own, when the outputs differ in another dimension than `dim`.

    Examples:
        ```python
        import torch
        from torch import nn
        from d2lblocks import Parallel

        net = Parallel(nn.Linear(20, 8), nn.Linear(20, 4))
        print(net(torch.rand(2, 20)).shape)
        #> torch.Size([2, 12])
        ```
    """

    def __init__(self, *nets: nn.Module, dim: int = -1) -> None:
        super().__init__()
        if not nets:
            raise ValueError("expected at least one module to join, but got none")
        self.nets = nn.ModuleList(nets)
        self.dim = dim

    def forward(self, X: Tensor) -> Tensor:
        return torch.cat([net(X) for net in self.nets], dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
