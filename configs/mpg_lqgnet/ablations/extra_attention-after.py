# Mask priors from the attention after the softmax.
_base_ = '../mpg-lqgnet_swin-b_1xb8-35e_refcoco-plus-448x448.py'
model = dict(decode_head=dict(attention_map='after'))
