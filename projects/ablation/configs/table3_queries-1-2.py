# Language queries of stages 1 and 2.
_base_ = './full.py'
model = dict(
    backbone=dict(query_stages=(0, 1)),
    decode_head=dict(num_queries=2))
