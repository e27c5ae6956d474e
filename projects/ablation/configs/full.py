# The full model.
_base_ = '../../../configs/mpg_lqgnet/mpg-lqgnet_swin-b_1xb8-35e_refcoco-plus-448x448.py'  # noqa: E501
