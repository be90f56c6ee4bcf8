"""Imported before a file comes: all exercises, and what PyTorch itself imports only when it is first used."""

import torch
import torch._dynamo  # by the first optimizer, too

from .exercise import all_exercises

all_exercises()
torch.empty(1, device="meta") + 1
torch.func.vmap(torch.sin)(torch.ones(1))
