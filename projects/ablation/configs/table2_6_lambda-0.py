# The full model without the loss of the mask priors.
_base_ = './full.py'
model = dict(decode_head=dict(prior_loss_weight=0.))
