# Language queries of stages 3 and 4.
_base_ = '../mpg-lqgnet_swin-b_1xb8-35e_refcoco-plus-448x448.py'
model = dict(
    backbone=dict(query_stages=(2, 3)),
    decode_head=dict(num_queries=2))
