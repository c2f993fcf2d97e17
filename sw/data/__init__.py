"""Data sets: pictures of integer codes, split into train, validation and test."""

from signfold.sw.data.dataset import SPLITS, Dataset
from signfold.sw.data.loading import data_folder, load, names

__all__ = ["SPLITS", "Dataset", "data_folder", "load", "names"]
