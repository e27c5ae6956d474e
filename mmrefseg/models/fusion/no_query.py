# Licensed under the Apache License, Version 2.0.
"""Fusions without a language query."""


def refuse_query(fusion: object, query_channels: int | None) -> None:
    """Refuse to make a language query.

    Args:
        fusion (object): The fusion, for the message.
        query_channels (int, optional): What it was built with.

    Raises:
        ValueError: A query is asked for.
    """
    if query_channels is not None:
        raise ValueError(
            f'{type(fusion).__name__} makes no language query: set '
            'query_stages=() in the backbone and take a head without queries, '
            'such as CoordMaskHead.')
