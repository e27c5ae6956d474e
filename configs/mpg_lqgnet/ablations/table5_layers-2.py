# LQPG of 2 layers.
_base_ = '../mpg-lqgnet_swin-b_1xb8-35e_refcoco-plus-448x448.py'
model = dict(decode_head=dict(num_layers=2))
