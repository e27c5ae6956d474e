# The language query of stage 2 alone.
_base_ = './full.py'
model = dict(
    backbone=dict(query_stages=(1, )),
    decode_head=dict(num_queries=1))
