"""Where a network runs, chosen from what torch says of a machine."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

from inference.errors import ConfigurationError  # noqa: E402 (torch first: without it nothing here is collected)
from inference.turbo.device import Card, Machine, choose_device, free_bytes, look  # noqa: E402


pytestmark = pytest.mark.diffusion

GIB = 2**30
H200 = Card("NVIDIA H200", 139 * GIB, has_bfloat16=True)
T4 = Card("Tesla T4", 15 * GIB, has_bfloat16=False)
PLAIN = Machine("2.13.0+cpu", cpu_bytes=16 * GIB)
FAST_CPU = Machine("2.13.0+cpu", cpu_bytes=16 * GIB, cpu_has_bfloat16=True)
CUDA = Machine("2.13.0+cu130", (H200, T4), cuda_version="13.0", driver="580.65.06", cpu_bytes=16 * GIB)
ROCM = Machine("2.13.0+rocm7", (Card("MI300X", 192 * GIB, True),), hip_version="7.0", cpu_bytes=16 * GIB)
APPLE = Machine("2.13.0", mps_bytes=24 * GIB, cpu_bytes=32 * GIB)


@pytest.mark.parametrize(
    ("machine", "name", "kind", "dtype", "buckets"),
    [
        (CUDA, "cuda:0", "cuda", "bfloat16", (1, 2, 4, 8, 16)),
        (ROCM, "cuda:0", "rocm", "bfloat16", (1, 2, 4, 8, 16)),
        (APPLE, "mps", "mps", "float32", (1,)),
        (PLAIN, "cpu", "cpu", "float32", (1, 2, 4, 8, 16)),
        (FAST_CPU, "cpu", "cpu", "bfloat16", (1, 2, 4, 8, 16)),
    ],
    ids=["cuda", "rocm", "mps", "cpu", "cpu-with-bfloat16"],
)
def test_auto_takes_the_best_that_is_there_in_the_precision_that_suits_it(
    machine: Machine, name: str, kind: str, dtype: str, buckets: tuple[int, ...]
) -> None:
    device = choose_device(machine=machine, environment={})

    assert (device.name, device.kind, device.dtype_name, device.buckets) == (name, kind, dtype, buckets)


def test_a_card_without_bfloat16_computes_in_float16() -> None:
    device = choose_device("cuda:1", machine=CUDA, environment={})

    assert (device.name, device.dtype) == ("cuda:1", torch.float16)


def test_the_description_tells_card_driver_and_torch() -> None:
    device = choose_device("cuda", machine=CUDA, environment={})

    assert device.description == "NVIDIA H200, 139 GiB, CUDA 13.0, driver 580.65.06, torch 2.13.0+cu130"
    assert device.total_bytes == 139 * GIB


@pytest.mark.parametrize("wanted", ["rocm", "rocm:0", "cuda", "cuda:0", " ROCm "])
def test_a_card_of_rocm_may_be_called_by_either_name(wanted: str) -> None:
    assert choose_device(wanted, machine=ROCM, environment={}).kind == "rocm"


@pytest.mark.parametrize(
    ("wanted", "machine", "message"),
    [
        ("cuda", PLAIN, "--device cuda is not there: torch 2.13.0+cpu offers auto, cpu"),
        ("cuda:2", CUDA, "offers auto, cpu, cuda:0 (NVIDIA H200), cuda:1 (Tesla T4)"),
        ("rocm", CUDA, "--device rocm is not there"),
        ("mps", PLAIN, "--device mps is not there"),
        ("gpu", APPLE, "--device gpu is not auto, cpu, cuda, cuda:N, rocm, rocm:N or mps"),
        ("", PLAIN, "is not auto, cpu"),
        ("cuda:-1", CUDA, "is not auto, cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_what_is(
    wanted: str, machine: Machine, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        choose_device(wanted, machine=machine, environment={})

    assert message in str(refused.value)


def test_a_refusal_tells_what_hides_the_cards() -> None:
    machine = Machine("2.13.0+cu130", cuda_version="13.0", problems=("the driver is too old",))

    with pytest.raises(ConfigurationError) as refused:
        choose_device("cuda", machine=machine, environment={"CUDA_VISIBLE_DEVICES": ""})

    assert "CUDA_VISIBLE_DEVICES is ''" in str(refused.value)
    assert "the driver is too old" in str(refused.value)


def test_the_environment_decides_the_precision_where_the_setting_leaves_it_open() -> None:
    environment = {"TORCH_DTYPE": "torch.float16"}

    assert choose_device("cpu", machine=PLAIN, environment=environment).dtype == torch.float16
    assert choose_device("cpu", "float32", machine=PLAIN, environment=environment).dtype == torch.float32


@pytest.mark.parametrize(("alias", "dtype"), [("fp16", "float16"), ("BF16", "bfloat16"), ("half", "float16")])
def test_other_names_of_a_precision_are_understood(alias: str, dtype: str) -> None:
    assert choose_device("cpu", alias, machine=PLAIN, environment={}).dtype_name == dtype


def test_an_unknown_precision_is_refused_by_the_name_of_where_it_came_from() -> None:
    with pytest.raises(ConfigurationError, match="--dtype int8 is not auto, float32, float16, bfloat16"):
        choose_device("cpu", "int8", machine=PLAIN, environment={})
    with pytest.raises(ConfigurationError, match="TORCH_DTYPE int8 is not"):
        choose_device("cpu", machine=PLAIN, environment={"TORCH_DTYPE": "int8"})


def test_a_precision_that_a_card_does_not_compute_in_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="bfloat16 is not what Tesla T4 computes in"):
        choose_device("cuda:1", "bfloat16", machine=CUDA, environment={})


def test_this_machine_is_looked_at() -> None:
    machine = look()
    device = choose_device("cpu", machine=machine, environment={})

    free = free_bytes(device)

    assert machine.torch_version == torch.__version__
    assert free is not None
    assert 0 < free <= device.total_bytes == machine.cpu_bytes


def test_what_is_done_on_a_card_means_this_card_and_nothing_is_chosen_elsewhere() -> None:
    second = choose_device("cuda:1", machine=CUDA, environment={}).as_current()

    assert isinstance(second, torch.cuda.device)
    assert second.idx == 1
    for device in (
        choose_device(machine=PLAIN, environment={}),
        choose_device(machine=APPLE, environment={}),
    ):
        with device.as_current():
            pass
