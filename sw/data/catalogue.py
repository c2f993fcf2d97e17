"""What is known of the downloadable data sets: file names, shapes, checksums, mirrors."""

from dataclasses import dataclass

__all__ = ["ARCHIVES", "CATALOGUE", "ArchiveSource", "IdxFile", "IdxSource"]


@dataclass(frozen=True)
class IdxFile:
    """One published IDX file.

    Attributes
    ----------
    name : str
        File name without `.gz`.
    shape : tuple of int
        Shape of the contents.
    sha256 : str
        SHA-256 of the uncompressed contents.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class IdxSource:
    """A data set published as four IDX files.

    Attributes
    ----------
    name : str
        Name of the data set and of its folder.
    summary : str
        One line for lists.
    mirrors : tuple of str
        Folder addresses that hold the `.gz` files, tried in order.
    train_images, train_labels, test_images, test_labels : IdxFile
        The files.
    """

    name: str
    summary: str
    mirrors: tuple[str, ...]
    train_images: IdxFile
    train_labels: IdxFile
    test_images: IdxFile
    test_labels: IdxFile

    @property
    def files(self) -> tuple[IdxFile, ...]:
        """The four files."""
        return (self.train_images, self.train_labels, self.test_images, self.test_labels)


@dataclass(frozen=True)
class ArchiveSource:
    """A data set published as one compressed tar archive.

    Attributes
    ----------
    name : str
        Name of the data set.
    summary : str
        One line for lists.
    mirrors : tuple of str
        Folder addresses that hold the archive, tried in order.
    archive : str
        Its file name.
    folder : str
        Folder inside the archive, and inside the data folder.
    files : dict of str to str
        SHA-256 of each file that is taken from the folder.
    """

    name: str
    summary: str
    mirrors: tuple[str, ...]
    archive: str
    folder: str
    files: dict[str, str]


def _source(name: str, summary: str, mirrors: tuple[str, ...], checksums: tuple[str, str, str, str]) -> IdxSource:
    shapes = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    files = (IdxFile(*file) for file in zip(names, shapes, checksums, strict=True))
    return IdxSource(name, summary, mirrors, *files)


#: Data sets read from a data folder, by name.
CATALOGUE = {
    source.name: source
    for source in (
        _source(
            "mnist",
            "handwritten digits, 28x28 8-bit pixels",
            (
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
            (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        _source(
            "fashion-mnist",
            "articles of clothing, 28x28 8-bit pixels",
            (
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ),
            (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
    )
}

#: Data sets that come as one archive, by name.
ARCHIVES = {
    "cifar10": ArchiveSource(
        "cifar10",
        "photographs of ten kinds of things, 3x32x32 8-bit pixels",
        ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        {
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        },
    )
}
