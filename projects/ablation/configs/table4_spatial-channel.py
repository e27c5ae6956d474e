# Gate whose second path does not pool.
_base_ = './full.py'
model = dict(backbone=dict(gate=dict(pool=(True, False))))
