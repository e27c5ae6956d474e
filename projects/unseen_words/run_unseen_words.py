# Licensed under the Apache License, Version 2.0.
"""Measure how a model generalises to words absent from its training set.

The same sentences are shown as they are, with synonyms in the place of some
words, and with these words removed, replaced by nonsense or unknown.

Usage:
    python projects/unseen_words/run_unseen_words.py CONFIG CHECKPOINT
        [--words red=crimson circle=disc ...] [--each] [--out FILE.json]
        [--batch-size 16] [--device cpu] [--cfg-options key=value ...]
"""

import argparse
import json

from mmengine.config import DictAction

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.apis import init_model
from mmrefseg.apis.checkpoints.init_model import scope_of
from mmrefseg.fileio import write_atomically
from mmrefseg.registry import DATASETS
from synonyms import UNSEEN_WORDS
from unseen_words import UNSEEN, format_unseen_words, measure_unseen_words

Groups = dict[str, dict[str, str]]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Measure generalisation to words absent from training.')
    parser.add_argument('config', help='path of the config file')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument(
        '--words',
        nargs='+',
        metavar='OLD=NEW',
        help='what to replace; default: synonyms of the words of the '
        'synthetic scenes, in groups')
    parser.add_argument(
        '--each',
        action='store_true',
        help='every word is a group of its own')
    parser.add_argument(
        '--out', metavar='FILE', help='write the lines there as JSON')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=16,
        metavar='N',
        help='sentences at once (default: 16)')
    parser.add_argument('--device', help="default: the best that's there")
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, e.g. '
        'test_dataloader.dataset.split=testA')
    return parser.parse_args()


def groups_of(args: argparse.Namespace) -> Groups:
    groups: Groups = UNSEEN_WORDS
    if args.words is not None:
        wrong = [x for x in args.words if '=' not in x]
        if wrong:
            raise SystemExit(f'error: --words {wrong[0]}: write OLD=NEW, such '
                             'as red=crimson')
        pairs = dict(x.split('=', 1) for x in args.words)
        groups = {'words': pairs}
    if args.each:
        groups = {
            f'{old} → {new}': {
                old: new
            }
            for words in groups.values() for old, new in words.items()
        }
    return groups


def main() -> None:
    args = parse_args()
    groups = groups_of(args)
    try:
        model = init_model(args.config, args.checkpoint, args.device,
                           args.cfg_options)
        with scope_of(model.cfg):
            dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
        encoder = model.language_encoder
        print('The new words as the model sees them:')
        for words in groups.values():
            for old, new in words.items():
                tokens = encoder.tokens(new)[1:-1] if new.strip() else []
                print(f'  {old} → {new}: {" ".join(tokens)}')
        lines = []
        for line in measure_unseen_words(
                model, dataset, groups, batch_size=args.batch_size):
            lines.append(line)
            if args.out:  # after each, so that a run may be cut short
                text = json.dumps([x._asdict() for x in lines], indent=1)
                write_atomically(args.out, text.encode() + b'\n')
            if line.shown == UNSEEN:
                print(f'{line.group}: mIoU {line.change:+.1f} on '
                      f'{line.sentences} sentences', flush=True)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(f'error: {error}') from None
    print(format_unseen_words(lines))


if __name__ == '__main__':
    main()
