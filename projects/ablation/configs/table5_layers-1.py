# LQPG of 1 layer.
_base_ = './full.py'
model = dict(decode_head=dict(num_layers=1))
