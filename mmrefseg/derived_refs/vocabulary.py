# Licensed under the Apache License, Version 2.0.
"""Nouns for the 80 categories of COCO, and for categories of other files.

A noun carries its *extension*, the categories that a person may call so: a
photo with a wine glass and a cup has two things called "glass". Sentences
are derived from extensions, never from the category alone. Words that say
more than the annotations know ("man", "puppy") are not here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Of each category the words that mean it, the name first. '*' marks a word
# without article and adjective ("someone").
_NAMES: dict[str, str] = {
    'person': 'person, human, individual, human being, figure, *someone, '
              '*somebody',
    'bicycle': 'bicycle, bike, pushbike, cycle, pedal bike',
    'car': 'car, automobile, auto',
    'motorcycle': 'motorcycle, motorbike, motor bike, motor cycle',
    'airplane': 'airplane, plane, aircraft, aeroplane',
    'bus': 'bus, passenger bus',
    'train': 'train, railway train, rail vehicle',
    'truck': 'truck',
    'boat': 'boat, vessel, watercraft',
    'traffic light': 'traffic light, traffic signal, stoplight, stop light',
    'fire hydrant': 'fire hydrant, hydrant, fireplug',
    'stop sign': 'stop sign, stop-sign, stopsign',
    'parking meter': 'parking meter, meter',
    'bench': 'bench',
    'bird': 'bird, feathered animal, winged animal',
    'cat': 'cat, kitty, feline',
    'dog': 'dog, canine, doggy',
    'horse': 'horse, equine',
    'sheep': 'sheep, woolly animal',
    'cow': 'cow, bovine',
    'elephant': 'elephant',
    'bear': 'bear',
    'zebra': 'zebra, striped animal',
    'giraffe': 'giraffe, long-necked animal',
    'backpack': 'backpack, rucksack, knapsack, back pack',
    'umbrella': 'umbrella',
    'handbag': 'handbag, purse, hand bag',
    'tie': 'tie, necktie',
    'suitcase': 'suitcase, travel case, suit case',
    'frisbee': 'frisbee, flying disc, frisbee disc',
    'skis': 'skis, pair of skis',
    'snowboard': 'snowboard, snow board',
    'sports ball': 'sports ball, ball',
    'kite': 'kite',
    'baseball bat': 'baseball bat, bat',
    'baseball glove': 'baseball glove, baseball mitt, mitt, glove',
    'skateboard': 'skateboard, skate board',
    'surfboard': 'surfboard, surf board',
    'tennis racket': 'tennis racket, racket, racquet, tennis racquet',
    'bottle': 'bottle',
    'wine glass': 'wine glass, wineglass, stemmed glass, glass',
    'cup': 'cup, drinking cup',
    'fork': 'fork',
    'knife': 'knife',
    'spoon': 'spoon',
    'bowl': 'bowl',
    'banana': 'banana',
    'apple': 'apple',
    'sandwich': 'sandwich',
    'orange': 'orange',
    'broccoli': 'broccoli, piece of broccoli',
    'carrot': 'carrot',
    'hot dog': 'hot dog, hotdog',
    'pizza': 'pizza',
    'donut': 'donut, doughnut',
    'cake': 'cake',
    'chair': 'chair',
    'couch': 'couch, sofa, settee',
    'potted plant': 'potted plant, plant, plant in a pot',
    'bed': 'bed',
    'dining table': 'dining table, table',
    'toilet': 'toilet, lavatory, loo',
    'tv': 'tv, television, screen',
    'laptop': 'laptop, notebook computer, laptop computer',
    'mouse': 'mouse, computer mouse',
    'remote': 'remote, remote control, controller, remote controller',
    'keyboard': 'keyboard, computer keyboard',
    'cell phone': 'cell phone, phone, mobile, mobile phone, cellphone, '
                  'cellular phone',
    'microwave': 'microwave, microwave oven',
    'oven': 'oven, stove, cooker',
    'toaster': 'toaster',
    'sink': 'sink, basin',
    'refrigerator': 'refrigerator, fridge',
    'book': 'book',
    'clock': 'clock, timepiece',
    'vase': 'vase',
    'scissors': 'scissors, pair of scissors',
    'teddy bear': 'teddy bear, teddy, stuffed animal, plush toy, cuddly toy',
    'hair drier': 'hair drier, hair dryer, blow dryer, hairdryer',
    'toothbrush': 'toothbrush, tooth brush',
}
_FOUR_LEGGED = 'cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe'
_MOTOR = 'car, motorcycle, bus, truck'
_FRUIT = 'banana, apple, orange'
_FOOD = (f'{_FRUIT}, sandwich, broccoli, carrot, hot dog, pizza, donut, cake')
_SEATS = 'chair, couch, bench'
# Words that mean several categories: hypernyms, and names that two share.
_SHARED: dict[str, str] = {
    'animal': f'bird, {_FOUR_LEGGED}, teddy bear',
    'four-legged animal': f'{_FOUR_LEGGED}, teddy bear',
    'farm animal': 'horse, sheep, cow, dog, bird',
    'wild animal': 'elephant, bear, zebra, giraffe, bird',
    'pet': 'cat, dog, bird',
    'equine': 'horse, zebra',
    'striped animal': 'zebra, cat',
    'vehicle': f'bicycle, {_MOTOR}, airplane, train, boat',
    'motor vehicle': f'{_MOTOR}, airplane, train, boat',
    'road vehicle': f'bicycle, {_MOTOR}',
    'bike': 'bicycle, motorcycle',
    'cycle': 'bicycle, motorcycle',
    'two-wheeler': 'bicycle, motorcycle',
    'vessel': 'boat, vase, bowl, bottle, cup, wine glass',
    'seat': f'{_SEATS}, toilet',
    'bag': 'backpack, handbag, suitcase',
    'luggage': 'backpack, handbag, suitcase',
    'piece of luggage': 'backpack, handbag, suitcase',
    'glass': 'wine glass, cup',
    'drinking vessel': 'wine glass, cup, bottle',
    'cutlery': 'fork, knife, spoon',
    'piece of cutlery': 'fork, knife, spoon',
    'bear': 'bear, teddy bear',
    'screen': 'tv, laptop, cell phone',
    'monitor': 'tv, laptop',
    'display': 'tv, laptop, cell phone',
    'computer': 'laptop, tv, keyboard, mouse',
    'oven': 'oven, microwave',
    'basin': 'bowl, sink',
    'board': 'skateboard, surfboard, snowboard',
    'disc': 'frisbee',
    'dryer': 'hair drier',
    'piece of sports equipment':
    'frisbee, skis, snowboard, sports ball, baseball bat, baseball glove, '
    'skateboard, surfboard, tennis racket',
    'food': _FOOD,
    'fruit': _FRUIT,
    'piece of fruit': _FRUIT,
    'vegetable': 'broccoli, carrot',
    'snack': 'sandwich, hot dog, pizza, donut, cake',
    'dessert': 'donut, cake',
    'furniture': f'{_SEATS}, bed, dining table',
    'piece of furniture': f'{_SEATS}, bed, dining table',
    'appliance': 'microwave, oven, toaster, refrigerator, hair drier',
    'kitchen appliance': 'microwave, oven, toaster, refrigerator',
    'electronic device': 'tv, laptop, mouse, remote, keyboard, cell phone',
}
# Of some categories these only make a word ambiguous; nobody says it so.
_SAID_OF: dict[str, str] = {
    'animal': f'bird, {_FOUR_LEGGED}',
    'four-legged animal': _FOUR_LEGGED,
    'farm animal': 'sheep, cow',
    'wild animal': 'elephant, bear, zebra, giraffe',
    'pet': 'cat, dog',
    'equine': 'horse',
    'striped animal': 'zebra',
    'motor vehicle': _MOTOR,
    'cycle': 'bicycle',
    'vessel': 'boat',
    'seat': _SEATS,
    'bag': 'backpack, handbag',
    'glass': 'wine glass',
    'drinking vessel': 'wine glass, cup',
    'bear': 'bear',
    'screen': 'tv',
    'monitor': 'tv',
    'display': 'tv',
    'computer': 'laptop',
    'oven': 'oven',
    'basin': 'sink',
}
# Words for much that is not annotated: plates are tableware too, and
# cupboards furniture.
_OPEN = frozenset(
    ('food', 'fruit', 'piece of fruit', 'vegetable', 'snack', 'dessert',
     'furniture', 'piece of furniture', 'appliance', 'kitchen appliance',
     'electronic device'))
# Words of another category that must not be taken for this one's in what
# the photo may lack: a "glass" may well be a bottle to someone.
_CONFUSED: tuple[str, ...] = (
    'car, truck, bus', 'couch, chair, bed, bench', 'handbag, backpack, '
    'suitcase', 'cup, wine glass, bowl, vase, bottle', 'tv, laptop',
    'skis, snowboard', 'surfboard, skateboard, snowboard, boat',
    'sandwich, hot dog, pizza', 'cake, donut, sandwich, pizza',
    'oven, microwave, toaster', 'bicycle, motorcycle', 'knife, spoon, fork',
    'vase, potted plant', 'apple, orange, sports ball', 'cow, horse, sheep',
    'bear, teddy bear, dog', 'remote, cell phone', 'kite, umbrella',
    'frisbee, sports ball', 'baseball glove, sports ball',
    'sink, toilet, bowl', 'dog, cat, sheep, bear', 'horse, zebra, cow, '
    'giraffe, elephant', 'airplane, kite, boat, train, bus',
    'laptop, keyboard, mouse', 'dining table, bench, bed',
    'baseball bat, tennis racket', 'banana, orange, apple, carrot, broccoli',
    'traffic light, stop sign, parking meter, fire hydrant',
    'toothbrush, hair drier, scissors', 'clock, book',
    'person, teddy bear, dog', 'refrigerator, oven', 'bird, kite, airplane')
# What is too like a category to be called absent where that is.
_TOO_LIKE: tuple[str, ...] = (
    'cup, wine glass, bowl, vase, bottle', 'handbag, backpack, suitcase',
    'car, truck, bus', 'couch, chair, bench, bed', 'tv, laptop',
    'oven, microwave', 'bear, teddy bear', 'skis, snowboard',
    'vase, potted plant', 'sandwich, hot dog', 'cake, donut',
    'bowl, sink', 'apple, orange', 'keyboard, laptop', 'cow, sheep',
    'remote, cell phone', 'bicycle, motorcycle', 'dining table, bench',
    'sports ball, frisbee', 'book, laptop', 'cow, horse, sheep, dog',
    'knife, spoon, fork', 'train, bus', 'sports ball, apple, orange',
    'oven, toaster', 'dog, bear', 'mouse, remote', 'kite, bird, airplane',
    'cake, pizza', 'sink, toilet', 'surfboard, boat', 'zebra, horse',
    'couch, dining table, chair', 'tv, microwave')

_PLURALS = {
    'person': 'people',
    'someone': 'people',
    'somebody': 'people',
    'sheep': 'sheep',
    'knife': 'knives',
    'mouse': 'mice',
    'computer mouse': 'computer mice',
    'aircraft': 'aircraft',
    'watercraft': 'watercraft',
}
# Not counted: no article, no number, no ordinal, no superlative.
_MASS = frozenset(
    ('broccoli', 'furniture', 'food', 'fruit', 'luggage', 'cutlery'))
_PAIRED = frozenset(('skis', 'scissors'))


@dataclass(frozen=True)
class Noun:
    """A word for things of some categories.

    Attributes:
        one (str): Singular.
        many (str): Plural.
        extension (frozenset[str]): Categories of which a thing may be called
            so.
        bare (bool): Takes neither article nor adjective ("someone").
        rank (int): 0 the category's name, 1 a synonym, 2 a hypernym.
    """
    one: str
    many: str
    extension: frozenset[str]
    bare: bool = False
    rank: int = 0

    @property
    def a(self) -> str:
        """With the indefinite article, if it takes one."""
        return self.one if self.bare or not self.counted else (
            f'{article(self.one)} {self.one}')

    @property
    def counted(self) -> bool:
        """Whether there are one, two, three of it: not of food, scissors."""
        return self.one not in _MASS and self.one not in _PAIRED

    @property
    def open(self) -> bool:
        """Whether it means much that has no category, so that it is said
        only of what nobody can miss."""
        return self.one in _OPEN

    @property
    def verb(self) -> str:
        """'is', or 'are' of scissors."""
        return 'are' if self.one in _PAIRED else 'is'

    @property
    def verb_many(self) -> str:
        """'are', or 'is' of food."""
        return 'is' if self.one in _MASS else 'are'


def article(words: str) -> str:
    """'a' or 'an', as the words begin."""
    first = words.split()[0].lower()
    if first.startswith(('uni', 'use', 'ute', 'eu', 'one')):
        return 'a'
    return 'an' if first[0] in 'aeiou' else 'a'


def plural(word: str) -> str:
    """Plural of an English noun, by rule where it is not in the table."""
    if word in _PLURALS:
        return _PLURALS[word]
    if word in _MASS or word in _PAIRED:
        return word
    for inner in (' of ', ' in '):  # pair of skis, plant in a pot
        if inner in word:
            head, rest = word.split(inner, 1)
            return f'{plural(head)}{inner}{rest}'
    if word.endswith('man') and not word.endswith('human'):
        return word[:-3] + 'men'
    if word.endswith(('s', 'x', 'z', 'ch', 'sh')):
        return word + 'es'
    if word.endswith('y') and word[-2:-1] not in 'aeiou':
        return word[:-1] + 'ies'
    return word + 's'


def _split(text: str) -> list[str]:
    return [x.strip() for x in text.split(',')]


def _table() -> dict[str, tuple[Noun, ...]]:
    shared = {word: frozenset(_split(x)) for word, x in _SHARED.items()}
    table: dict[str, list[Noun]] = {}
    for category, text in _NAMES.items():
        nouns = table.setdefault(category, [])
        for rank, word in enumerate(_split(text)):
            bare, word = word.startswith('*'), word.lstrip('*')
            extension = shared.get(word, frozenset()) | {category}
            nouns.append(
                Noun(word, plural(word), extension, bare, min(rank, 1)))
    for word, extension in shared.items():
        said = _split(_SAID_OF[word]) if word in _SAID_OF else sorted(
            extension)
        for category in said:
            if all(noun.one != word for noun in table[category]):
                table[category].append(
                    Noun(word, plural(word), extension, False, 2))
    return {category: tuple(nouns) for category, nouns in table.items()}


NOUNS = _table()


def nouns_of(category: str) -> tuple[Noun, ...]:
    """The nouns for a category; of one that is not COCO's, its own name.

    Args:
        category (str): Name as in the file.

    Returns:
        tuple[Noun]: The name itself first.

    Example:
        >>> from mmrefseg.derived_refs.vocabulary import nouns_of
        >>> [noun.one for noun in nouns_of('couch')][:3]
        ['couch', 'sofa', 'settee']
        >>> nouns_of('traffic_box')[0].many
        'traffic boxes'
    """
    found = NOUNS.get(category)
    if found is None:
        word = ' '.join(category.replace('_', ' ').lower().split())
        found = (Noun(word, plural(word), frozenset({category})), )
        NOUNS[category] = found
    return found


def _neighbours(sets: Sequence[str]) -> dict[str, set[str]]:
    table: dict[str, set[str]] = {}
    for text in sets:
        members = set(_split(text))
        for each in members:
            table.setdefault(each, set()).update(members - {each})
    return table


_NEAR = _neighbours(_CONFUSED)
_LIKE = _neighbours(_TOO_LIKE)


def near_misses(present: Iterable[str]) -> set[str]:
    """Categories that are like one of some, for sentences that fail."""
    return {x for each in present for x in _NEAR.get(each, ())}


def too_like(category: str, present: Iterable[str]) -> bool:
    """Whether a person may take something present for this category."""
    return not _LIKE.get(category, set()).isdisjoint(present)
