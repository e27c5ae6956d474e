# Gate whose paths both do not pool.
_base_ = './full.py'
model = dict(backbone=dict(gate=dict(pool=(False, False))))
