"""Which precision "auto" is."""

from __future__ import annotations

import pytest
import torch

from noisebook.api import load_backend
from noisebook.backends.placement import automatic_dtype

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx512_f": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_a_processor_that_multiplies_in_bfloat16(monkeypatch, capabilities, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert automatic_dtype(CPU) == dtype


def test_a_torch_that_does_not_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert automatic_dtype(CPU) == torch.float32


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)]
)
def test_a_graphics_card(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert automatic_dtype(GPU) == dtype


def test_other_devices_compute_in_the_reference():
    assert automatic_dtype(torch.device("mps")) == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_auto_is_what_the_device_has(tiny_model, monkeypatch, dtype):
    monkeypatch.setattr("noisebook.backends.placement.automatic_dtype", lambda _: dtype)
    assert load_backend(str(tiny_model), device="cpu", dtype="auto").dtype == dtype
    assert load_backend(str(tiny_model), device="cpu").dtype == torch.float32
