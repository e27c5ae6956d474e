# Licensed under the Apache License, Version 2.0.
"""What may come of a case: a sane item, or a refusal that a person can use."""

import numpy as np
import torch
from mmengine.registry import DefaultScope

from mmrefseg.fileio.plain_pickle import PlainPickleError
from mmrefseg.models.language_encoders import BertLanguageEncoder
from mmrefseg.registry import TRANSFORMS

ACCEPTED, REFUSED = 'accepted', 'refused'
# Exactly these: a subclass, such as a UnicodeDecodeError, comes from within.
CLEAR = (ValueError, FileNotFoundError, PlainPickleError)


class Fault(Exception):
    """A rule was broken. ``where`` tells faults of one cause apart."""

    def __init__(self, what, error=None):
        super().__init__(what)
        self.where = what
        trace = error.__traceback__ if error is not None else None
        while trace is not None:
            code = trace.tb_frame.f_code
            if 'mmrefseg/' in code.co_filename:
                place = code.co_filename.split('mmrefseg/')[-1]
                self.where = f'{type(error).__name__} in {place}, ' \
                    f'{code.co_name}, line {trace.tb_lineno}'
            trace = trace.tb_next


def refusal(error, *names, kinds=CLEAR):
    """Hold an error to the rules.

    Args:
        error (Exception): The error.
        *names: For each a string, or several of which one is enough, that
            the message has to contain.
        kinds: Classes that it may be of.
    """
    message = str(error)
    if type(error) not in kinds:
        raise Fault(f'{type(error).__name__}: {message[:200]}', error)
    for name in names:
        wanted = (name, ) if isinstance(name, str) else name
        if not any(x in message for x in wanted):
            raise Fault(
                f'the message does not name {" or ".join(wanted)}: '
                f'{message[:300]}', error)
    return REFUSED


class Oracle:
    """Pipelines and a small encoder, built once."""

    def __init__(self):
        with DefaultScope.overwrite_default_scope('mmrefseg'):
            self.transforms = [
                TRANSFORMS.build(x) for x in (
                    dict(type='LoadRefImage'), dict(type='LoadRefMask'),
                    dict(type='Resize', scale=(32, 32), keep_ratio=False),
                    dict(type='PackRefInputs'))
            ]
        self.encoder = BertLanguageEncoder(
            vocab='synthetic',
            max_tokens=16,
            arch=dict(
                hidden_size=8,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=8,
                max_position_embeddings=16)).eval()

    def dataset(self, build, files, expected=None, must_refuse=False):
        """Build a dataset and look at each of its items.

        Args:
            build (Callable): Gives the dataset.
            files (Sequence[str]): Of which a refusal has to name one.
            expected (int, optional): Number of items, if it is accepted.
            must_refuse (bool): Whether nothing but a refusal will do.
        """
        try:
            dataset = build()
            length = len(dataset)
        except Exception as error:
            return refusal(error, files)
        if must_refuse:
            raise Fault('accepted a file that asks for code')
        if length == 0 or (expected is not None and length != expected):
            raise Fault(f'{length} items in place of {expected}')
        members = np.concatenate(dataset.get_ref_groups())
        if sorted(members.tolist()) != list(range(length)):
            raise Fault('refs do not hold each item once')
        # All sentences of a ref share image and mask: the first one's are
        # looked at.
        firsts = {int(group[0]) for group in dataset.get_ref_groups()}
        outcomes = {
            self.item(dataset, i, i in firsts) for i in range(length)
        }
        return REFUSED if REFUSED in outcomes else ACCEPTED

    def item(self, dataset, index, whole=True):
        """One item through the tokenizer and, if ``whole``, the pipeline."""
        try:
            info = dataset.get_data_info(index)
        except Exception as error:
            raise Fault(f'item {index}: {error!r:.200}', error) from None
        text = info['text']
        if not isinstance(text, str) or not text.strip():
            raise Fault(f'the text is {text!r:.100}')
        try:
            tokens = self.encoder.tokens(text)
        except Exception as error:
            raise Fault(
                f'a sentence that was accepted: {error!r:.200}',
                error) from None
        if len(tokens) < 3:
            raise Fault(f'no token in {text!r:.100}')
        if not whole:
            return ACCEPTED
        mask = info['segmentation']
        files = [info['img_path']] + ([mask] if isinstance(mask, str) else [])
        results = dict(info)
        try:
            for transform in self.transforms[:2]:
                results = transform(results)
        except Exception as error:
            return refusal(error, files, f'ref {info["ref_id"]}',
                           f'sentence {info["sent_id"]}')
        self.check(results, bool(info.get('no_target', False)))
        for transform in self.transforms[2:]:
            results = transform(results)
        if results['inputs'].shape != (3, 32, 32) or not torch.isfinite(
                results['inputs'].float()).all():
            raise Fault('what the model gets is no picture')
        return ACCEPTED

    @staticmethod
    def check(results, no_target):
        """Image and mask before resizing."""
        image, mask = results['img'], results['gt_seg_map']
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise Fault(f'an image of {image.shape}, {image.dtype}')
        if mask.dtype != np.uint8 or mask.shape != image.shape[:2]:
            raise Fault(f'a mask of {mask.shape}, {mask.dtype} for an image '
                        f'of {image.shape}')
        values = set(np.unique(mask).tolist())
        if not values <= {0, 1} or (1 in values) == no_target:
            raise Fault(f'values {sorted(values)} in the mask')
