# Dice beside the weighted cross-entropy.
_base_ = './lavt_swin-b-w12_8xb4-40e_refcoco-480x480.py'
model = dict(
    decode_head=dict(loss_decode=[
        dict(type='CrossEntropyLoss', class_weight=[0.9, 1.1]),
        dict(
            type='DiceLoss',
            use_sigmoid=False,
            naive_dice=True,
            ignore_index=0)
    ]))
