# Mask head without the two coordinate channels.
_base_ = './full.py'
model = dict(decode_head=dict(with_coords=False))
