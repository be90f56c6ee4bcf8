"""The parameters and buffers of a net in a safetensors file; either all of them are loaded, or none."""

import os
from contextlib import nullcontext
from typing import TypeVar

from torch import nn

from d2lblocks._arguments import check_net, check_path

from ._changes import undone_on_error, uninterrupted
from ._files import FilePath, replacing
from ._format import reading, write
from ._lazy_sizes import lazy_problems, learn_sizes
from ._loading_code import has_loading_code, run_loading_code
from ._states import (
    check_loadable,
    check_storable,
    compare,
    compare_names,
    fill,
    misfit,
    named_state,
    split_ties,
    untold_names,
)

_Net = TypeVar("_Net", bound=nn.Module)


def save_parameters(net: nn.Module, path: FilePath) -> None:
    """Write a net's parameters and buffers to a safetensors file, under their names in `state_dict`.

    A shared tensor is written once, and its other names are kept in the file's metadata.
    Buffers with `persistent=False` are left out.

    The metadata also hold checksums of all data, which `load_parameters` compares.
    The file at `path` is replaced in one step, after the new file is complete.
    A tensor on another device is copied to the CPU's memory while it is written.

    Args:
        net: any module.
        path: the file. If it is a symbolic link, the link stays, and the file it points to is replaced.

    Raises:
        ValueError: if a tensor has no values, because it is lazy or on the meta device,
            or if two tensors have the same name.
        TypeError: if a tensor is of a kind that the format does not support, if the state dict has an entry
            that is neither a parameter nor a buffer, or if the arguments are not a net and a path.
        OSError: if the file cannot be written; an older file is left as it was.

    Examples:
        ```python
        from safetensors.torch import load_file
        from d2lblocks import MLP, save_parameters

        save_parameters(MLP(20), "mlp.safetensors")
        print(sorted(load_file("mlp.safetensors")))
        #> ['hidden.bias', 'hidden.weight', 'out.bias', 'out.weight']
        ```
    """
    check_net(net)
    check_path(path)
    state = named_state(net)
    check_storable(state)
    tensors, ties = split_ties(state)
    with replacing(path) as file:
        write(file, tensors, ties)


def load_parameters(net: _Net, path: FilePath, *, cast: bool = False, verify: bool = True) -> _Net:
    """Read a net's parameters and buffers from a safetensors file: either all of them, or none.

    Everything is checked before the first value changes.
    The tensors stay the same objects on the same device, so layers that share them and optimizers that hold
    them see the new values. Lazy parameters get their shapes from the file, if these agree with the sizes
    that the layer was made with; a layer such as `nn.LazyLinear` keeps its class until its first call.
    Hooks and methods of the net that `load_state_dict` would call are called after the values are loaded.

    Other programs often write a shared tensor under only one of its names. If a name is missing in such a
    file, and the net shares that tensor with a name in the file, then the file fits.

    Args:
        net: a module with the same names, shapes, dtypes and shared tensors as the net that was saved.
        path: the file, written by `save_parameters` or another program.
        cast: whether to cast values to the net's dtypes, for example from float64 to float32.
            Complex numbers are never cast to real ones, nor floating-point numbers to integers.
        verify: whether to compare the data with the file's checksums, which takes reading the file twice.
            Files of other programs have no checksums and need `verify=False`.

    Returns:
        the net.

    Raises:
        RuntimeError: if the file does not fit the net; the message lists every mismatch.
            The net is as it was.
        DamagedFileError: if the file is not a safetensors file, is damaged, or cannot be verified.
            It is a subclass of RuntimeError. The net is as it was.
        ValueError: if the net is on the meta device, or if two of its tensors have the same name.
        TypeError: if the net holds a tensor of a kind that the format does not support,
            or if the arguments are not a net and a path.
        OSError: if there is no such file, or if it cannot be read.

    Examples:
        ```python
        import torch
        from d2lblocks import MLP, load_parameters, save_parameters

        net, X = MLP(20), torch.rand(2, 20)
        save_parameters(net, "mlp.safetensors")
        clone = load_parameters(MLP(20), "mlp.safetensors")
        print(torch.equal(clone(X), net(X)))
        #> True
        ```
    """
    check_net(net)
    check_path(path)
    state = named_state(net)
    check_loadable(state, net)
    with reading(path) as file:
        if verify and (file.names == state.keys() or file.checksums is None):
            file.verify()
        names = file.names | untold_names(file, state)
        problems, copies = compare(file, state, cast)
        if problems := [*compare_names(names, state, net), *lazy_problems(net, "", file), *problems]:
            head = f"Error(s) in loading parameters for {type(net).__name__} from {os.fspath(path)}:"
            raise misfit(head, problems)
        coded = has_loading_code(net)
        with uninterrupted(), undone_on_error(net) if coded else nullcontext():
            fill(copies)
            learn_sizes(net)
            if coded:
                run_loading_code(net, {})
    return net
