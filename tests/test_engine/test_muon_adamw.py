# Licensed under the Apache License, Version 2.0.
import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmrefseg.engine import MuonAdamW, RefSegOptimWrapperConstructor

pytestmark = pytest.mark.skipif(
    not hasattr(torch.optim, 'Muon'), reason='torch.optim.Muon: torch 2.9')

CFG = dict(
    type='OptimWrapper',
    optimizer=dict(type='MuonAdamW', lr=1e-2, weight_decay=0.1))


class Model(nn.Module):

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 8)
        self.hidden = nn.Linear(8, 6)
        self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, 2)

    def forward(self, index):
        return self.out(self.norm(self.hidden(self.table(index))))


def build(model, **paramwise):
    init_default_scope('mmrefseg')
    constructor = RefSegOptimWrapperConstructor(
        copy.deepcopy(CFG), dict(muon_lr=0.05, **paramwise))
    return constructor(model).optimizer


def step(model, optimizer, seed):
    torch.manual_seed(seed)
    optimizer.zero_grad()
    model(torch.randint(0, 5, (16, ))).square().sum().backward()
    optimizer.step()


def test_linear_weights_and_only_they_go_to_muon():
    model = Model()
    optimizer = build(model)
    names = {p: name for name, p in model.named_parameters()}
    muon = {
        names[p]
        for g in optimizer.param_groups if g['use_muon'] for p in g['params']
    }
    assert muon == {'hidden.weight', 'out.weight'}
    rates = {g['use_muon']: g['lr'] for g in optimizer.param_groups}
    assert rates == {True: 0.05, False: 0.01}
    grouped = [p for g in optimizer.param_groups for p in g['params']]
    assert len(grouped) == len(names)


def test_it_equals_the_two_optimizers_side_by_side(monkeypatch):
    monkeypatch.setattr(
        'mmrefseg.engine.optimizers.muon_adamw.cpu_has_bfloat16',
        lambda: True)
    torch.manual_seed(0)
    ours = Model()
    theirs = copy.deepcopy(ours)
    optimizer = build(ours)
    matrices = [theirs.hidden.weight, theirs.out.weight]
    norms = [theirs.norm.weight, theirs.norm.bias]
    rest = [theirs.table.weight, theirs.hidden.bias, theirs.out.bias]
    muon = torch.optim.Muon(matrices, lr=0.05, weight_decay=0.1)
    adamw = torch.optim.AdamW([
        dict(params=rest, weight_decay=0.1),
        dict(params=norms, weight_decay=0.)
    ],
                              lr=0.01)
    for i in range(5):
        step(ours, optimizer, i)
        torch.manual_seed(i)
        muon.zero_grad()
        adamw.zero_grad()
        theirs(torch.randint(0, 5, (16, ))).square().sum().backward()
        muon.step()
        adamw.step()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters()):
        assert torch.equal(a, b), name


def test_a_resumed_optimizer_goes_on_as_if_never_stopped():
    torch.manual_seed(0)
    model = Model()
    optimizer = build(model)
    for i in range(3):
        step(model, optimizer, i)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    resumed = Model()
    again = build(resumed)
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    for i in range(3, 6):
        for group in (*optimizer.param_groups, *again.param_groups):
            group['lr'] *= 0.9  # a scheduler reaches both parts
        step(model, optimizer, i)
        step(resumed, again, i)
    for a, b in zip(model.parameters(), resumed.parameters()):
        assert torch.equal(a, b)


def test_a_rate_reaches_the_parts():
    model = Model()
    optimizer = build(model)
    for group in optimizer.param_groups:
        group['lr'] = 0.
        group['weight_decay'] = 0.
    before = copy.deepcopy(model.state_dict())
    step(model, optimizer, 0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_pytorch_without_muon_says_so(monkeypatch):
    monkeypatch.delattr(torch.optim, 'Muon')
    with pytest.raises(ImportError, match='2.9'):
        MuonAdamW(Model().parameters(), lr=0.1)


def test_steps_without_bfloat16_are_muons(monkeypatch):
    """A CPU without bfloat16 gets Muon in float32: the same steps."""
    steps = []
    for native in (True, False):
        monkeypatch.setattr(
            'mmrefseg.engine.optimizers.muon_adamw.cpu_has_bfloat16',
            lambda native=native: native)
        generator = torch.Generator().manual_seed(0)
        weights = [
            nn.Parameter(torch.randn(shape, generator=generator))
            for shape in ((24, 8), (8, 24), (16, 16))
        ]
        before = [w.detach().clone() for w in weights]
        optimizer = MuonAdamW(
            [dict(params=weights, lr=0.02, use_muon=True)], lr=1e-3)
        for _ in range(5):
            for w in weights:
                w.grad = torch.randn(w.shape, generator=generator)
            optimizer.step()
        steps.append([w.detach() - x for w, x in zip(weights, before)])
    for muon, own in zip(*steps):
        assert muon.abs().max() > 0.02
        assert not torch.equal(own, muon)  # else both are the stock Muon
        torch.testing.assert_close(own, muon, rtol=0, atol=2e-3)  # bf16
