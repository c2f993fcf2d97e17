"""The cost model: resources of an accelerator before synthesis."""

from signfold.sw.cost.accelerator import predict, predict_stages
from signfold.sw.cost.model import FABRICS, Cost, CostModel, cost_model

__all__ = ["FABRICS", "Cost", "CostModel", "cost_model", "predict", "predict_stages"]
