# Gate of one path: F * sigmoid(CA_1).
_base_ = './full.py'
model = dict(backbone=dict(gate=dict(combine='single')))
