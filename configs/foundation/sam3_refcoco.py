# SAM 3, concept prompt, the best instance. Needs transformers 5 and
# torchvision; the weights are given out under the SAM License on request.
_base_ = ['../_base_/unresized/refcoco.py', '../_base_/default_runtime.py']

model = dict(
    type='SAM3Segmentor',
    pretrained='facebook/sam3',
    instances='best',
    dtype='float32',
    local_files_only=False,
    existence_threshold=0.)  # every sentence of RefCOCO has a target
