# Mask priors from the attention after the softmax.
_base_ = './full.py'
model = dict(decode_head=dict(attention_map='after'))
