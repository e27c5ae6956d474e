# The language query of stage 2 alone.
_base_ = '../mpg-lqgnet_swin-b_1xb8-35e_refcoco-plus-448x448.py'
model = dict(
    backbone=dict(query_stages=(1, )),
    decode_head=dict(num_queries=1))
