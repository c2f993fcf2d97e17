"""Values of losses, of learning rates and of augmentation."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.augmentation import epoch_frames  # noqa: E402
from signfold.sw.train.choices import Decay, Progressive  # noqa: E402
from signfold.sw.train.course import Course  # noqa: E402
from signfold.sw.train.losses import bit_error, cross_entropy, distillation, squared_hinge  # noqa: E402
from signfold.sw.train.method import Method  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402
from signfold.sw.train.schedules import SCHEDULES, rate  # noqa: E402
from signfold.sw.train.stages import stage_method, stage_progress  # noqa: E402


def test_squared_hinge_by_hand() -> None:
    scores = torch.tensor([[2.0, -0.5, 0.25], [0.0, -1.0, 1.5]])
    labels = torch.tensor([0, 1])
    # picture 0: 0, 0.5**2, 1.25**2; picture 1: 1, 2**2, 2.5**2
    assert squared_hinge(scores, labels).item() == np.float32(13.0625) / np.float32(6)


def test_squared_hinge_gradient_by_hand() -> None:
    scores = torch.tensor([[0.5, -2.0]], requires_grad=True)
    squared_hinge(scores, torch.tensor([0])).backward()
    assert scores.grad.tolist() == [[-0.5, 0.0]]  # 2 * (1 - 0.5) * -1 / 2; the other class is beyond its margin


def test_cross_entropy_of_powers_of_two() -> None:
    scores = torch.log(torch.tensor([[1.0, 1.0, 2.0]]))
    assert cross_entropy(torch.zeros(4, 8), torch.zeros(4, dtype=torch.int64)).item() == np.float32(math.log(8))
    assert cross_entropy(scores, torch.tensor([2])).item() < cross_entropy(scores, torch.tensor([0])).item()


def test_smoothed_labels_by_hand() -> None:
    scores = torch.log(torch.tensor([[1.0, 1.0, 2.0]]))
    # The label has 1 - 0.3 + 0.1, each other class 0.1.
    wanted = 0.8 * math.log(2) + 0.2 * math.log(4)
    assert cross_entropy(scores, torch.tensor([2]), 0.3).item() == pytest.approx(wanted)


def test_wrong_bits_are_counted_where_the_tanh_is_a_sign() -> None:
    scores = torch.tensor([[40.0, -40.0, 40.0], [-40.0, -40.0, 0.0]])
    assert bit_error(scores, torch.tensor([0, 1])).item() == (1 + 1.5) / 2
    one = torch.tensor([[0.5]], requires_grad=True)
    bit_error(one, torch.tensor([0])).backward()
    assert one.grad.item() == pytest.approx(-(1 - math.tanh(0.5) ** 2) / 2)


def test_a_student_that_scores_as_its_teacher_has_nothing_to_learn() -> None:
    teacher = torch.log(torch.tensor([[1.0, 3.0]]))
    assert distillation(teacher + 5, teacher, 2.0).item() == pytest.approx(0, abs=1e-6)
    wanted = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert distillation(torch.zeros(1, 2), teacher, 1.0).item() == pytest.approx(wanted)
    # Scores halved and the square of 2: the same divergence four times.
    assert distillation(torch.zeros(1, 2), 2 * teacher, 2.0).item() == pytest.approx(4 * wanted)


def test_rates_begin_at_one_and_fall_as_named() -> None:
    for schedule in SCHEDULES:
        assert rate(schedule, 0.0) == 1.0
        values = [rate(schedule, step / 1000) for step in range(1000)]
        assert values == sorted(values, reverse=True)
    assert rate("constant", 0.999) == 1.0
    assert rate("cosine", 0.5) == 0.5 * (1 + math.cos(math.pi * 0.5))
    assert rate("cosine", 0.999) < 1e-5
    assert rate("exponential", 0.5) == 1e-3**0.5
    assert [rate("step", at) for at in (0.49, 0.5, 0.75, 0.9)] == [1.0, 0.1, 0.1**2, 0.1**3]


def test_numbers_of_a_schedule() -> None:
    assert [rate("linear", at / 4) for at in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert rate("linear", 0.5, decay=Decay(end=0.5)) == 0.75 and rate("cosine", 0.5, decay=Decay(end=0.5)) == 0.75
    assert rate("exponential", 0.5, decay=Decay(end=0.25)) == 0.5
    halves = Decay(factor=0.5, at=[0.25, 0.5])
    assert [rate("step", at / 4, decay=halves) for at in range(4)] == [1.0, 0.5, 0.25, 0.25]
    listed = Decay(factor=[0.5, 0.125], at=[0.25, 0.5])
    assert [rate("step", at / 4, decay=listed) for at in range(4)] == [1.0, 0.5, 0.125, 0.125]
    for wrong in ({"factor": [0.5]}, {"factor": 0.0}, {"at": [0.5, 0.25]}, {"end": 2.0}, {"by": "year"}):
        with pytest.raises(ValueError, match=f"decay.{next(iter(wrong))} is"):
            Decay(**wrong)


def test_stages_binarize_activations_first_and_begin_the_schedule_anew() -> None:
    progressive = Progressive(activations=0.25, weights=0.5, restart=True)
    stages = [stage_method(Method(), progressive, at / 8) for at in range(8)]
    assert [each.activations_as for each in stages] == ["real"] * 2 + ["quantized"] * 6
    assert [each.weights_as for each in stages] == ["real"] * 4 + ["quantized"] * 4
    assert [stage_progress(progressive, at / 8) for at in range(8)] == [0, 0.5, 0, 0.5, 0, 0.25, 0.5, 0.75]
    assert stage_progress(Progressive(weights=0.5), 0.75) == 0.75
    assert stage_method(Method(), Progressive(weights=0.5, form="tanh"), 0.0).weights_as == "tanh"


def test_rates_by_epochs_rise_by_steps_in_every_warm_up() -> None:
    stages = Progressive(weights=0.5, restart=True)
    options = TrainingOptions(
        "digits", "8", 8, 64, 0.1, schedule="linear", warmup=2, decay=Decay(by="epoch"), progressive=stages
    )
    course = Course(options)
    # A stage is four epochs; a quarter of each is warm-up, which would be one epoch at a rate of 0.
    factors = [[course.rate(epoch, share)[0] for share in (0.0, 0.5)] for epoch in range(8)]
    assert factors[:4] == factors[4:]
    assert sum(factors[:4], []) == pytest.approx([0, 1 / 2, 1, 1, 2 / 3, 2 / 3, 1 / 3, 1 / 3])
    assert [course.rate(6, 0.5)[1], course.rate(4, 0.5)[1]] == [6 / 8, 4.5 / 8]
    assert [course.method(epoch).weights_as for epoch in (3, 4)] == ["real", "quantized"]


def test_warm_up_rises_first_and_the_schedule_follows() -> None:
    assert [rate("constant", at / 8, 0.5) for at in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert rate("cosine", 0.5, 0.5) == 1.0
    assert rate("cosine", 0.75, 0.5) == rate("cosine", 0.5)
    with pytest.raises(ValueError, match="'sudden'"):
        rate("sudden", 0.5)


def pictures(count: int, height: int, width: int) -> "torch.Tensor":
    """Pictures without a zero, each of another content."""
    values = torch.arange(count * height * width) % 255 + 1
    return values.to(torch.uint8).reshape(count, height, width)


def test_without_shift_an_epoch_is_a_permutation() -> None:
    source = pictures(50, 2, 3)
    frames, labels = epoch_frames(source, torch.arange(50), torch.Generator().manual_seed(3))
    assert labels.tolist() != list(range(50)) and sorted(labels.tolist()) == list(range(50))
    assert frames.tolist() == source[labels].tolist()


@pytest.mark.parametrize("shift", [1, 2])
def test_every_shift_occurs_and_zero_moves_in(shift: int) -> None:
    count, height, width = 600, 5, 4
    source = pictures(count, height, width)
    frames, labels = epoch_frames(source, torch.arange(count), torch.Generator().manual_seed(4), shift=shift)
    assert sorted(labels.tolist()) == list(range(count))
    seen = set()
    for frame, label in zip(frames, labels.tolist(), strict=True):
        matches = []
        for down in range(-shift, shift + 1):
            for right in range(-shift, shift + 1):
                expected = torch.zeros(height, width, dtype=torch.uint8)
                for y in range(height):
                    for x in range(width):
                        if 0 <= y - down < height and 0 <= x - right < width:
                            expected[y, x] = source[label, y - down, x - right]
                if torch.equal(frame, expected):
                    matches.append((down, right))
        assert len(matches) == 1
        seen.update(matches)
    assert len(seen) == (2 * shift + 1) ** 2


def test_shifts_are_the_same_for_the_same_seed() -> None:
    source, labels = pictures(40, 4, 4), torch.arange(40)
    first = epoch_frames(source, labels, torch.Generator().manual_seed(5), shift=1)
    again = epoch_frames(source, labels, torch.Generator().manual_seed(5), shift=1)
    other = epoch_frames(source, labels, torch.Generator().manual_seed(6), shift=1)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_noise_is_bounded_uniform_and_stays_in_range() -> None:
    source = torch.tensor([0, 8, 15], dtype=torch.uint8).repeat(4000, 1).reshape(4000, 1, 3)
    frames, _ = epoch_frames(source, torch.zeros(4000), torch.Generator().manual_seed(8), noise=2, bits=4)
    assert frames.dtype == torch.uint8 and frames.shape == (4000, 1, 3)
    dark, middle, bright = (torch.bincount(frames[:, 0, pixel].long(), minlength=16).tolist() for pixel in range(3))
    assert [code for code, count in enumerate(middle) if count] == [6, 7, 8, 9, 10]
    assert min(count for count in middle if count) > 650  # of 800 expected
    assert [code for code, count in enumerate(dark) if count] == [0, 1, 2] and dark[0] > 2000
    assert [code for code, count in enumerate(bright) if count] == [13, 14, 15] and bright[15] > 2000
    # Without noise the draws of order and shift are the same: older runs continue as they began.
    plain, order = epoch_frames(source, torch.arange(4000), torch.Generator().manual_seed(8))
    assert torch.equal(plain, source[order])
    assert torch.equal(order, epoch_frames(source, torch.arange(4000), torch.Generator().manual_seed(8), noise=2)[1])


def test_pictures_of_channels_move_as_one_and_keep_their_memory_format() -> None:
    source = pictures(300, 12, 5).reshape(300, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    frames, labels = epoch_frames(source, torch.arange(300), torch.Generator().manual_seed(9), shift=1)
    assert frames.shape == source.shape and frames.is_contiguous(memory_format=torch.channels_last)
    padded = torch.nn.functional.pad(source, (1, 1, 1, 1))
    for frame, label in zip(frames, labels.tolist(), strict=True):
        moved = [padded[label, :, y : y + 4, x : x + 5] for y in range(3) for x in range(3)]
        assert any(torch.equal(frame, candidate) for candidate in moved)


def test_about_half_of_the_pictures_are_mirrored() -> None:
    source = torch.arange(1, 7, dtype=torch.uint8).reshape(1, 1, 2, 3).repeat(2000, 1, 1, 1)
    frames, _ = epoch_frames(source, torch.zeros(2000), torch.Generator().manual_seed(10), flip=True)
    mirrored = (frames == source.flip(-1)).flatten(1).all(1)
    assert 900 < int(mirrored.sum()) < 1100
    assert torch.equal(frames[~mirrored], source[~mirrored])
