# Licensed under the Apache License, Version 2.0.
"""Write the words of a dataset's training sentences, one a line, for
WordEmbeddingEncoder.

The first lines are <pad>, <go>, <eos> and <unk>, then come the words, the
most frequent first. The dataset is the one that a config trains on; its
images are not read.

Example:
    python tools/dataset_converters/make_vocabulary.py \\
        configs/cmsa/cmsa_r101-d8_1xb8-100000it_refcoco-320x320.py \\
        data/coco/refcoco/words.txt
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.engine.options import merge_options
from mmrefseg.fileio import write_atomically
from mmrefseg.models.language_encoders.word_tokenizer import (SPECIAL_WORDS,
                                                              split_words)
from mmrefseg.registry import DATASETS


def count_words(sentences: Iterable[str],
                lower_case: bool = True) -> Counter[str]:
    """How often each word stands in sentences.

    Args:
        sentences (Iterable[str]): Sentences.
        lower_case (bool): Whether words are lower-cased. Defaults to True.

    Returns:
        Counter: Words and their numbers.
    """
    counts: Counter[str] = Counter()
    for sentence in sentences:
        counts.update(split_words(sentence, lower_case))
    return counts


def vocabulary(counts: Counter[str], min_count: int = 1) -> list[str]:
    """The lines of a vocabulary.

    Args:
        counts (Counter): Words and their numbers.
        min_count (int): Words that are rarer are left out: they share
            '<unk>'. Defaults to 1.

    Returns:
        list[str]: Special words, then words by number and alphabet.
    """
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return [
        *SPECIAL_WORDS,
        *(x for x in words
          if counts[x] >= min_count and x not in SPECIAL_WORDS)
    ]


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write the words of a dataset's training sentences.")
    parser.add_argument('config', help='config whose training set is read')
    parser.add_argument('out', help='file to write, one word a line')
    parser.add_argument(
        '--min-count',
        type=int,
        default=1,
        help='leave out words that are rarer (default: 1, keep all)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, such as '
        'train_dataloader.dataset.data_root=FOLDER')
    return parser.parse_args(args)


def main(args: list[str] | None = None) -> int:
    args = parse_args(args)
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        merge_options(cfg, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmrefseg'))
    encoder = cfg.get('model', {}).get('language_encoder', {})
    try:
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        sentences = [
            dataset.get_data_info(i)['text'] for i in range(len(dataset))
        ]
        counts = count_words(sentences, encoder.get('lower_case', True))
        lines = vocabulary(counts, args.min_count)
        write_atomically(args.out, ('\n'.join(lines) + '\n').encode())
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None
    known = sum(counts[x] for x in lines)
    print(f'{len(lines)} lines, {len(lines) - len(SPECIAL_WORDS)} of '
          f'{len(counts)} words of {len(sentences)} sentences, written to '
          f'{args.out}')
    print(f'Of all words that stand there {known / counts.total():.2%} are '
          'in the vocabulary.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
