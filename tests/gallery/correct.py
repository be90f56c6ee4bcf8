"""Unusual, but not wrong: what other libraries do, and rules have taken for a mistake."""

import copy
import random
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

from ._case import Given, batch, correct


@correct()
def a_part_that_forward_replaces_and_keeps_the_layers_of() -> Given:
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(4, 4)

        def forward(self, X):
            return self.hidden(X)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.out = Part(), nn.Linear(4, 2)

        def forward(self, X):
            new = Part()  # its own layer is made, filled and never used
            new.hidden = self.part.hidden
            self.part = new
            return self.out(self.part(X))

    return Given(Net(), (batch(3, 4),))


@correct()
def a_layer_of_zeros_to_which_no_example_goes() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Linear(4, 3), nn.Linear(3, 4)
            self.out = nn.Linear(4, 2)
            nn.init.zeros_(self.up.weight)

        def forward(self, X):
            goes = (X > 1e6).float()  # only examples with such a value
            return self.out(X + goes * self.up(self.down(X)))

    return Given(Net(), (batch(3, 4),))


class Unlike(nn.Module):
    """A linear layer in a class of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, 4)

    def forward(self, X: Tensor) -> Tensor:
        return self.hidden(X)


@correct()
def a_constant_filter_that_forward_wraps_in_a_parameter() -> Given:
    class Net(Unlike):
        def forward(self, X):
            return F.linear(super().forward(X), nn.Parameter(torch.eye(4), requires_grad=False))

    return Given(Net(), (batch(3, 4),))


@correct()
def a_frozen_module_that_was_built_with_requires_grad() -> Given:
    class Net(Unlike):
        def __init__(self, requires_grad=True):
            super().__init__()
            self.requires_grad = requires_grad

    return Given(nn.Sequential(Net().requires_grad_(False), nn.Linear(4, 2)), (batch(3, 4),))


@correct()
def a_flag_whose_name_ends_like_training() -> Given:
    net = Unlike()
    net.retraining = False
    return Given(net, (batch(3, 4),))


@correct("kept-graph")
def a_state_of_a_sequence_that_the_caller_resets() -> Given:
    class Net(Unlike):
        def __init__(self):
            super().__init__()
            self.register_buffer("h", torch.zeros(1, 4))

        def reset(self):
            self.h = torch.zeros(1, 4)

        def forward(self, X):
            self.h = torch.tanh(super().forward(X) + self.h)
            return self.h

    return Given(Net(), (batch(1, 4),))


@correct()
def a_state_that_is_detached_when_it_is_read() -> Given:
    class Net(Unlike):
        def __init__(self):
            super().__init__()
            self.h = None

        def forward(self, X):
            self.h = super().forward(X) + (0 if self.h is None else self.h.detach())
            return self.h

    return Given(Net(), (batch(1, 4),))


@correct("same-memory")
def a_frozen_parameter_over_the_memory_of_another() -> Given:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = nn.Parameter(first.weight.detach(), requires_grad=False)
    return Given(nn.Sequential(first, nn.ReLU(), second), (batch(3, 4),))


class Codebook(nn.Module):
    """Replaces each vector by the nearest one of a table, which is a running average and has no graph."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 4), nn.Linear(4, 2)
        self.table = nn.Parameter(batch(6, 4))

    def forward(self, X: Tensor) -> Tensor:
        H = self.hidden(X)
        nearest = torch.cdist(H.detach(), self.table.data).argmin(dim=1)
        found = self.table.data[nearest]
        if self.training:
            self.table.data[nearest] += 0.1 * (H.detach() - found)
        return self.out(H + (found - H).detach())


@correct()
def a_table_of_running_averages() -> Given:
    return Given(Codebook(), (batch(3, 4),))


@correct("data-write")
def a_table_of_running_averages_with_a_penalty() -> Given:
    class Penalized(Codebook):
        def forward(self, X):
            Y = super().forward(X)
            return Y, (self.table @ self.table.T - torch.eye(6)).square().sum()

    return Given(Penalized(), (batch(3, 4),))


