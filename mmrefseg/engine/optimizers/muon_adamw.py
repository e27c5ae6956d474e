# Licensed under the Apache License, Version 2.0.
"""Muon for weight matrices and AdamW for the rest, as one optimizer."""

from collections.abc import Iterable
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.overrides import TorchFunctionMode

from mmrefseg.registry import OPTIMIZERS
from .autocast_optim_wrapper import cpu_has_bfloat16


@OPTIMIZERS.register_module()
class MuonAdamW(Optimizer):
    """``torch.optim.Muon`` and ``torch.optim.AdamW`` behind one interface.

    Muon takes matrices only, so a model needs both. Groups that carry
    ``use_muon=True`` go to Muon, the others to AdamW. With
    ``RefSegOptimWrapperConstructor``, ``paramwise_cfg=dict(muon_lr=...)``
    marks the weights of all linear layers and gives them their own learning
    rate.

    Small models that start from scratch learn several times faster per image
    this way; a pretrained model is better served by AdamW alone. PyTorch's
    Muon multiplies in bfloat16; on a CPU without it, it does so in float32.

    Args:
        params (Iterable): Parameters or groups of them.
        lr (float): Learning rate of AdamW's groups.
        betas (tuple[float, float]): Of AdamW. Defaults to (0.9, 0.999).
        weight_decay (float): Decoupled decay of both. Defaults to 0.01.
        momentum (float): Of Muon. Defaults to 0.95.

    Raises:
        ImportError: This PyTorch has no Muon (it came with 2.9).

    Example:
        >>> import torch
        >>> from mmrefseg.engine import MuonAdamW
        >>> layer = torch.nn.Linear(4, 4)
        >>> optimizer = MuonAdamW(
        ...     [dict(params=[layer.weight], lr=0.02, use_muon=True),
        ...      dict(params=[layer.bias])], lr=1e-3)
        >>> [group['lr'] for group in optimizer.param_groups]
        [0.02, 0.001]
    """

    def __init__(self,
                 params: Iterable,
                 lr: float,
                 betas: tuple[float, float] = (0.9, 0.999),
                 weight_decay: float = 0.01,
                 momentum: float = 0.95) -> None:
        if not hasattr(torch.optim, 'Muon'):
            raise ImportError(
                'MuonAdamW needs torch.optim.Muon, which came with PyTorch '
                f'2.9; this is {torch.__version__}. Install a newer PyTorch, '
                "or train with optimizer=dict(type='AdamW', ...).")
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=tuple(betas),
                weight_decay=weight_decay,
                momentum=momentum,
                use_muon=False))
        self._build_parts()

    def _build_parts(self) -> None:
        """Make the two optimizers; they share this one's groups and state, so
        that schedulers and checkpoints see a single optimizer."""
        self._parts = []
        for kind, wanted in ((torch.optim.Muon, True), (AdamW, False)):
            groups = [g for g in self.param_groups if g['use_muon'] is wanted]
            if groups:
                part = kind(groups)
                part.state = self.state
                self._parts.append(part)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the state of a checkpoint."""
        super().load_state_dict(state_dict)
        self._build_parts()

    @torch.no_grad()
    def step(self, closure=None):
        """Update all parameters once.

        Args:
            closure (Callable, optional): Computes the loss anew.

        Returns:
            The loss of ``closure``, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        on_cpu = self.param_groups[0]['params'][0].device.type == 'cpu'
        slow = on_cpu and not cpu_has_bfloat16()
        with _Float32() if slow else nullcontext():
            for part in self._parts:
                part.step()
        return loss


class _Float32(TorchFunctionMode):
    """Whatever asks for bfloat16 inside gets a copy in float32."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is Tensor.bfloat16:
            return args[0].float().clone()
        return func(*args, **(kwargs or {}))
