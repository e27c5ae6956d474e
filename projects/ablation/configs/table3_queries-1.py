# The language query of stage 1 alone.
_base_ = './full.py'
model = dict(
    backbone=dict(query_stages=(0, )),
    decode_head=dict(num_queries=1))