@correct("data-read")
def a_table_of_running_averages_in_evaluation_mode() -> Given:
    return Given(Codebook().eval(), (batch(3, 4),))


class Cache:
    """Keeps what earlier calls have computed."""

    def __init__(self) -> None:
        self.values, self.number = torch.zeros(5, 3, 4), 0


@correct()
def a_cache_that_is_passed_to_the_net() -> Given:
    class Net(Unlike):
        def forward(self, X, cache):
            H = super().forward(X)
            cache.values[cache.number] = H.detach()
            cache.number += 1
            return H + cache.values.sum(dim=0)

    return Given(Net(), (batch(3, 4), Cache()))


@correct()
def attributes_that_lead_everywhere_or_nowhere() -> Given:
    net, gone = Unlike(), Unlike()
    vars(net)["gone"] = weakref.proxy(gone)
    net.python_module, net.objects = torch, [Cache() for _ in range(3)]
    for each in net.objects:
        each.others = net.objects
    return Given(net, (batch(3, 4),))


@correct()
def a_net_that_refuses_evaluation_mode() -> Given:
    class Net(Unlike):
        def eval(self):
            raise NotImplementedError("this net is only trained")

    return Given(Net(), (batch(3, 4),))


@correct()
def gates_with_small_gradients() -> Given:
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.gate = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, X):
            return X + self.hidden(X) * (1 + 1e-6 * self.gate(X))

    net = nn.Sequential(*(Gated() for _ in range(4)))
    return Given(net, (batch(3, 8),), {"loss": lambda Y: Y.square().mean()})


