# BSAM and LQPG; no gate: V' = V + F.
_base_ = '../mpg-lqgnet_swin-b_1xb8-35e_refcoco-plus-448x448.py'
model = dict(backbone=dict(gate=None))
