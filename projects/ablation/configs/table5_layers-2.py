# LQPG of 2 layers.
_base_ = './full.py'
model = dict(decode_head=dict(num_layers=2))
