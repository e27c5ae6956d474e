# Licensed under the Apache License, Version 2.0.
"""Classification of no-target sentences by their words alone.

An upper bound of what a model may gain from the wording: a logistic
regression on the words and pairs of words of a sentence and on its length,
which never sees an image.
"""

import os.path as osp
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from mmrefseg.datasets.refer_files import annotations_of, load_refs

_STEPS, _RATE, _DECAY = 250, 0.03, 3e-4


def _features(text: str) -> set[str]:
    words = text.split()
    pairs = zip(words, words[1:])
    return {*words, *map(' '.join, pairs), f'{len(words)} words'}


def _sentences(refs: Sequence[dict], path: str,
               split: str) -> tuple[list[str], torch.Tensor]:
    """Texts of a split, and 1 for each no-target sentence."""
    found = [(sentence['sent'], not annotations_of(ref, path))
             for ref in refs if ref['split'] == split
             for sentence in ref['sentences']]
    return [x for x, _ in found], torch.tensor([float(y) for _, y in found])


def _encode(texts: Sequence[str], known: dict[str, int]) -> torch.Tensor:
    found = torch.zeros(len(texts), len(known))
    for row, text in zip(found, texts):
        for name in _features(text):
            if name in known:
                row[known[name]] = 1
    return found


def measure_words_alone(data_root: str,
                        split: str = 'val',
                        max_sentences: int = 20000) -> dict[str, float]:
    """Train on train, test on a split.

    Args:
        data_root (str): Folder made by ``make_synthetic_refs`` with
            ``targets='any'``.
        split (str): Which split.
        max_sentences (int): Sentences to train on.

    Returns:
        dict[str, float]: In percent: ``share`` of no-target sentences in the
        split; ``N-acc`` and ``T-acc`` of guesses by probability above 0.5,
        and (``... even``) of as many no-target guesses as are right.
    """
    path = osp.join(data_root, 'grefs(synthetic).json')
    refs = load_refs(path, many=True)
    texts, no_target = _sentences(refs, path, 'train')
    texts, no_target = texts[:max_sentences], no_target[:max_sentences]
    names = sorted(set().union(*map(_features, texts)))
    known = {name: i for i, name in enumerate(names)}
    inputs = _encode(texts, known)
    weight = torch.zeros(len(known), requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=_RATE)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(inputs @ weight + bias,
                                                  no_target)
        (loss + _DECAY * weight.square().sum()).backward()
        optimizer.step()

    texts, no_target = _sentences(refs, path, split)
    with torch.no_grad():
        logits = _encode(texts, known) @ weight + bias
    true = no_target > 0
    even = logits.sort(descending=True).values[int(true.sum()) - 1]
    result = dict(share=100 * no_target.mean().item())
    for name, limit in (('', 0.), (' even', even)):
        guess = logits > limit if name == '' else logits >= limit
        result[f'N-acc{name}'] = 100 * guess[true].float().mean().item()
        result[f'T-acc{name}'] = 100 * (~guess[~true]).float().mean().item()
    return result
