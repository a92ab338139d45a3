"""Formula templates of elementwise layers, with fields for the numbers x, y, dy and for the layer's settings."""

from __future__ import annotations

from typing import Any

_GELU = "0.797885 · ({x} + 0.044715 · {x}³)"
_SIGMOID = "1 / (1 + exp(-{x}))"
#: the templates of each layer's forward and backward; either may be a function of x
ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "ReLU": ("max({x}, 0)", "{dy} · ({x} > 0)"),
    "Tanh": ("tanh({x})", "{dy} · (1 - {y}²)"),
    "Sigmoid": (_SIGMOID, "{dy} · {y} · (1 - {y})"),
    "LeakyReLU": ("max({x}, {slope} · {x})", lambda x: "{dy} · 1" if x > 0 else "{dy} · {slope}"),
    "ELU": (
        lambda x: "{x}" if x > 0 else "{alpha} · (exp({x}) - 1)",
        lambda x: "{dy} · 1" if x > 0 else "{dy} · {alpha} · exp({x})",
    ),
    "SELU": (
        lambda x: "1.0507 · {x}" if x > 0 else "1.0507 · 1.67326 · (exp({x}) - 1)",
        lambda x: "{dy} · 1.0507" if x > 0 else "{dy} · 1.0507 · 1.67326 · exp({x})",
    ),
    "SiLU": ("{x} / (1 + exp(-{x}))", f"{{dy}} · ({_SIGMOID} + {{y}} · (1 - {_SIGMOID}))"),
    "Softplus": ("log(1 + exp({x}))", "{dy} / (1 + exp(-{x}))"),
    "HardSigmoid": ("min(max({x} / 6 + 1 / 2, 0), 1)", lambda x: "{dy} / 6" if abs(x) < 3 else "{dy} · 0"),
    "GELU": (
        f"{{x}} / 2 · (1 + tanh({_GELU}))",
        f"{{dy}} / 2 · (1 + tanh({_GELU}) + {{x}} · (1 - tanh({_GELU})²) · 0.797885 · (1 + 0.134145 · {{x}}²))",
    ),
}
