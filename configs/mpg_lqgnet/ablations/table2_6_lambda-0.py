# The full model without the loss of the mask priors.
_base_ = '../mpg-lqgnet_swin-b_1xb8-35e_refcoco-plus-448x448.py'
model = dict(decode_head=dict(prior_loss_weight=0.))
