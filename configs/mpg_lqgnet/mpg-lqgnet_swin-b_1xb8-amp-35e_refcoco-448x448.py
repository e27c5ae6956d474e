# bfloat16 autocast: less memory, more speed, no gradient scaler.
_base_ = './mpg-lqgnet_swin-b_1xb8-35e_refcoco-448x448.py'
optim_wrapper = dict(type='AutocastOptimWrapper', dtype='bfloat16')