@correct()
def weights_that_are_computed_from_others() -> Given:
    layers = [nn.Linear(4, 4) for _ in range(6)]
    parametrizations.weight_norm(layers[0])
    parametrizations.spectral_norm(layers[1])
    parametrizations.orthogonal(layers[2])
    nn.utils.spectral_norm(layers[3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        nn.utils.weight_norm(layers[4])
    prune.l1_unstructured(layers[5], "weight", 0.5)
    return Given(nn.Sequential(*layers), (batch(3, 4),), {"loss": lambda Y: Y.square().mean()})


class Taught(nn.Module):
    """Learns from a slowly changing copy of itself, which it does not register."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Linear(4, 4)
        self.teacher = (copy.deepcopy(self.student),)

    def forward(self, X: Tensor) -> Tensor:
        with torch.no_grad():
            for old, new in zip(self.teacher[0].parameters(), self.student.parameters(), strict=True):
                old.lerp_(new, 0.1)
            Y = self.teacher[0](X)
        return self.student(X) * Y


@correct("unregistered")
def a_teacher_in_a_tuple() -> Given:
    return Given(Taught(), (batch(3, 4),), {"loss": lambda Y: Y.square().mean()})


@correct()
def a_teacher_that_is_written_through_data() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.student, self.teacher = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, X):
            for old, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                old.data = old.data * 0.9 + new.data * 0.1
            with torch.no_grad():
                Y = self.teacher(X)
            return self.student(X) * Y

    return Given(Net(), (batch(3, 4),), {"loss": lambda Y: Y.square().mean()})


@correct()
def a_scale_that_is_clamped_after_its_use() -> Given:
    class Net(Unlike):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, X):
            Y = super().forward(X) * self.scale.exp()
            self.scale.data.clamp_(0, 4.6)  # it is in that range already
            return Y

    return Given(Net(), (batch(3, 4),), {"loss": lambda Y: Y.square().mean()})


@correct()
def parts_that_are_computed_again() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.LSTM(4, 4)

        def forward(self, X):
            H = checkpoint(self.first, X, use_reentrant=True)
            return checkpoint(lambda H: self.second(H)[0], H, use_reentrant=False)

    return Given(Net(), (batch(3, 4).requires_grad_(),), {"loss": lambda Y: Y.square().mean()})


@correct()
def a_step_of_training_for_each_task() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.rate = nn.Linear(4, 1), nn.Parameter(torch.tensor(0.1))

        def adapted(self, X, y):
            def loss(values):
                return (functional_call(self.hidden, values, (X,)) - y).square().mean()

            start = dict(self.hidden.named_parameters())
            steps = grad(loss)(start)
            return loss({name: start[name] - self.rate * steps[name] for name in start})

        def forward(self, X, y):
            return vmap(self.adapted)(X, y)

    return Given(Net(), (batch(2, 3, 4), batch(2, 3, 1)), {"loss": torch.sum})


@correct()
def a_copy_that_is_trained_in_forward() -> Given:
    class Net(Unlike):
        def forward(self, X):
            fast = copy.deepcopy(self.hidden)
            fast(X).square().mean().backward()
            torch.optim.SGD(fast.parameters(), lr=0.1).step()
            return super().forward(X) - fast(X).detach()

    return Given(Net(), (batch(3, 4),))


@correct()
def a_perturbation_that_is_searched_in_forward() -> Given:
    class Net(Unlike):
        def forward(self, X):
            delta = nn.Parameter(torch.zeros_like(X))
            for _ in range(2):
                (step,) = torch.autograd.grad(super().forward(X + delta).square().sum(), delta)
                delta.data.add_(step.sign(), alpha=0.1)
            return super().forward(X + delta.detach())

    return Given(Net(), (batch(3, 4),))


@correct()
def a_fixed_filter_that_forward_builds() -> Given:
    class Net(Unlike):
        def forward(self, X):
            with torch.no_grad():
                mean = nn.Conv1d(1, 1, 3, padding=1)
                mean.weight.fill_(1 / 3)
                mean.bias.zero_()
                smooth = mean(X[:, None])[:, 0]
            return super().forward(X - smooth)

    return Given(Net(), (batch(3, 4),))


@correct()
def parts_that_are_scripted_and_traced() -> Given:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        scripted, traced = torch.jit.script(nn.Linear(4, 4)), torch.jit.trace(nn.Linear(4, 2), batch(3, 4))
    return Given(nn.Sequential(scripted, nn.Tanh(), traced), (batch(3, 4),))


@correct("mixed-dtype")
def a_normalization_in_higher_precision() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.norm, self.out = nn.Linear(4, 4).bfloat16(), nn.LayerNorm(4), nn.Linear(4, 2)
            self.norm.parent = (self,)

        def forward(self, X):
            return self.out(self.norm(self.hidden(X.bfloat16()).float()))

    return Given(Net(), (batch(3, 4),))


class Conditioned(nn.Module):
    """Adds a branch that begins at 0, and one that a second input scales: by 0 at the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(4, 3), nn.Linear(3, 4, bias=False)
        self.film, self.out = nn.Linear(4, 12), nn.Linear(4, 2)
        for parameter in (*self.up.parameters(), *self.film.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, X: Tensor, C: Tensor) -> Tensor:
        scale, shift, gate = self.film(C).chunk(3, dim=-1)
        X = X + self.up(self.down(X))
        return self.out(X + gate * torch.tanh(X * (1 + scale) + shift))


@correct()
def branches_that_begin_at_zero() -> Given:
    return Given(Conditioned(), (batch(3, 4), batch(3, 4)), {"loss": lambda Y: Y.square().mean()})


@correct()
def branches_that_begin_at_zero_and_get_zeros() -> Given:
    return Given(Conditioned(), (torch.zeros(3, 4), torch.zeros(3, 4)))


@correct()
def heads_of_zeros_for_tasks_without_an_example() -> Given:
    class Net(Unlike):
        def __init__(self):
            super().__init__()
            self.heads = nn.ModuleList(nn.Linear(4, 3) for _ in range(3))
            for parameter in self.heads.parameters():
                nn.init.zeros_(parameter)

        def forward(self, X, task):
            H = super().forward(X).relu()
            return sum((task == k)[:, None] * head(H) for k, head in enumerate(self.heads))

    return Given(Net(), (batch(3, 4), torch.tensor([0, 0, 1])))


@correct("unused")
def forces_that_are_the_gradient_of_an_energy() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.energy = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

        def forward(self, atoms):
            energy = self.energy(atoms["X"].requires_grad_()).sum()
            (atoms["forces"],) = torch.autograd.grad(energy, atoms["X"], create_graph=True)
            return atoms

    loss = {"loss": lambda atoms: atoms["forces"].square().sum()}  # to which the last bias adds nothing
    return Given(Net(), ({"X": batch(5, 3)},), loss)


@correct()
def a_frozen_part_that_stays_in_evaluation_mode() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).requires_grad_(False).eval()
            self.head = nn.Linear(4, 2)

        def train(self, mode=True):
            super().train(mode)
            self.body.eval()
            return self

        def forward(self, X):
            with torch.no_grad():
                H = self.body(X)
            return self.head(H)

    net = Net()
    optimizer = torch.optim.SGD(net.head.parameters(), lr=0.1)
    return Given(net, (batch(3, 4),), {"loss": lambda Y: Y.square().mean(), "optimizer": optimizer})


@correct()
def layers_that_are_chosen_at_random() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))

        def forward(self, X):
            for layer in self.layers:
                if not self.training or random.random() < 0.5:
                    X = X + layer(X)
            return X * 1

    return Given(Net(), (batch(3, 4),))


