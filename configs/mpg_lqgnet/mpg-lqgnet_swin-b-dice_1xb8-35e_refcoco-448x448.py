# Dice beside cross-entropy, for the mask and for the priors.
_base_ = './mpg-lqgnet_swin-b_1xb8-35e_refcoco-448x448.py'
model = dict(
    decode_head=dict(loss_decode=[
        dict(type='CrossEntropyLoss', avg_non_ignore=True),
        dict(
            type='DiceLoss',
            use_sigmoid=False,
            naive_dice=True,
            ignore_index=0)
    ]))
