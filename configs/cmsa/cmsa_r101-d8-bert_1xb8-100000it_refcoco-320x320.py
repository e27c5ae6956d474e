# BERT-base in place of the learned vectors, at a tenth of the rate.
_base_ = './cmsa_r101-d8_1xb8-100000it_refcoco-320x320.py'
model = dict(
    language_encoder=dict(
        _delete_=True,
        type='BertLanguageEncoder',
        pretrained='bert-base-uncased',
        max_tokens=22))
optim_wrapper = dict(paramwise_cfg=dict(lr_mult=dict(language_encoder=0.1)))
