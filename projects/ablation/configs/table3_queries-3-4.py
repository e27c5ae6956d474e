# Language queries of stages 3 and 4.
_base_ = './full.py'
model = dict(
    backbone=dict(query_stages=(2, 3)),
    decode_head=dict(num_queries=2))
