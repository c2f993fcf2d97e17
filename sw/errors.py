"""The errors that a user can cause, told without a traceback at the command line."""

__all__ = [
    "BuildError",
    "CheckpointError",
    "CompileError",
    "DataError",
    "ImageError",
    "LinkError",
    "MismatchError",
    "NetworkError",
    "PlanError",
    "SignfoldError",
    "StudyError",
    "ToolError",
]


class SignfoldError(Exception):
    """Base of every error that names its cause and what would be allowed.

    Attributes
    ----------
    exit_code : int
        Status that the command line exits with: 2 for bad input, 1 for a check that failed.
    """

    exit_code = 2


class DataError(SignfoldError):
    """A data set is absent, truncated, corrupt or unknown."""


class CheckpointError(SignfoldError):
    """A training run or checkpoint cannot be read or resumed."""


class NetworkError(SignfoldError):
    """An integer network file or graph breaks the contract."""


class CompileError(SignfoldError):
    """A trained network does not fold into an integer network."""


class PlanError(SignfoldError):
    """A plan does not fit its network."""


class ImageError(SignfoldError):
    """A memory image or its map is damaged or belongs to another build."""


class LinkError(SignfoldError):
    """The device does not answer, or answers nonsense."""


class BuildError(SignfoldError):
    """Synthesis, place and route or packing failed, or timing was not met."""


class StudyError(SignfoldError):
    """A study asks for what there is not, or its cluster does not answer."""


class ToolError(SignfoldError):
    """A program or optional package that the command needs is missing."""


class MismatchError(SignfoldError):
    """Two computations that must be equal are not."""

    exit_code = 1
