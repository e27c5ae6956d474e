# CAFG as its equation is printed: F * sigmoid(CA_1) + CA_2.
_base_ = './full.py'
model = dict(backbone=dict(gate=dict(combine='literal')))
