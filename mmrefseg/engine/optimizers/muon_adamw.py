# Licensed under the Apache License, Version 2.0.
"""Muon for weight matrices and AdamW for the rest, as one optimizer."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

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
    Muon multiplies in bfloat16; on a CPU without it the same steps are done
    in float32.

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
        self._steps: list[Callable[[], object]] = []
        for kind, wanted in ((torch.optim.Muon, True), (AdamW, False)):
            groups = [g for g in self.param_groups if g['use_muon'] is wanted]
            if groups:
                part = kind(groups)
                part.state = self.state
                self._steps.append(
                    partial(_step_in_float32, part)
                    if wanted and _lacks_bfloat16(groups) else part.step)

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
        for step in self._steps:
            step()
        return loss


def _lacks_bfloat16(groups: list[dict]) -> bool:
    """Whether a CPU would take seconds for Muon's products in bfloat16."""
    return not cpu_has_bfloat16() and any(
        p.device.type == 'cpu' for group in groups for p in group['params'])


@torch.no_grad()
def _step_in_float32(muon: Optimizer) -> None:
    """One step of ``torch.optim.Muon`` without bfloat16 (Jordan et al., 2024,
    https://kellerjordan.github.io/posts/muon)."""
    for group in muon.param_groups:
        for p in group['params']:
            if p.grad is None:
                continue
            state = muon.state[p]
            if 'momentum_buffer' not in state:
                state['momentum_buffer'] = torch.zeros_like(p.grad)
            momentum = state['momentum_buffer']
            momentum.lerp_(p.grad, 1 - group['momentum'])
            update = (
                p.grad.lerp(momentum, group['momentum'])
                if group['nesterov'] else momentum)
            update = _orthogonal(update, group)
            ratio = max(1, p.shape[0] / p.shape[1])**0.5
            p.mul_(1 - group['lr'] * group['weight_decay'])
            p.add_(update, alpha=-group['lr'] * ratio)


def _orthogonal(x: Tensor, group: dict) -> Tensor:
    """The nearest matrix with equal singular values, roughly: a quintic
    Newton-Schulz iteration."""
    a, b, c = group['ns_coefficients']
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=group['eps'])
    for _ in range(group['ns_steps']):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
