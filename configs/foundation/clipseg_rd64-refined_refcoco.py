# CLIPSeg on RefCOCO: CLIP and a small decoder, 352 x 352.
_base_ = ['../_base_/unresized/refcoco.py', '../_base_/default_runtime.py']

model = dict(
    type='CLIPSegSegmentor',
    pretrained='CIDAS/clipseg-rd64-refined',
    template='{}',  # what the model reads; such as 'a photo of {}'
    dtype='float32',
    local_files_only=False,
    existence_threshold=0.)  # every sentence of RefCOCO has a target
