"""Kernels of one step, in programs written by hand and in compiled ones."""

import jax
import jax.numpy as jnp
import pytest

from gdlab.bench.jax_contestants import engine_kernels, in_jax
from gdlab.bench.kernels import Loop, kernels_per_step, loops
from gdlab.bench.tasks.rosenbrock import rosenbrock
from gdlab.bench.tasks.tanh import tanh

# A loop of unknown length over chunks, in it one of 7 steps, in it one of 4 iterations.
TEXT = """\
HloModule written_by_hand, is_scheduled=true

%fused (p.1: f32[8]) -> f32[8] {
  %p.1 = f32[8]{0} parameter(0)
  %two = f32[8]{0} multiply(%p.1, %p.1)
  ROOT %one = f32[8]{0} add(%two, %p.1)
}

%sum (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %a_plus_b = f32[] add(%a, %b)
}

%outlined (p.2: f32[8]) -> f32[8] {
  %p.2 = f32[8]{0} parameter(0)
  ROOT %f.1 = f32[8]{0} fusion(%p.2), kind=kLoop, calls=%fused
}

%branch_one (p.3: f32[8]) -> f32[8] {
  ROOT %p.3 = f32[8]{0} parameter(0)
}

%branch_two (p.4: f32[8]) -> f32[8] {
  %p.4 = f32[8]{0} parameter(0)
  %sorted = f32[8]{0} sort(%p.4), dimensions={0}, to_apply=%sum
  ROOT %back = f32[8]{0} reverse(%sorted), dimensions={0}
}

%within (t.1: (s32[], f32[8])) -> (s32[], f32[8]) {
  %t.1 = (s32[], f32[8]{0}) parameter(0)
  %x.1 = f32[8]{0} get-tuple-element(%t.1), index=1
  %f.2 = f32[8]{0:T(8)} fusion(%x.1), kind=kLoop, calls=%fused, metadata={op_name="while(a)/dot(b)"}
  %f.3 = f32[8]{0} fusion(%f.2), kind=kLoop, calls=%fused
  ROOT %t.2 = (s32[], f32[8]{0}) tuple(%i, %f.3)
}

%step (t.3: (s32[], /*index=1*/f32[8])) -> (s32[], f32[8]) {
  %t.3 = (s32[], /*index=1*/f32[8]{0}) parameter(0)
  %x.2 = f32[8]{0} get-tuple-element(%t.3), index=1
  %c = f32[8]{0} copy(%x.2)
  %dot = f32[8]{0} dot(%c, %m), lhs_contracting_dims={0}, rhs_contracting_dims={0}
  %blas = (f32[8]{0}, s8[4]{0}) custom-call(%dot), custom_call_target="__cublas$gemm"
  %total = f32[] reduce(%x.2, %zero), dimensions={0}, to_apply=%sum
  %called = f32[8]{0} call(%x.2), to_apply=%outlined
  %chosen = f32[8]{0} conditional(%total, %x.2, %x.2), branch_computations={%branch_one, %branch_two}
  %inner = (s32[], f32[8]{0}) while(%t.3), condition=%less, body=%within, backend_config={"known_trip_count":{"n":"4"}}
  ROOT %t.4 = (s32[], f32[8]{0}) tuple(%i, %called)
}

%chunk (t.5: (s32[], f32[8])) -> (s32[], f32[8]) {
  %t.5 = (s32[], f32[8]{0}) parameter(0)
  %x.3 = f32[8]{0} get-tuple-element(%t.5), index=1
  %slice = f32[8]{0} dynamic-slice(%x.3, %i), dynamic_slice_sizes={8}
  ROOT %steps = (s32[], f32[8]{0}) while(%t.5), body=%step, backend_config={"known_trip_count":{"n":"7"}}
}

%less (t.6: (s32[], f32[8])) -> pred[] {
  %t.6 = (s32[], f32[8]{0}) parameter(0)
  ROOT %lt = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (x: f32[8]) -> (s32[], f32[8]) {
  %x = f32[8]{0} parameter(0)
  %before = f32[8]{0} negate(%x)
  ROOT %chunks = (s32[], f32[8]{0}) while(%t), condition=%less, body=%chunk
}
"""
# dot, custom call, reduce, the fusion of the call, two kernels of the longer branch, and four times two of the loop.
STEP = 1 + 1 + 1 + 1 + 2 + 4 * 2


def test_kernels_of_a_program_written_by_hand():
    assert list(loops(TEXT)) == [Loop(None, 1 + 7 * STEP, 1), Loop(7, STEP, 2), Loop(4, 2, 3)]
    assert kernels_per_step(TEXT, 7) == STEP
    assert kernels_per_step(TEXT, 4) == 2


def test_kernels_of_steps_whose_number_is_unknown():
    unknown = TEXT.replace(', backend_config={"known_trip_count":{"n":"7"}}', "")
    assert kernels_per_step(unknown, 7) == STEP
    assert kernels_per_step(TEXT.partition("ENTRY")[0] + "ENTRY %main (x: f32[8]) -> f32[8] {\n}", 7) is None


def test_kernels_of_a_text_that_is_no_program():
    with pytest.raises(ValueError, match="no ENTRY computation"):
        kernels_per_step("HloModule empty", 3)


def test_kernels_of_a_compiled_scan():
    def scan(x):
        return jax.lax.scan(lambda x, _: (jnp.sort(x @ x, axis=0), None), x, length=9)[0]

    text = jax.jit(scan).lower(jnp.ones((4, 4))).compile().as_text()
    (loop,) = loops(text)
    assert loop.trips == 9
    assert kernels_per_step(text, 9) == loop.kernels
    assert 2 <= loop.kernels <= 4  # the product, the sort, the counter of the loop


@pytest.mark.parametrize(
    "task", [tanh(rates=2, steps=6), rosenbrock(rates=2, betas=2, steps=6)], ids=["net", "surface"]
)
def test_kernels_of_the_engine_and_of_programs_by_hand(task):
    engine, by_hand, *vmaps, loop = (one.prepare() for one in in_jax(task))
    least = 4 if task.name == "tanh" else 1  # two forward products, one of which has a gradient for each factor
    assert engine.kernels() == engine_kernels(task)
    for work in (engine, by_hand, *vmaps):
        assert least <= work.kernels() <= 400
    assert vmaps[0].kernels() <= by_hand.kernels()  # which also checks for divergence
    assert not hasattr(loop, "kernels")