@correct()
def rounding_with_a_gradient_of_its_own() -> Given:
    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X):
            return X.sign()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    class Binary(nn.Linear):
        def forward(self, X):
            return F.linear(X, Sign.apply(self.weight), self.bias)

    class Twice(Binary):
        def __call__(self, X, times=2):
            return super().__call__(X) * times

        def forward(self, X):
            return super().forward(X) + Binary.forward(self, X)

    return Given(nn.Sequential(Twice(4, 4), nn.Tanh(), Binary(4, 2)), (batch(3, 4),))


@correct("unused")
def experts_without_an_example() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.router, self.experts = nn.Linear(4, 3), nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
            self.router.bias.data = torch.tensor([9.0, 0.0, 0.0])

        def forward(self, X):
            weights, chosen = self.router(X).softmax(dim=-1).max(dim=-1)
            Y = torch.zeros_like(X)
            for k, expert in enumerate(self.experts):
                mine = chosen == k
                if mine.any():
                    Y[mine] = expert(X[mine]) * weights[mine, None]
            return Y

    return Given(Net(), (batch(3, 4),))


@correct()
def filters_of_equal_values() -> Given:
    blur = nn.Conv2d(2, 2, 3, padding=1, groups=2)
    nn.init.constant_(blur.weight, 1 / 9)
    same, out = nn.Conv2d(2, 2, 1), nn.Linear(2, 2)
    nn.init.dirac_(same.weight)
    nn.init.eye_(out.weight)
    net = nn.Sequential(blur, same, nn.AdaptiveAvgPool2d(1), nn.Flatten(), out)
    return Given(net, (batch(3, 2, 5, 5),))


@correct()
def layers_that_run_in_other_threads() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

        def forward(self, X):
            with ThreadPoolExecutor(2) as threads:
                return sum(threads.map(lambda layer: layer(X), self.layers))

    return Given(Net(), (batch(3, 4),))


@correct("optimizer")
def an_optimizer_that_trains_the_loss_as_well() -> Given:
    net, criterion = nn.Linear(4, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *criterion.parameters()], lr=0.1)
    options = {"loss": lambda Y: criterion(Y).square().mean(), "optimizer": optimizer}
    return Given(net, (batch(3, 4),), options)
