# Licensed under the Apache License, Version 2.0.
from .prediction_dump import PredictionDump
from .referring_iou_metric import ReferringIoUMetric

__all__ = ['PredictionDump', 'ReferringIoUMetric']
