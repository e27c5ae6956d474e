# CAFG as its equation is printed: F * sigmoid(CA_1) + CA_2.
_base_ = '../mpg-lqgnet_swin-b_1xb8-35e_refcoco-plus-448x448.py'
model = dict(backbone=dict(gate=dict(combine='literal')))
