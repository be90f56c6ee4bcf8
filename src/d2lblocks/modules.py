"""Layers and modules: blocks built from layers and from other blocks."""

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
        in_features: size of each input example. With `None` the first layer is an
            [`nn.LazyLinear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html),
            which takes the size from the first batch; until then its weight has no shape.
        hidden_features: size of the hidden layer.
        out_features: size of each output example.
        device: the device of the parameters.
        dtype: the dtype of the parameters.

    Shape:
        - Input: `(*, in_features)`, where `*` is any number of leading dimensions, including none.
        - Output: `(*, out_features)`.

    Attributes:
        hidden: the first layer, with a weight of shape `(hidden_features, in_features)`.
        out: the second layer, with a weight of shape `(out_features, hidden_features)`.

    Raises:
        RuntimeError: raised by PyTorch if the last dimension of the input is not `in_features`.

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
    """Calls its modules one after the other.

    It behaves like
    [`nn.Sequential`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html):
    a module that is given twice runs twice, an index may be negative, and a slice is again a `MySequential`.
    The methods that change an `nn.Sequential` work here as well: `append`, `extend`, `insert`, `pop`,
    `net[0] = module`, `del net[0]`, `net += other` and `net *= 2`.
    `net + other` and `net * 2` return a new `MySequential`.
    `torch.jit.script` does not accept it, because TorchScript can only loop over PyTorch's own containers.

    Args:
        *args: the modules, in the order in which they run, or one `OrderedDict` of names and modules.

    Shape:
        - Input: whatever the first module accepts.
        - Output: whatever the last module returns; without modules, the input itself.

    Raises:
        TypeError: raised by PyTorch if an argument is neither a module nor `None`.
            (`None` is accepted, as by `nn.Sequential`, but calling the net then fails.)
        KeyError: raised by PyTorch if a name is empty, contains a dot, or is already an attribute.
        IndexError: if there is no module at an index.

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
        # Not children(): that yields each module once, even if it was given several times.
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

    # These functions of nn.Sequential need only the methods above, so they also work as methods here.
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
    """A block that shows what `forward` may contain: a constant, a layer that runs twice, and a loop.

    The input goes through `linear`, then through a hidden layer with the weight `rand_weight` and a bias
    of 1, then through the same `linear` again.
    The result is halved until its absolute values sum to at most 1, and then summed up.
    The constant `rand_weight` is a buffer: saved, moved and cast with the parameters, but never trained.

    The number of halvings depends on the data. So the block does not run on the meta device, nor under
    `torch.compile(fullgraph=True)`, `torch.export` or `torch.func.vmap`.

    Args:
        num_features: size of each input example and of every layer inside.
        device: the device of the parameters and the constant.
        dtype: their dtype.

    Shape:
        - Input: `(*, num_features)`, where `*` is any number of leading dimensions, including none.
        - Output: `()`, a scalar.

    Attributes:
        rand_weight: the constant, a buffer of shape `(num_features, num_features)` drawn from U(0, 1).
        linear: the layer that runs twice.

    Raises:
        RuntimeError: raised by PyTorch if the last dimension of the input is not `num_features`.
        ValueError: if the values to be halved are not finite, because halving them would never end.

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
        """Draw new values for the constant from U(0, 1); `linear` has its own `reset_parameters`."""
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
    """A block made of blocks: an `nn.Sequential` of two layers, followed by one more layer.

    Args:
        in_features: size of each input example.
        device: the device of the parameters.
        dtype: the dtype of the parameters.

    Shape:
        - Input: `(*, in_features)`, where `*` is any number of leading dimensions, including none.
        - Output: `(*, 16)`.

    Attributes:
        net: two linear layers, from `in_features` to 64 and from 64 to 32, each followed by a ReLU.
        linear: the last layer, from 32 to 16.

    Raises:
        RuntimeError: raised by PyTorch if the last dimension of the input is not `in_features`.

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
    """Calls its modules side by side: each gets the whole input, and their outputs are concatenated.

    Args:
        *nets: the modules; their outputs are concatenated in this order.
        dim: the dimension along which the outputs are concatenated; 1 is that of the channels of images.

    Shape:
        - Input: anything that every module accepts.
        - Output: the concatenated outputs of the modules; their sizes in dimension `dim` add up.

    Attributes:
        nets: the modules, in an `nn.ModuleList`.
        dim: the dimension, as given.

    Raises:
        TypeError: raised by PyTorch if an argument is not a module.
        ValueError: if there are no modules.
        RuntimeError: raised by PyTorch if the outputs differ in a dimension other than `dim`.

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
