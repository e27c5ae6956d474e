# Validated and saved is a moving average of the weights over about 5,000
# iterations, one epoch.
_base_ = './mpg-lqgnet_swin-b_1xb8-35e_refcoco-448x448.py'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', momentum=2e-4, update_buffers=True)
]
