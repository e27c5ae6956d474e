# The language query of stage 3 alone.
_base_ = './full.py'
model = dict(
    backbone=dict(query_stages=(2, )),
    decode_head=dict(num_queries=1))
