# bfloat16, and the activations of Swin and BERT are computed again in the
# backward pass instead of being kept: for GPUs of little memory.
_base_ = './mpg-lqgnet_swin-b_1xb8-amp-35e_refcoco-448x448.py'
model = dict(backbone=dict(with_cp=True), language_encoder=dict(with_cp=True))
