# BSAM and LQPG; no gate: V' = V + F.
_base_ = './full.py'
model = dict(backbone=dict(gate=None))
