"""Where a run stands: its method of training, and the share of its learning rates. Free of torch."""

from signfold.sw.train.method import Method
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.schedules import rate
from signfold.sw.train.stages import stage_method, stage_progress

__all__ = ["Course"]


class Course:
    """The stages and schedules of a run's options, by epoch.

    Parameters
    ----------
    options : TrainingOptions
        `epochs`, `method`, `progressive`, `schedule`, `warmup` and `decay` are read.
    """

    def __init__(self, options: TrainingOptions) -> None:
        self._options = options

    def progress(self, epoch: int) -> float:
        """Return the share of the run that is done when `epoch` epochs are."""
        return epoch / self._options.epochs

    def method(self, epoch: int) -> Method:
        """Return the method of the epoch that follows `epoch` others; stages change between epochs alone."""
        return stage_method(self._options.method, self._options.progressive, self.progress(epoch))

    def rate(self, epoch: int, share: float) -> tuple[float, float]:
        """Return what learning rates are multiplied by.

        Parameters
        ----------
        epoch : int
            Epochs that are done.
        share : float
            Share of the present one that is done, in [0, 1).

        Returns
        -------
        tuple of float
            The factor, in [0, 1], and the share of the run that it is for: of a decay by epochs the beginning of the
            epoch, but for warm-ups, which by whole epochs would begin with one at a rate of 0.
        """
        options = self._options
        warmup = options.warmup / options.epochs
        progress = self.progress(epoch)
        if options.decay.by == "step" or stage_progress(options.progressive, progress) < warmup:
            progress = (epoch + share) / options.epochs
        within = stage_progress(options.progressive, progress)
        return rate(options.schedule, within, warmup, options.decay), progress
