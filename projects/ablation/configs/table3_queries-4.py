# The language query of stage 4 alone.
_base_ = './full.py'
model = dict(
    backbone=dict(query_stages=(3, )),
    decode_head=dict(num_queries=1))
